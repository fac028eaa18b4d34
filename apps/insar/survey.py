"""What a run did to an interferogram, from its input and its blocks, in bounded memory: counts, histograms, pictures.

Every number is that of the whole scene, whatever the tiles were and however often the run was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mvnet.data_loaders.insar import Interferogram, OutputSet, Window

OVERVIEW, DETAIL = 900, 256
"""Largest side of the overview and of the detail, in pixels."""
_INCOHERENT = 0.2  # mean quality below which nothing coherent is in a scene
_EXTRAPOLATED = 0.98  # mean quality of a scene without coherence, a deviation of 0.2 rad, beyond which it is doubted
CHANGE_EDGES = np.linspace(-math.pi, math.pi, 91)
QUALITY_EDGES = np.linspace(0, 1, 51)


@dataclass
class Pictures:
    """Phase before, phase after in radians, and quality, each (h, w), NaN where there are no data. step: in pixels."""

    before: np.ndarray
    after: np.ndarray
    quality: np.ndarray
    step: int


@dataclass
class Survey:
    """pixels, valid: their numbers. before, after: residues. quality: sum over the valid pixels. squares: sum of the
    squared change of phase. changes, qualities: counts between CHANGE_EDGES and QUALITY_EDGES. overview: every step-th
    pixel of the scene. detail: a part of it, pixel by pixel, around the centre of the tile with most data.
    """

    pixels: int
    valid: int
    before: int
    after: int
    quality: float
    squares: float
    changes: np.ndarray
    qualities: np.ndarray
    overview: Pictures
    detail: Pictures

    def counts(self) -> dict[str, int]:
        """Numbers of pixels, for the summary."""
        return {"pixels": self.pixels, "valid": self.valid}

    def statistics(self) -> dict[str, float]:
        """Numbers of the page, six digits each: shares in [0, 1], changes in radians."""
        numbers = {
            "valid_share": self.valid / self.pixels,
            "residues_before": self.before,
            "residues_after": self.after,
            "mean_confidence": self.quality / self.valid,
            "rms_change": math.sqrt(self.squares / self.valid),
        }
        return {name: value if isinstance(value, int) else float(f"{value:.6g}") for name, value in numbers.items()}


def doubts(found: Survey, known: bool) -> list[str]:
    """What makes a result, or its quality, less than it seems, a message each. known: there was a coherence."""
    mean = found.statistics()["mean_confidence"]
    if mean < _INCOHERENT:
        return ["nothing coherent was found: is this an interferogram?"]
    if known or mean <= _EXTRAPOLATED:
        return []
    return [
        f"warning: the mean quality of {mean:.3f} is an extrapolation: without a coherence nothing but the phase, "
        "which is as smooth as one that was filtered or averaged before, tells how much noise there was"
    ]


def residues(phase: np.ndarray, valid: np.ndarray) -> int:
    """Number of loops of 2x2 valid pixels around which the wrapped steps of the phase add up to 2 pi or -2 pi.

    Source: Goldstein, Zebker, Werner, Radio Science 23 (1988) 713.
    """
    steps = [phase[:-1, 1:] - phase[:-1, :-1], phase[1:, 1:] - phase[:-1, 1:]]
    steps += [phase[1:, :-1] - phase[1:, 1:], phase[:-1, :-1] - phase[1:, :-1]]
    turns = sum(np.rint(step / np.float32(2 * math.pi)) for step in steps)
    loop = valid[:-1, 1:] & valid[:-1, :-1] & valid[1:, 1:] & valid[1:, :-1]
    return int(np.count_nonzero(turns[loop]))  # pyright: ignore[reportIndexIssue]


def survey(image: Interferogram, out: OutputSet, progress: Callable[[int, int], None] | None = None) -> Survey:
    """Go through all blocks, which must have been written."""
    windows, step = out.windows(), max(1, -(-max(image.shape) // OVERVIEW))
    shape = tuple(-(-n // step) for n in image.shape)
    planes = np.full((3, *shape), np.nan, np.float32)
    total: dict[str, Any] = dict.fromkeys(("valid", "before", "after", "quality", "squares"), 0)
    changes, qualities = np.zeros(len(CHANGE_EDGES) - 1, np.int64), np.zeros(len(QUALITY_EDGES) - 1, np.int64)
    fullest, most = windows[0], -1
    for done, window in enumerate(windows, start=1):
        before, after, valid = _phases(image, out, _extended(window, image.shape))
        total["before"] += residues(before, valid)
        total["after"] += residues(after, valid)
        inner = tuple(slice(0, part.stop - part.start) for part in window)
        before, after, valid = before[inner], after[inner], valid[inner]
        quality, count = out.read("quality", window), int(valid.sum())
        if count:
            change = np.remainder(before[valid] - after[valid] + math.pi, 2 * math.pi) - math.pi
            total["quality"] += float(quality[valid].sum(dtype=np.float64))
            total["squares"] += float(np.square(change, dtype=np.float64).sum())
            changes += np.histogram(change, CHANGE_EDGES)[0]
            qualities += np.histogram(quality[valid], QUALITY_EDGES)[0]
        total["valid"] += count
        if count > most:
            fullest, most = window, count
        first = tuple(-part.start % step for part in window)
        place = tuple(slice(-(-part.start // step), -(-part.stop // step)) for part in window)
        for plane, values in zip(planes, (before, after, quality)):
            plane[place] = np.where(valid, values, np.nan)[first[0] :: step, first[1] :: step]
        if progress is not None:
            progress(done, len(windows))
    detail = _detail(image, out, fullest)
    overview = Pictures(planes[0], planes[1], planes[2], step)
    pixels = image.shape[0] * image.shape[1]
    return Survey(pixels, **total, changes=changes, qualities=qualities, overview=overview, detail=detail)


def _extended(window: Window, shape: tuple[int, int]) -> Window:
    """One more row and column, so that every loop of four pixels is met once."""
    rows, columns = (slice(part.start, min(part.stop + 1, n)) for part, n in zip(window, shape))
    return rows, columns


def _phases(image: Interferogram, out: OutputSet, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Phase before and after, radians, and validity, (h, w) each."""
    block = image.read(window, with_coherence=False)
    values = out.read("values", window)
    after = np.angle(values) if np.iscomplexobj(values) else values
    return np.angle(block.values), np.where(block.valid, after, 0).astype(np.float32), block.valid


def _detail(image: Interferogram, out: OutputSet, around: Window) -> Pictures:
    spans = []
    for part, n in zip(around, image.shape):
        side = min(DETAIL, n)
        start = min(max((part.start + part.stop - side) // 2, 0), n - side)
        spans.append(slice(start, start + side))
    window = spans[0], spans[1]
    before, after, valid = _phases(image, out, window)
    quality = out.read("quality", window)
    before, after, quality = (np.where(valid, values, np.nan) for values in (before, after, quality))
    return Pictures(before, after, quality, step=1)
