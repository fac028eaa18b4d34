"""Small pictures of a pair: phase before, phase after and quality, for the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mvnet.apps.insar.options import InSAROptions, open_input
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, read_window, windows

SIDE = 160
"""Largest side in pixels."""


def write_thumbnails(path: Path, options: InSAROptions, denoised: DenoisedPair) -> None:
    """Every n-th pixel of a pair, (3, h, w): phase before and after, radians, and quality; NaN without data."""
    image = open_input(options)
    step = max(1, -(-max(image.shape) // SIDE))
    planes = np.full((3, *(-(-n // step) for n in image.shape)), np.nan, np.float32)
    for window in windows(image.shape, (step * 64, step * 64)):
        block = image.read(window, with_coherence=False)
        values, quality = (read_window(name, window) for name in denoised)
        after = np.angle(values) if np.iscomplexobj(values) else values
        place = tuple(slice(part.start // step, -(-part.stop // step)) for part in window)
        for plane, one in zip(planes, (np.angle(block.values), after, quality)):
            plane[place] = np.where(block.valid, one, np.nan)[::step, ::step]
    np.savez(path, planes=planes)


def read_thumbnails(path: Path) -> np.ndarray | None:
    """What was written, None where there is nothing."""
    if not path.is_file():
        return None
    with np.load(path) as file:
        return file["planes"]
