"""A DWI as it is handed to the fit: four dimensions, real values, and the gradients that came with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.formats.contents import attach, contents_of
from mvnet.data_loaders.dti.formats.phase import remove_phase
from mvnet.data_loaders.dti.gradients import Gradients, read_gradients
from mvnet.data_loaders.dti.nifti import check_placement, name_of, open_image
from mvnet.data_loaders.errors import DataError, reading

Table = str | Path | np.ndarray


class Scan(NamedTuple):
    """A DWI that is open, its voxels not read yet.

    image: nibabel image (X, Y, Z, M), real.
    gradients: of its M volumes.
    frame: axes of the b-vectors, None where nothing says.
    as_voxel: (3, 3), see `mvnet.data_loaders.dti.frames.candidate_axes`.
    signed: its noise has zero mean, as that of the real part after the phase was removed.
    messages: what was chosen, guessed or left out.
    """

    image: Any
    gradients: Gradients
    frame: str | None
    as_voxel: np.ndarray | None
    signed: bool
    messages: list[str]


def open_scan(source: str | Path | Any, bval: Table | None, bvec: Table | None, options: FitOptions) -> Scan:
    """A DWI and its gradients: those given, else those of its own file.

    Args:
        source: as of `open_dwi`.
        bval, bvec: as of `read_gradients`, or None both.
        options: give the b-value of a b0, and the volumes to leave out.
    Raises:
        DataError: as of `open_dwi` and `read_gradients`, or without gradients.
    """
    image = open_dwi(source)
    contents = contents_of(image)
    frame, messages = contents.frame, list(contents.messages)
    if (bval is None) != (bvec is None):
        given, missing = ("bval", "bvec") if bvec is None else ("bvec", "bval")
        raise DataError(f"{missing}: found none with {given}, expected both for a DWI")
    if bval is not None and bvec is not None:
        frame = None if contents.is_dwi else frame
    elif contents.bvals is not None and contents.bvecs is not None:
        bval, bvec = contents.bvals, contents.bvecs
        messages.append(f"using the gradients of {len(bval)} volumes in the header ({contents.gradients})")
    else:
        raise DataError("bval, bvec: found none, and none in the image's own file, expected both for a DWI")
    gradients = read_gradients(bval, bvec, image.shape[3], options.b0_threshold, options.skip_volumes)
    as_voxel = contents.as_voxel if frame is not None else None
    return Scan(image, gradients, frame, as_voxel, contents.signed, messages + gradients.messages)


def open_dwi(source: str | Path | Any) -> Any:
    """The image (X, Y, Z, M) of a DWI, with its `Contents`.

    Dimensions of length 1 after the third are dropped. Complex images are turned into real ones, see `remove_phase`.
    Arrays are in voxel axes.

    Args:
        source: file, nibabel image, or array or tensor (X, Y, Z, M), real or complex.
    Raises:
        DataError: not such an image.
    """
    if isinstance(source, np.ndarray | Tensor):
        return attach(image := as_image(source), replace(contents_of(image), frame="voxel"))
    image, path = open_image(source, kinds="iufbc"), name_of(source)
    contents = contents_of(image)
    shape = (*image.shape[:3], *(length for length in image.shape[3:] if length > 1))
    if len(shape) != 4:
        raise DataError(f"{path}: found a {len(image.shape)}-D image of shape {image.shape}, expected (X, Y, Z, M)")
    messages = list(contents.messages) + check_placement(image)
    is_complex = np.dtype(image.header.get_data_dtype()).kind == "c"
    if shape != image.shape or is_complex:
        with reading(path, "the voxels of an image"):
            values = np.asarray(image.dataobj).reshape(shape)
        if is_complex:
            values = remove_phase(values)
            messages.append(
                "complex images: the smooth phase of every slice was removed and the real part kept, whose noise has "
                "zero mean"
            )
        image = _with_values(image, values)
    return attach(image, replace(contents, messages=tuple(messages), signed=contents.signed or is_complex))


def as_image(values: np.ndarray | Tensor, affine: np.ndarray | None = None) -> Any:
    """A nibabel image of an array in memory.

    Args:
        values: (X, Y, Z, M) or five dimensions, real, or complex for a DWI: its phase is removed.
        affine: (4, 4) voxel-to-world matrix in mm; None is 1 mm along every axis.
    """
    import nibabel

    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    if array.ndim not in (4, 5) or array.dtype.kind not in "iufbc":
        raise DataError(f"image: found shape {array.shape} of {array.dtype}, expected numbers (X, Y, Z, M)")
    is_complex = array.dtype.kind == "c"
    array = np.asarray(remove_phase(array) if is_complex else array, dtype=np.float32)
    image = nibabel.Nifti1Image(array, np.eye(4) if affine is None else np.asarray(affine, dtype=np.float64))
    return attach(image, replace(contents_of(image), signed=is_complex))


def _with_values(image: Any, values: np.ndarray) -> Any:
    """An image of other values or dimensions, which lies as `image` does."""
    header = image.header.copy()
    zooms = header.get_zooms()
    header.set_data_dtype(np.float32)
    header.set_data_shape(values.shape)
    header.set_zooms((*zooms[:3], *zooms[len(zooms) - 1 :])[: values.ndim])
    header.set_slope_inter(1, 0)
    new = type(image)(np.asarray(values, dtype=np.float32), image.affine, header)
    new.header["sform_code"], new.header["qform_code"] = image.header["sform_code"], image.header["qform_code"]
    return new
