"""b-values and b-vectors: what a table means, which volumes can be fitted, and whether they determine a tensor.

b-values      s/mm^2. Values of 1e7 and more are s/m^2 and are scaled; values up to 20 are ms/um^2 and are refused.
b0            b < 50 s/mm^2, or the threshold given. Where no volume is below it (preclinical scanners write 60 to
              110), the smallest b-value counts, if it is at most 200 and a quarter of the largest.
|g|^2         One b-value for every weighted volume and vectors of different lengths: b_i = b |g_i|^2.
no direction  A weighted volume with a zero or non-finite vector is a trace, or spherical encoding: left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from mvnet.data_loaders.dti.fit_options import B0_THRESHOLD
from mvnet.data_loaders.dti.formats.gradient_files import read_numbers
from mvnet.data_loaders.errors import DataError

_FEWEST = 6
_SI, _SI_SMALLEST = 1e7, 1e5  # s/m^2: the largest value is above the first, every other one above the second
_MILLI = 20.0  # ms/um^2: no scanner reaches it, and no weighting in s/mm^2 is below it
_LARGEST_B0, _B0_SHARE, _B0_SPREAD = 200.0, 0.25, 1.2  # s/mm^2; of the largest b-value; around the smallest
_LARGEST = 1e6  # s/mm^2: ten times what the strongest scanners reach
_UNIT, _NO_DIRECTION = 0.02, 0.1  # deviation from, and norm of, a vector
_LENGTHS = 1.1  # longest over shortest vector, from which their lengths mean something
_SHELL = 1.05  # largest over smallest b-value of one shell

Values = TypeVar("Values", np.ndarray, Tensor)


def is_b0(bvals: Values, threshold: float = B0_THRESHOLD) -> Values:
    """(M,) bool: the volumes without diffusion weighting, wherever they stand.

    Args:
        bvals: (M,) in s/mm^2, numpy or torch.
        threshold: b-value below which a volume counts as not weighted; where none is, see the top of this module.
    """
    return bvals < b0_limit(bvals, threshold)


def b0_limit(bvals: np.ndarray | Tensor, threshold: float = B0_THRESHOLD) -> float:
    """The b-value in s/mm^2 below which volumes count as not weighted; arguments as of `is_b0`."""
    if len(bvals) == 0:
        return threshold
    smallest, largest = float(bvals.min()), float(bvals.max())
    if smallest < threshold or smallest > min(_LARGEST_B0, _B0_SHARE * largest):
        return threshold
    return _B0_SPREAD * smallest


@dataclass(frozen=True)
class Gradients:
    """What is known of the weighting of every volume.

    bvals: (M,) in s/mm^2.
    bvecs: (M, 3) unit vectors in the axes of the file; zero at b = 0 and where there is none.
    usable: (M,) bool, false for volumes that are to be left out: skipped, or weighted without a direction.
    threshold: b-value below which a volume counts as not weighted.
    messages: what was guessed or left out.
    """

    bvals: np.ndarray
    bvecs: np.ndarray
    usable: np.ndarray
    threshold: float
    messages: list[str]

    @property
    def is_b0(self) -> np.ndarray:
        """(M,) bool: the volumes without weighting that can be used."""
        return self.usable & (self.bvals < self.threshold)

    @property
    def is_weighted(self) -> np.ndarray:
        """(M,) bool: the volumes with weighting that can be used."""
        return self.usable & (self.bvals >= self.threshold)


def read_gradients(
    bval: str | Path | np.ndarray,
    bvec: str | Path | np.ndarray,
    volumes: int,
    threshold: float = B0_THRESHOLD,
    skip: Sequence[int] = (),
) -> Gradients:
    """Read b-values and b-vectors written as rows (FSL, 3 x M) or as columns (M x 3).

    Args:
        bval, bvec: text files, or arrays.
        volumes: M, the number of volumes of the image.
        threshold: b-value in s/mm^2 below which a volume counts as not weighted.
        skip: numbers of volumes to leave out, the first is 0.
    Raises:
        DataError: unreadable numbers, another count than M, an unknown unit, b-values that no scanner reaches, no b0,
            or fewer than 6 distinct directions.
    """
    values, vectors = _tables(bval, bvec, volumes)
    usable = np.ones(volumes, dtype=bool)
    wrong = [number for number in skip if not 0 <= number < volumes]
    if wrong:
        raise DataError(f"skip_volumes: found {wrong[0]}, expected numbers of volumes from 0 to {volumes - 1}")
    usable[list(skip)] = False
    messages = [f"left out as asked: {name_volumes(np.flatnonzero(~usable))}"] if len(skip) else []
    if not usable.any():
        raise DataError(f"skip_volumes: found all {volumes} volumes, expected some that are fitted")

    values, found = _in_s_per_mm2(values, threshold)
    messages += found
    vectors = np.where(np.isfinite(vectors), vectors, 0.0)
    norm = np.linalg.norm(vectors, axis=1)
    values, norm, found = _scaled_by_length(values, norm, usable, threshold)
    messages += found
    if (largest := values[usable].max()) > _LARGEST:
        raise DataError(f"b-values: found {largest:.3g} s/mm^2, expected at most {_LARGEST:g}; b-vectors scale them")
    limit = b0_limit(values[usable], threshold)
    if limit != threshold:
        messages.append(
            f"warning: no b-value is below {threshold:g} s/mm^2; those of {values[usable].min():g} count as not "
            "weighted (see the b0 threshold)"
        )
    weighted = values >= limit
    astray = usable & weighted & (norm < _NO_DIRECTION)
    if astray.any():
        usable &= ~astray
        b = ", ".join(f"{value:g}" for value in np.unique(values[astray]))
        messages.append(
            f"warning: left out {name_volumes(np.flatnonzero(astray))}: b {b} s/mm^2 without a direction (a trace, "
            "or spherical encoding)"
        )
    _check_weighting(values, usable, weighted, threshold)
    if (np.abs(norm[usable & weighted] - 1) > _UNIT).any():
        messages.append("warning: b-vectors are not of unit length; they were normalised, b-values kept")
    # the weak weighting of a b0 is along its vector, where that is one
    known = np.where(weighted, norm >= _NO_DIRECTION, (np.abs(norm - 1) < _UNIT) & (values > 0))
    unit = np.where(known[:, None], vectors, 0) / np.where(known, np.linalg.norm(vectors, axis=1), 1)[:, None]
    check_directions(unit[usable & weighted])
    return Gradients(values, unit, usable, limit, messages)


def name_volumes(numbers: Sequence[int] | np.ndarray) -> str:
    """'volume 3', 'volumes 3, 7, 20 to 25': the first is 0."""
    runs: list[list[int]] = []
    for number in sorted(int(n) for n in numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [f"{a}" if a == b else f"{a}, {b}" if b == a + 1 else f"{a} to {b}" for a, b in runs]
    return ("volume " if len(numbers) == 1 else "volumes ") + ", ".join(words)


def _tables(
    bval: str | Path | np.ndarray, bvec: str | Path | np.ndarray, volumes: int
) -> tuple[np.ndarray, np.ndarray]:
    """b-values (M,), finite and not negative, and vectors (M, 3)."""
    values = read_numbers(bval, "bval").ravel()
    if len(values) != volumes:
        raise DataError(f"bval: found {len(values)} b-values, expected {volumes}, one per volume")
    vectors = read_numbers(bvec, "bvec")
    if vectors.ndim != 2 or 3 not in vectors.shape:
        raise DataError(f"bvec: found shape {vectors.shape}, expected (3, {volumes}) or ({volumes}, 3)")
    if vectors.shape[0] == 3 and vectors.shape != (volumes, 3):
        vectors = vectors.T
    if len(vectors) != volumes:
        raise DataError(f"bvec: found {len(vectors)} vectors, expected {volumes}, one per volume")
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError("bval: found negative or non-finite values, expected b-values in s/mm^2")
    return values, vectors


def _in_s_per_mm2(values: np.ndarray, threshold: float) -> tuple[np.ndarray, list[str]]:
    """b-values in s/mm^2 of ones in s/m^2; DataError for another unit, or without weighting."""
    largest = float(values.max())
    if largest > _SI:
        if values[values > 0].min() < _SI_SMALLEST:
            raise DataError(
                f"bval: found values from {values[values > 0].min():g} to {largest:g}, expected s/mm^2 throughout"
            )
        line = f"warning: b-values up to {largest:g} are in s/m^2; they were divided by 1e6, to s/mm^2"
        return values * 1e-6, [line]
    if 0 < largest <= _MILLI:
        raise DataError(f"bval: found b-values in ms/um^2 (the largest is {largest:g}), expected s/mm^2")
    if largest < threshold:
        raise DataError(
            f"bval: found no weighted volume (the largest b-value is {largest:g}), expected some of "
            f"{threshold:g} s/mm^2 or more"
        )
    return values, []


def _scaled_by_length(
    values: np.ndarray, norm: np.ndarray, usable: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """b |g|^2 and unit lengths where one b-value and different lengths say so; else the same b-values and lengths.

    Zero vectors are b0 then, if the b-values name no other: scanners write the nominal b-value throughout.
    """
    weighted = usable & (values >= threshold) & (norm > 0)
    b, lengths = values[weighted], norm[weighted]
    if len(b) == 0 or b.max() > _SHELL * b.min() or lengths.max() < _LENGTHS * lengths.min():
        return values, norm, []
    nominal_b0 = (norm == 0) & ~(usable & (values < threshold)).any()
    scaled = np.where(weighted, values * norm**2, np.where(nominal_b0, 0.0, values))
    range_ = f"{scaled[weighted].min():.0f} to {scaled[weighted].max():.0f}"
    line = (
        f"warning: one b-value, {np.median(b):.0f}, and b-vectors of lengths {lengths.min():.2f} to "
        f"{lengths.max():.2f}: b |g|^2 used, {range_} s/mm^2"
    )
    return scaled, np.where(weighted, 1.0, norm), [line]


def _check_weighting(values: np.ndarray, usable: np.ndarray, weighted: np.ndarray, threshold: float) -> None:
    """DataError without a weighted volume that can be used, or without a b0."""
    if not (usable & weighted).any():
        raise DataError(
            f"bval: found no weighted volume with a direction, expected {_FEWEST} or more, b >= {threshold:g} s/mm^2"
        )
    if weighted[usable].all():
        raise DataError(
            f"bval: found no b0 volume (smallest b {values[usable].min():.0f}), expected b < {threshold:g} s/mm^2 "
            "(see the b0 threshold)"
        )


def check_directions(g: np.ndarray) -> None:
    """DataError unless directions (n, 3) determine a tensor: six distinct ones, not on a cone or in a plane."""
    same = np.abs(g @ g.T) > 0.9999
    distinct = int((~np.tril(same, -1).any(1)).sum())
    if distinct < _FEWEST:
        raise DataError(f"bvec: found {distinct} distinct directions, expected at least {_FEWEST}")
    quadratic = np.stack([g[:, i] * g[:, j] for i in range(3) for j in range(i, 3)], 1)
    if np.linalg.matrix_rank(quadratic, tol=1e-3) < 6:
        raise DataError(
            "bvec: found directions on a cone or in a plane, which do not determine a tensor, expected spread ones"
        )
