"""A small interferogram of a known phase, and what files say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.insar import Interferogram

SHAPE = (96, 120)


def normal(shape: tuple[int, ...], random: np.random.Generator) -> Any:
    """Circular complex normal numbers of unit variance."""
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)) / 2**0.5


def fringes(coherence: float = 0.8, slope: float = 0.15, seed: int = 0) -> tuple[Any, Any]:
    """Single-look interferogram of `SHAPE`, complex64, and its true phase, float32, 0 to some ten radians."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    phase = slope * x + slope / 2 * y + 3 * np.exp(-((x - 60) ** 2 + (y - 48) ** 2) / 400)
    one, other = normal(SHAPE, random), normal(SHAPE, random)
    two = (coherence * one + (1 - coherence**2) ** 0.5 * other) * np.exp(-1j * phase)
    return (one * two.conj()).astype(np.complex64), phase.astype(np.float32)


def smooth(seed: int = 1) -> Any:
    """A smooth field in (0, 1), as a coherence."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 2)
    return np.clip(0.6 + 1.5 * field, 0.02, 0.99).astype(np.float32)


def deviation(image: Interferogram, truth: np.ndarray) -> float:
    """Greatest phase error in radians among valid pixels, against the phase of complex numbers."""
    assert image.shape == truth.shape
    block = image.read(with_coherence=False)
    assert block.valid.any()
    return float(np.abs(np.angle(block.values * truth.conj()))[block.valid].max())


def names(path: Path, **what: tuple[object, ...]) -> Path:
    """The raster with its descriptions, units or scales set."""
    import rasterio

    with rasterio.open(path, "r+") as file:
        for key, values in what.items():
            setattr(file, key, values)
    return path
