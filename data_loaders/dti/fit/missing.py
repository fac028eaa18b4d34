"""Values that a scan does not have: empty volumes, empty slices, voxels outside the field of view of some volumes.

Aborted scans are filled with zeros; motion and distortion correction (eddy, topup, ANTs) write NaN or zero where a
volume has moved out of view. A voxel keeps the fit of the volumes that it has, as long as these determine a tensor.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mvnet.data_loaders.dti.fit.shells import Selection, check_selection, determines_tensor
from mvnet.data_loaders.dti.gradients import name_volumes
from mvnet.data_loaders.dti.volume import Outlier

BLANK = ("empty", "not finite")
"""Kinds of `Outlier` that hold no image."""

EXTREME = 1e12
"""Signals beyond it, or below its inverse, leave float32 when squared."""

_STRAY = 0.3  # of the median signal: a voxel whose other values are all above it has no true zero ...
_STEPS = 5  # ... unless it is weak in whole numbers, which round to zero: at most this many of their steps
_FEW = 0.1  # per cent of the voxels, up to which values are missing here and there in any scan


def is_measured(signal: np.ndarray) -> np.ndarray:
    """Whether values are finite, and so are their squares: beyond `EXTREME` a value is damage.

    Args:
        signal: any shape.
    Returns:
        bool, the same shape.
    """
    return np.abs(signal) < EXTREME  # NaN compares false


def find_blank(dwi: np.ndarray, mask: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slices of volumes without an image.

    Args:
        dwi: (X, Y, Z, M).
        mask: (X, Y, Z) bool.
        used: (M,) bool, the volumes that are looked at.
    Returns:
        (Z, M) bool each: no finite value at all, and none above zero; false for slices outside the mask.
    """
    depth, count = dwi.shape[2:]
    unknown, zero = np.zeros((2, depth, count), dtype=bool)
    for z in range(depth):
        signal = dwi[:, :, z][mask[:, :, z]]  # (n, M)
        if len(signal) == 0:
            continue
        finite = is_measured(signal)
        unknown[z] = ~finite.any(0) & used
        zero[z] = ~(np.where(finite, signal, 0) > 0).any(0) & used & ~unknown[z]
    return unknown, zero


def blank_volumes(unknown: np.ndarray, zero: np.ndarray, used: np.ndarray, inside: np.ndarray) -> list[Outlier]:
    """Blank volumes and slices among the volumes used, as outliers.

    Args:
        unknown, zero: (Z, M) of `find_blank`.
        used: (M,) bool.
        inside: (Z,) bool, the slices that the mask reaches.
    """
    found: list[Outlier] = []
    for m in np.flatnonzero(used):
        for blank, kind in ((zero[:, m], "empty"), (unknown[:, m], "not finite")):
            if blank[inside].all():
                found.append(Outlier(int(m), None, kind, float("nan"), 0.0))
            else:
                found += [Outlier(int(m), int(z), kind, float("nan"), 0.0) for z in np.flatnonzero(blank)]
    return found


def find_missing(signal: np.ndarray) -> np.ndarray:
    """Values that are no measurement: `is_measured` says so, or zero in a voxel whose other values are far from zero.

    Args:
        signal: (n, M).
    Returns:
        (n, M) bool.
    """
    missing = ~is_measured(signal)
    stray = signal == 0
    rows = np.flatnonzero(stray.any(1))
    rows = rows[(signal[rows] > 0).any(1)]  # NaN compares false
    if len(rows):
        values = np.where(signal[rows] > 0, signal[rows], np.nan)
        smallest = np.nanmin(values, axis=1, keepdims=True)
        doubtful = smallest > np.maximum(_STRAY * np.nanmedian(values, axis=1, keepdims=True), _STEPS * _step(signal))
        missing[rows] |= stray[rows] & doubtful
    return missing


def _step(signal: np.ndarray) -> float:
    """The step of rounded values, a scale times whole numbers; 0 when these are not."""
    weak = np.sort(signal[signal > 0])[:1000]
    steps = weak / weak[0]
    return float(weak[0]) if (np.abs(steps - np.round(steps)) < 0.02 * steps).all() else 0.0


def can_be_fitted(missing: np.ndarray, b0: np.ndarray, bvecs: np.ndarray) -> np.ndarray:
    """Voxels whose remaining values hold a b0 and directions that determine a tensor.

    Args:
        missing: (n, M) bool.
        b0: (M,) bool, volumes without weighting.
        bvecs: (M, 3).
    Returns:
        (n,) bool.
    """
    patterns, which = np.unique(missing, axis=0, return_inverse=True)
    left = ~patterns & ~b0
    good = (~patterns & b0).any(1) & determines_tensor(bvecs * left[:, :, None])
    return good[which.reshape(-1)]


def drop_blank(
    dwi: np.ndarray, mask: np.ndarray, bvecs: np.ndarray, chosen: Selection
) -> tuple[np.ndarray, np.ndarray, list[Outlier]]:
    """Leave blank volumes out, and blank slices of the others.

    Args:
        dwi: (X, Y, Z, M).
        mask: (X, Y, Z) bool.
        bvecs: (M, 3).
        chosen: the volumes to fit.
    Returns:
        the volumes that remain, (M,) bool; the weights of all slices, (Z, M), 0 where blank; what was left out.
    Raises:
        DataError: when too few volumes remain.
    """
    unknown, zero = find_blank(dwi, mask, chosen.used)
    outliers = blank_volumes(unknown, zero, chosen.used, np.asarray(mask.any((0, 1))))
    used = chosen.used.copy()
    used[[outlier.volume for outlier in outliers if outlier.slice is None]] = False
    if not used.all():
        check_selection(bvecs, used, chosen.b0, "the others hold no finite, positive value", "dwi")
    return used, 1.0 - (unknown | zero), outliers


def describe_outliers(outliers: list[Outlier]) -> list[str]:
    """Lines for the user: blank volumes, blank slices, volumes and slices that fit badly."""
    lines = []
    for blank in (True, False):
        for whole in (True, False):
            found = [o for o in outliers if (o.kind in BLANK) == blank and (o.slice is None) == whole]
            if not found:
                continue
            volumes = name_volumes(sorted({o.volume for o in found}))
            count = f"{len(found)} volume{'s' * (len(found) > 1)}" if whole else f"{len(found)} slices"
            where = volumes if whole else f"of {volumes}"
            what = "without an image, left out" if blank else "unlike what the others predict, given less weight"
            lines.append(f"warning: {count} {what}: {where} (the first is 0)")
    return lines


def describe_partial(count: int, mask: Tensor) -> list[str]:
    """A line for the user on voxels that lack some values."""
    if count == 0:
        return []
    share = 100 * count / int(mask.sum())
    loud = "warning: " if share > _FEW else ""
    return [f"{loud}{count} voxels ({share:.2g} %) lack values of some volumes and keep the fit of the others"]
