"""Tensor volumes of images in memory, and denoised tensors as images of the kind that came in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.confident_array import ConfidentArray
from mvnet.data_loaders.dti.dwi import load_dwi
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.formats.contents import contents_of
from mvnet.data_loaders.dti.formats.dwi_image import as_image
from mvnet.data_loaders.dti.formats.gradient_files import find_gradient_files
from mvnet.data_loaders.dti.masks import MaskLike
from mvnet.data_loaders.dti.nifti import make_image, open_image
from mvnet.data_loaders.dti.tensors import load_tensors
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.data_loaders.dti.writers import intent_of, to_components
from mvnet.data_loaders.errors import DataError

_DEFAULTS = FitOptions()


def read_volume(
    image: Any,
    bvals: str | Path | np.ndarray | None = None,
    bvecs: str | Path | np.ndarray | None = None,
    *,
    mask: MaskLike | None = None,
    order: str | None = None,
    unit: str | None = None,
    frame: str | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    affine: np.ndarray | None = None,
    fit: FitOptions = _DEFAULTS,
    progress: Callable[[int, int], None] | None = None,
) -> DTIVolume:
    """The tensor volume of a DWI or a tensor image, in a file or in memory.

    Args:
        image: path, nibabel image, or array or tensor (X, Y, Z, M); with b-values a DWI, else tensors.
        bvals: (M,) in s/mm^2, or an FSL file; for a path, files beside it and gradients in it are found by themselves.
        bvecs: (M, 3) unit vectors, or an FSL file.
        mask: (X, Y, Z) or a NIfTI; None makes one from the data.
        order, unit: of tensors, see `load_tensors`.
        frame: axes of the vectors or components; None follows the file, and is "voxel" for arrays.
        spacing: lengths of the sides of a voxel in mm, for arrays without an affine.
        affine: (4, 4) voxel-to-world matrix in mm, for arrays.
        fit: which volumes of a DWI are fitted, and how.
        progress: called as progress(done, total) while tensors are fitted.
    Returns:
        the volume.
    Raises:
        DataError: b-values without b-vectors, an affine of another shape, and as of `load_dwi` and `load_tensors`.
    """
    if isinstance(image, str | Path) and bvals is None and bvecs is None:
        bvals, bvecs = find_gradient_files(Path(image)) or (None, None)
    if (bvals is None) != (bvecs is None):
        given, missing = ("bvals", "bvecs") if bvecs is None else ("bvecs", "bvals")
        raise DataError(f"{missing}: found none beside {given}, expected both for a DWI")
    if isinstance(image, Tensor | np.ndarray):
        image, frame = as_image(image, _affine(affine, spacing)), frame or "voxel"
    is_dwi = bvals is not None
    if not is_dwi:
        is_dwi = contents_of(open_image(image, kinds="iufbc")).is_dwi
    if not is_dwi:
        return load_tensors(image, order=order, mask=mask, unit=unit, frame=frame)
    return load_dwi(image, bvals, bvecs, mask=mask, bvec_frame=frame, progress=progress, options=fit)


def _affine(affine: np.ndarray | None, spacing: Sequence[float]) -> np.ndarray:
    """The affine of an array, from the sides of a voxel when none is given."""
    if affine is None:
        return np.diag([*map(float, spacing), 1.0])
    if np.shape(affine) != (4, 4):
        raise DataError(f"affine: found shape {np.shape(affine)}, expected (4, 4)")
    return np.asarray(affine, dtype=np.float64)


def like_image(image: Any, volume: DTIVolume, tensors: Tensor, confidence: Tensor | None) -> Any:
    """Tensors in the kind, layout, unit and axes of the image they come from, with a confidence beside them.

    Args:
        image: as of `read_volume`.
        volume: read from it.
        tensors: (6, X, Y, Z) Mandel planes, um^2/ms, voxel axes.
        confidence: (X, Y, Z), or None.
    Returns:
        array or tensor (X, Y, Z, 6) of the dtype and device given, or a nibabel image for an image or a path; its
        attribute `confidence` is of the same kind, (X, Y, Z).
    """
    stored = to_components(volume, tensors)
    if isinstance(image, Tensor):
        dtype = image.dtype if image.is_floating_point() else torch.float32
        result = torch.from_numpy(stored).to(image.device, dtype)
        given = None if confidence is None else confidence.to(image.device, dtype)
        result.confidence = given  # type: ignore[attr-defined]
        return result
    if isinstance(image, np.ndarray):
        dtype = image.dtype if image.dtype.kind == "f" else np.dtype(np.float32)
        return ConfidentArray(
            stored.astype(dtype), None if confidence is None else confidence.cpu().numpy().astype(dtype)
        )
    made = make_image(stored, volume.affine, volume.header, intent_of(stored))
    made.confidence = None if confidence is None else make_image(confidence.cpu().numpy(), volume.affine, volume.header)
    return made
