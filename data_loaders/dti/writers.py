"""Writing tensors and maps with the geometry, layout, unit and axes of the volume they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.frames import rotate, to_voxel
from mvnet.data_loaders.dti.layouts import find_layout, unit_factor
from mvnet.data_loaders.dti.nifti import write_image
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.data_loaders.errors import DataError


def save_tensors(
    volume: DTIVolume,
    tensors: Tensor,
    path: str | Path,
    order: str | None = None,
    unit: str | None = None,
    frame: str | None = None,
) -> Path:
    """Write tensors as the file of `volume` was, zero outside its mask.

    Args:
        volume: gives mask, affine, header, and order, unit and frame unless overridden.
        tensors: (6, X, Y, Z) Mandel planes, um^2/ms, voxel axes.
        path: .nii or .nii.gz in an existing folder; replaced in one step.
    Returns:
        the path written.
    Raises:
        DataError: another shape than the volume's, unknown order, unit or frame, missing folder.
    """
    stored = to_components(volume, tensors, order, unit, frame)
    return write_image(stored, volume.affine, volume.header, path, intent_of(stored))


def intent_of(stored: np.ndarray) -> tuple[str, tuple[float, ...]]:
    """NIfTI intent of components as `to_components` gives them."""
    return ("symmetric matrix", (3.0,)) if stored.ndim == 5 else ("none", ())


def to_components(
    volume: DTIVolume, tensors: Tensor, order: str | None = None, unit: str | None = None, frame: str | None = None
) -> np.ndarray:
    """Tensors as the file of `volume` stores them, zero outside its mask; bit for bit where they did not change.

    Args:
        volume, tensors, order, unit, frame: as of `save_tensors`.
    Returns:
        (X, Y, Z, 6), or (X, Y, Z, 1, 6) in the layouts that are 5-D.
    Raises:
        DataError: another shape than the volume's, unknown order, unit or frame.
    """
    if tensors.shape != volume.tensors.shape:
        raise DataError(f"tensors: found shape {tuple(tensors.shape)}, expected {tuple(volume.tensors.shape)}")
    layout = find_layout(order or volume.order)
    back = to_voxel(frame or volume.frame, volume.affine).T
    planes = torch.where(volume.mask, tensors.detach().cpu(), 0.0)
    components = layout.from_mandel(rotate(planes, back) / unit_factor(unit or volume.unit))
    written = (layout.name, unit or volume.unit, frame or volume.frame)
    if volume.stored is not None and written == (volume.order, volume.unit, volume.frame):
        same = (planes == volume.tensors).all(0).numpy() & np.isfinite(volume.stored).all(-1)
        components[same] = volume.stored[same].reshape(-1, *components.shape[3:])
    return components


def save_scalar(volume: DTIVolume, values: Tensor | np.ndarray, path: str | Path) -> Path:
    """Write a map on the grid of `volume`.

    Args:
        values: (X, Y, Z), or (X, Y, Z, C) for several values per voxel such as colour FA; bool is stored as
            uint8, everything else as float32.
        path: .nii or .nii.gz in an existing folder; replaced in one step.
    Raises:
        DataError: another grid than the volume's, or a missing folder.
    """
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    shape = tuple(volume.mask.shape)
    if array.shape[:3] != shape or array.ndim not in (3, 4):
        raise DataError(f"values: found shape {array.shape}, expected {shape} or {(*shape, 'C')}")
    return write_image(array, volume.affine, volume.header, path)
