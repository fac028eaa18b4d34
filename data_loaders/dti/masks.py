"""Masks: given, or made from the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.data_loaders.dti.formats.grids import bring_to_grid
from mvnet.data_loaders.dti.nifti import read_map
from mvnet.data_loaders.errors import DataError
from mvnet.metrics import fractional_anisotropy

_NO_BACKGROUND = 0.07
_PROBABLE = 0.5
_WHITE_MATTER = 0.4  # fractional anisotropy

MaskLike = str | Path | np.ndarray | Tensor | Any
"""A file, an array, or a nibabel image."""


def read_mask(mask: MaskLike, shape: tuple[int, ...], affine: np.ndarray | None = None) -> tuple[Tensor, list[str]]:
    """A given mask on the grid of an image: (X, Y, Z) bool, and what was made of it.

    Inside is what is above zero; above 0.5 where the values lie in [0, 1] and are not all 0 or 1 (probabilities). A
    file that lies on another grid than the image is brought to it by both affines, nearest voxel; it is refused when
    they do not tell where it lies, or when more than half of the mask would be lost.

    Args:
        mask: path of an image, a nibabel image, or an array on the grid of the image; trailing dimensions of size 1
            are dropped.
        shape: (X, Y, Z) expected.
        affine: (4, 4) of the image in mm; None does not compare it with that of a file.
    Raises:
        DataError: several volumes, another grid that cannot be brought to the image's, or no voxel above zero.
    """
    values, image = read_map(mask)
    if values.ndim > 3:
        raise DataError(f"mask: found shape {values.shape}, several volumes, expected one of shape {tuple(shape)}")
    inside, messages = _inside(values)
    if image is not None and affine is not None:
        inside, found = bring_to_grid(inside, image, tuple(shape), affine)
        messages += found
    if inside.shape != tuple(shape):
        raise DataError(f"mask: found shape {inside.shape}, another grid than the image's, expected {tuple(shape)}")
    if not inside.any():
        raise DataError("mask: found no voxel above zero, expected some")
    return torch.from_numpy(np.ascontiguousarray(inside)), messages


def _inside(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Bool of the values of a mask; NaN is outside."""
    if values.dtype == bool:
        return values, []
    found = values[np.isfinite(values)]
    if values.dtype.kind == "f" and found.size and found.min() >= 0 and found.max() <= 1 and (found % 1).any():
        return values > _PROBABLE, ["the mask holds probabilities: above 0.5 is inside"]
    return values > 0, []


def tensor_mask(planes: Tensor) -> Tensor:
    """Finite tensors with positive trace, and non-finite ones that most of their 26 neighbours surround.

    Args:
        planes: (6, X, Y, Z) Mandel planes, any unit.
    """
    finite = planes.isfinite().all(0)
    inside = finite & (planes[:3].sum(0) > 0)
    neighbours = F.avg_pool3d(F.pad(inside[None].float(), (1,) * 6), 3, stride=1)[0] * 27
    return inside | (~finite & (neighbours > 13))


def brain_mask(b0: np.ndarray) -> Tensor:
    """Median-filtered Otsu threshold of the mean b0 (DIPY's median_otsu): the largest piece, holes filled.

    The threshold is sought on log(1 + b0 / 2 % of its 99th percentile), where bright water does not outweigh
    the difference of brain and background. A volume without background (the 2nd percentile is above 7 % of
    the 99th) is taken whole where positive.

    Args:
        b0: (X, Y, Z) signal.
    Raises:
        DataError: when the b0 is constant, or nothing stands out.
    """
    from dipy.segment.mask import median_otsu
    from scipy import ndimage

    values = np.nan_to_num(np.asarray(b0, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0).clip(min=0)
    if values.max() <= values.min():
        raise DataError("dwi: found a constant b0 image, expected a brain on a background; give one as mask")
    bright = np.percentile(values[values > 0], 99)
    if np.percentile(values, 2) > _NO_BACKGROUND * bright:
        return torch.from_numpy(values > 0)
    mask = median_otsu(np.log1p(values / (0.02 * bright)), median_radius=2, numpass=1)[1].astype(bool)
    if not mask.any():
        raise DataError("dwi: found no brain that stands out in the b0 image, expected one; give a mask")
    labels = np.zeros(mask.shape, dtype=np.int32)
    ndimage.label(mask, output=labels)
    mask = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return torch.from_numpy(np.asarray(ndimage.binary_fill_holes(mask), dtype=bool) & (values > 0))


def white_matter_median(signal: Tensor, tensors: Tensor, mask: Tensor) -> Tensor:
    """Median signal of white matter, FA > 0.4, in a mask; of the whole mask when it holds none.

    Args:
        signal: (...) such as the b0, any unit.
        tensors: (6, ...) Mandel planes.
        mask: (...) bool, true somewhere.
    Returns:
        (), in the unit of the signal.
    """
    white = mask & (fractional_anisotropy(tensors, dim=0) > _WHITE_MATTER)
    return signal[white if white.any() else mask].median()
