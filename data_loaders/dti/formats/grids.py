"""A mask on another grid than its image: brought there by the two voxel-to-world matrices, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError

_SAME_PLACE = 0.25  # voxels by which the corners of two grids may differ and are the same
_EXACT = 0.01  # voxels: a turned grid whose centres fall on those of the other
_FEWEST_KEPT = 0.5  # of the volume of a mask
_LEAST_COVERED = 0.25  # of the image, by the grid of the mask


def bring_to_grid(
    inside: np.ndarray, image: Any, shape: tuple[int, ...], affine: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """A mask on the grid of an image, and a message unless it was there.

    Args:
        inside: (x, y, z) bool.
        image: nibabel image of the mask, which gives its affine.
        shape, affine: (X, Y, Z) and (4, 4) of the image, in mm.
    Returns:
        (X, Y, Z) bool where both affines tell how; the mask as it is where it lies on the grid of the image, or does
        not say where it lies.
    Raises:
        DataError: on another grid, and the affines do not help: they are the same, the mask has none, its grid covers
            less than a quarter of the image, or more than half of the mask lies outside the image.
    """
    theirs = np.asarray(image.affine, dtype=np.float64)
    try:
        to_mask = np.linalg.solve(theirs, np.asarray(affine, dtype=np.float64))
    except np.linalg.LinAlgError:
        raise DataError("mask: found a singular affine, expected an invertible one") from None
    same_affine = _largest_shift(to_mask, shape) < _SAME_PLACE
    if inside.shape == shape and same_affine:
        return inside, []
    if inside.shape != shape and (same_affine or not _says_where(image)):
        why = "the affine of the image" if same_affine else "no affine"
        raise DataError(f"mask: found shape {inside.shape} with {why}, another grid than {shape}, expected the image's")
    if not _says_where(image):
        return inside, ["warning: the affine of the mask differs from the image's and says nothing; used as it lies"]
    placed, covered = _sample(inside, to_mask, shape)
    if covered < _LEAST_COVERED:
        raise DataError(
            f"mask: found shape {inside.shape} on another grid, which covers {100 * covered:.0f} % of the image by the "
            f"affines, expected the image's grid, {shape}"
        )
    volumes = [abs(np.linalg.det(matrix[:3, :3])) for matrix in (affine, theirs)]
    kept = placed.sum() * volumes[0] / max(inside.sum() * volumes[1], 1e-30)
    if kept < _FEWEST_KEPT and inside.any():
        raise DataError(
            f"mask: found it on another grid, {100 * kept:.0f} % of it inside the image by the affines, expected the "
            f"image's grid, {shape}"
        )
    if _is_turned(to_mask):
        return placed, ["the affine of the mask differs from the image's in its axes: turned to the image"]
    line = "warning: the affine of the mask differs from the image's, another grid: resampled (nearest voxel), "
    return placed, [line + f"{100 * min(kept, 1):.0f} % of the mask kept"]


def check_grid(image: Any, shape: tuple[int, ...], affine: np.ndarray, what: str) -> None:
    """Compare the grid of a map, which has the shape of its image, with that of the image.

    Args:
        image: nibabel image of the map.
        shape, affine: (X, Y, Z) and (4, 4) of the image, in mm.
        what: name of the map.
    Raises:
        DataError: the map says that it lies elsewhere.
    """
    try:
        to_map = np.linalg.solve(np.asarray(image.affine, dtype=np.float64), np.asarray(affine, dtype=np.float64))
    except np.linalg.LinAlgError:
        raise DataError(f"{what}: found a singular affine, expected an invertible one") from None
    apart = _largest_shift(to_map, shape)
    if apart >= _SAME_PLACE and _says_where(image):
        raise DataError(f"{what}: found it up to {apart:.3g} voxels away by its affine, expected the grid of the image")


def _says_where(image: Any) -> bool:
    """Whether a file places itself in the world: it has codes, and another affine than the identity's axes."""
    header = image.header
    placed = int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0
    return placed and not np.allclose(image.affine, np.eye(4))


def _largest_shift(to_mask: np.ndarray, shape: tuple[int, ...]) -> float:
    """The farthest that a corner of the image lies, in voxels of the mask, from the same indices there."""
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij")).reshape(3, -1)
    return float(np.abs(to_mask[:3, :3] @ ends + to_mask[:3, 3:] - ends).max())


def _is_turned(to_mask: np.ndarray) -> bool:
    """Whether the two grids have the same voxel centres, axes permuted or reversed."""
    rounded = np.round(to_mask)
    linear = np.abs(rounded[:3, :3])
    whole = np.abs(to_mask[:3, :3] - rounded[:3, :3]).max() < _EXACT / 100
    whole &= np.abs(to_mask[:3, 3] - rounded[:3, 3]).max() < _EXACT
    return bool(whole and (linear.sum(0) == 1).all() and (linear.sum(1) == 1).all() and linear.max() == 1)


def _sample(inside: np.ndarray, to_mask: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, float]:
    """The nearest voxel of a mask at every voxel (i, j, k) of the image, false outside; the share inside."""
    placed, covered = np.zeros(shape, dtype=bool), 0
    plane = np.indices(shape[:2]).reshape(2, -1)
    limits = np.array(inside.shape)[:, None]
    for k in range(shape[2]):
        there = to_mask[:3, :2] @ plane + (to_mask[:3, 2] * k + to_mask[:3, 3])[:, None]
        nearest = np.floor(there + 0.5).astype(int)
        known = ((nearest >= 0) & (nearest < limits)).all(0)
        x, y, z = nearest[:, known]
        flat = np.zeros(plane.shape[1], dtype=bool)
        flat[known] = inside[x, y, z]
        placed[:, :, k] = flat.reshape(shape[:2])
        covered += int(known.sum())
    return placed, covered / placed.size
