"""b-values and b-vectors: reading FSL text files and checking that a tensor can be fitted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from mvnet.data_loaders.dti.fit_options import B0_THRESHOLD
from mvnet.data_loaders.dti.nifti import without_suffix
from mvnet.data_loaders.errors import DataError, reading

_USUAL_MAXIMUM = 1600.0  # s/mm^2: above it the tensor model no longer describes brain tissue
_FEWEST = 6


Values = TypeVar("Values", np.ndarray, Tensor)


def is_b0(bvals: Values) -> Values:
    """(M,) bool: the volumes without diffusion weighting, b < 50 s/mm^2, wherever they stand.

    Args:
        bvals: (M,) in s/mm^2, numpy or torch.
    """
    return bvals < B0_THRESHOLD


def find_gradient_files(image: Path) -> tuple[Path, Path] | None:
    """The .bval and .bvec files beside an image that is called like them; None unless both are there."""
    base = without_suffix(image)
    bval, bvec = (image.with_name(base + end) for end in (".bval", ".bvec"))
    return (bval, bvec) if bval.is_file() and bvec.is_file() else None


@dataclass(frozen=True)
class Gradients:
    """bvals (M,) in s/mm^2; bvecs (M, 3) unit vectors in the axes of the file, zero at b < 50; messages."""

    bvals: np.ndarray
    bvecs: np.ndarray
    messages: list[str]

    @property
    def is_b0(self) -> np.ndarray:
        """(M,) bool, see the function `is_b0`."""
        return is_b0(self.bvals)


def read_gradients(bval: str | Path | np.ndarray, bvec: str | Path | np.ndarray, volumes: int) -> Gradients:
    """Read b-values and b-vectors written as rows (FSL, 3 x M) or as columns (M x 3).

    Args:
        bval, bvec: text files, or arrays.
        volumes: M, the number of volumes of the image.
    Raises:
        DataError: unreadable numbers, another count than M, no b0, or fewer than 6 distinct directions.
    """
    values = _numbers(bval, "bval").ravel()
    if len(values) != volumes:
        raise DataError(f"bval: found {len(values)} b-values, expected {volumes}, one per volume")
    vectors = _numbers(bvec, "bvec")
    if vectors.ndim != 2 or 3 not in vectors.shape:
        raise DataError(f"bvec: found shape {vectors.shape}, expected (3, {volumes}) or ({volumes}, 3)")
    if vectors.shape[0] == 3 and vectors.shape != (volumes, 3):
        vectors = vectors.T
    if len(vectors) != volumes:
        raise DataError(f"bvec: found {len(vectors)} vectors, expected {volumes}, one per volume")
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError("bval: found negative or non-finite values, expected b-values in s/mm^2")

    messages: list[str] = []
    weighted = ~is_b0(values)
    if not weighted.any():
        raise DataError(
            f"bval: found no b-value of {B0_THRESHOLD:g} or more (largest {values.max():.3g}), expected s/mm^2"
        )
    if weighted.all():
        raise DataError(f"bval: found no b0 volume (smallest b {values.min():.0f}), expected b < 50 s/mm^2")
    norm = np.linalg.norm(vectors, axis=1)
    if not (norm[weighted] > 0.1).all():  # also catches NaN
        raise DataError(
            "bvec: found a zero or non-finite vector on a volume with b >= 50 s/mm^2, expected unit vectors"
        )
    if (np.abs(norm[weighted] - 1) > 0.02).any():
        messages.append("warning: b-vectors are not of unit length; they were normalised, b-values kept")
    unit = np.zeros((volumes, 3))
    unit[weighted] = vectors[weighted] / norm[weighted, None]
    _check_directions(unit[weighted])
    if values.max() > _USUAL_MAXIMUM:
        messages.append(f"warning: b-values up to {values.max():.0f} s/mm^2; the tensor model holds up to about 1500")
    return Gradients(values, unit, messages)


def _numbers(source: str | Path | np.ndarray, name: str) -> np.ndarray:
    if not isinstance(source, str | Path):
        return np.asarray(source, dtype=np.float64)
    path = Path(source)
    if not path.is_file():
        raise DataError(f"{name}: found no such file {path}, expected b-values or b-vectors as text")
    with reading(path, f"a table of numbers ({name})"):
        lines = [line.partition("#")[0] for line in path.read_text(encoding="utf-8-sig").splitlines()]
        rows = [line.replace(",", " ").split() for line in lines if line.strip()]
        if not rows:
            raise DataError(f"{name}: found an empty file {path}, expected numbers")
        widths = {len(row) for row in rows}
        if len(widths) != 1:
            raise DataError(f"{name}: {path}: found rows of {sorted(widths)} numbers, expected equal rows")
        return np.array([[float(word) for word in row] for row in rows])


def _check_directions(g: np.ndarray) -> None:
    """At least six directions (n, 3) that determine a tensor."""
    same = np.abs(g @ g.T) > 0.9999
    distinct = int((~np.tril(same, -1).any(1)).sum())
    if distinct < _FEWEST:
        raise DataError(f"bvec: found {distinct} distinct directions, expected at least {_FEWEST}")
    quadratic = np.stack([g[:, i] * g[:, j] for i in range(3) for j in range(i, 3)], 1)
    if np.linalg.matrix_rank(quadratic, tol=1e-3) < 6:
        raise DataError(
            "bvec: found directions on a cone or in a plane, which do not determine a tensor, expected spread ones"
        )
