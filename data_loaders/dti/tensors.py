"""Reading a tensor volume: order, unit and axes given or detected, every tensor made positive definite."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.dti.detect_layout import detect_order, detect_unit
from mvnet.data_loaders.dti.fibre_coherence import check_frame
from mvnet.data_loaders.dti.formats.contents import contents_of
from mvnet.data_loaders.dti.frames import candidate_axes, rotate, to_voxel
from mvnet.data_loaders.dti.layouts import TensorLayout, find_layout, unit_factor
from mvnet.data_loaders.dti.masks import MaskLike, read_mask, tensor_mask
from mvnet.data_loaders.dti.nifti import check_placement, name_of, open_image, read_array
from mvnet.data_loaders.dti.repair import median_diffusivity, repair
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.data_loaders.errors import DataError


def load_tensors(
    path: str | Path | Any,
    order: str | None = None,
    mask: MaskLike | None = None,
    unit: str | None = None,
    frame: str | None = None,
) -> DTIVolume:
    """Read a tensor NIfTI.

    Args:
        path: 4-D (X, Y, Z, 6) or 5-D (X, Y, Z, 1, 6) NIfTI, a file or a nibabel image.
        order: "fsl", "mrtrix", "dipy", "symmatrix" or "dti-tk"; None detects it.
        mask: NIfTI or array; None takes finite tensors with positive trace.
        unit: "mm2/s", "um2/ms", "um2/s" or "m2/s"; None detects it from the median mean diffusivity.
        frame: axes of the components, "voxel", "fsl" or "world"; None takes what the order's tool writes,
            unless the fibres are clearly more coherent in voxel axes.
    Returns:
        the volume, in um^2/ms and voxel axes; its report says what was detected and repaired.
    Raises:
        DataError: unreadable file, not six components, no finite tensor, wrong mask, no positive definite
            tensor.
    """
    image, path = open_image(path), name_of(path)
    contents = contents_of(image)
    stored = _components(read_array(image, path), path)
    layout, messages = _layout(stored, len(image.shape), int(image.header["intent_code"]), order or contents.order)
    messages = [*contents.messages, *check_placement(image), *messages]
    planes = layout.to_mandel(stored)
    if not planes.isfinite().all(0).any():
        raise DataError(f"{path}: found no finite tensor, expected some")

    if mask is None:
        inside = tensor_mask(planes)
    else:
        inside, found = read_mask(mask, tuple(planes.shape[1:]), image.affine)
        messages += found
    if not inside.any():
        raise DataError(f"{path}: found no tensor with positive trace, expected positive definite tensors")
    if unit is None and order == "dti-tk":
        unit = layout.unit
    if unit is None:
        # scaled by a power of two first: the determinant of m^2/s tensors underflows float32
        typical = float(planes[:3, inside].nan_to_num(0, 0, 0).abs().amax(0).median())
        scale = 2.0 ** -np.round(np.log2(typical or 1.0))
        unit, found = detect_unit(median_diffusivity(planes * scale, inside) / scale)
        messages += found
        if layout.name == "symmatrix" and order is None and unit == "um2/ms":
            layout = find_layout("dti-tk")
            messages.append("order dti-tk: SYMMATRIX scaled as DTI-TK does")
    planes = planes * unit_factor(unit)

    axes = candidate_axes(frame, contents.frame or layout.frame, image.affine, contents.as_voxel)
    tensors, report = repair(planes, inside)
    stored = np.where((tensors == planes).all(0)[..., None], stored, np.float32("nan"))  # NaN where repaired
    chosen, matrix, found = check_frame(tensors, inside, image.header.get_zooms()[:3], axes, given=frame is not None)
    return DTIVolume(
        tensors=rotate(tensors, matrix),
        mask=inside,
        affine=np.array(image.affine),
        header=image.header.copy(),
        order=layout.name,
        unit=unit,
        frame=chosen,
        report=replace(report, messages=messages + report.messages + found),
        stored=stored if np.allclose(matrix, to_voxel(chosen, image.affine)) else None,  # else in other axes
    )


def _components(values: np.ndarray, path: str | Path) -> np.ndarray:
    """(X, Y, Z, 6) from a 4-D or 5-D array."""
    shape = values.shape
    if len(shape) == 5 and shape[3] == 1:
        values = values[:, :, :, 0]
    if values.ndim != 4 or values.shape[-1] != 6:
        volumes = math.prod(shape[3:])
        if volumes > 6:
            raise DataError(
                f"{path}: found shape {shape}, which looks like a DWI of {volumes} volumes, expected --bval and --bvec "
                "with it, or six components: (X, Y, Z, 6) or (X, Y, Z, 1, 6)"
            )
        raise DataError(f"{path}: found shape {shape}, expected six components: (X, Y, Z, 6) or (X, Y, Z, 1, 6)")
    return values


def _layout(stored: np.ndarray, ndim: int, intent: int, order: str | None) -> tuple[TensorLayout, list[str]]:
    if order is None:
        return detect_order(stored, ndim, intent)
    layout = find_layout(order)
    messages = [f"order {order} ({layout.symbols}) as given"]
    if layout.ndim != ndim:
        messages.append(f"warning: the file is {ndim}-D; {order} files, and so the output, are {layout.ndim}-D")
    return layout, messages
