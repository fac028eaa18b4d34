"""NIfTI files in and out: every failure to read is one DataError line, every write is whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.dti.formats.declared import check_extensions, check_image
from mvnet.data_loaders.dti.formats.registry import open_foreign, suffix_of
from mvnet.data_loaders.errors import DataError, reading
from mvnet.storage import replacing

_LEVEL = 1  # of compression
_SUFFIXES = (".nii", ".nii.gz")
_REAL = "iufb"


def open_image(path: str | Path | Any, kinds: str = _REAL) -> Any:
    """The nibabel NIfTI-1 or NIfTI-2 image at `path`, one file or a pair .hdr and .img, its data not read yet.

    An image that is open already is checked likewise. Files of MRtrix, 3D Slicer and AFNI become NIfTI images, see
    `mvnet.data_loaders.dti.formats`.

    Args:
        path: file, or nibabel image.
        kinds: codes of numpy of the values that are expected: real numbers, or complex ones too.
    Raises:
        DataError: missing or empty file, not an image, damaged header, complex or colour values, fewer than 3
            dimensions.
    """
    import nibabel

    if isinstance(path, nibabel.Nifti1Pair):
        return _check_image(path, "image", kinds)
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: found no such file, expected a NIfTI image")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: found an empty file, expected a NIfTI image")
    image = open_foreign(path)
    if image is None:
        check_extensions(path)
        with reading(path, "a NIfTI image"):
            image = nibabel.load(path)
            if isinstance(image, nibabel.Nifti1Pair):
                check_image(image, path)
    if not isinstance(image, nibabel.Nifti1Pair):
        raise DataError(f"{path}: found a {type(image).__name__}, expected a NIfTI image")
    return _check_image(image, path, kinds)


def without_suffix(path: Path) -> str:
    """The file name of an image without .nii, .nii.gz, .hdr, .mif, .nrrd or the like."""
    foreign = suffix_of(path)
    if foreign is not None:
        return re.sub(r"\+(orig|tlrc|acpc)$", "", path.name[: -len(foreign)])
    return re.sub(r"\.(nii|hdr|img)(\.(gz|bz2|zst))?$", "", path.name, flags=re.IGNORECASE)


def name_of(path: str | Path | Any) -> str | Path:
    """What error messages call a file, or an image that is open already."""
    return path if isinstance(path, str | Path) else "image"


def check_placement(image: Any) -> list[str]:
    """A warning when a file does not say how it lies: neither sform nor qform."""
    if int(image.header["sform_code"]) > 0 or int(image.header["qform_code"]) > 0:
        return []
    return [
        "warning: the file does not say how it lies (no sform, no qform): axes along the voxels, left-handed, are "
        "assumed, and the axes of directions are a guess"
    ]


def _check_image(image: Any, path: str | Path, kinds: str = _REAL) -> Any:
    """The image, if it holds numbers of these kinds in at least three dimensions."""
    kind = np.dtype(image.header.get_data_dtype())
    if kind.kind not in kinds:
        raise DataError(f"{path}: found values of type {kind}, expected real numbers")
    if len(image.shape) < 3:
        raise DataError(f"{path}: found a {len(image.shape)}-D image of shape {image.shape}, expected at least 3-D")
    if 0 in image.shape:
        raise DataError(f"{path}: found shape {image.shape}, expected no empty dimension")
    if not np.isfinite(image.affine).all():
        raise DataError(f"{path}: found an affine that is not finite, expected voxel-to-world numbers")
    return image


def read_array(image: Any, path: str | Path) -> np.ndarray:
    """The scaled values of an opened image as float32, read once and not cached."""
    with reading(path, "the voxels of a NIfTI image"):
        return np.asarray(image.dataobj, dtype=np.float32)


def read_map(source: Any) -> tuple[np.ndarray, Any | None]:
    """One volume, and the image that it was read from; trailing dimensions of size 1 are dropped.

    Args:
        source: path, nibabel image, array, tensor or number.
    Returns:
        the values, and the image; None for values in memory.
    """
    image = open_image(source) if isinstance(source, str | Path) or hasattr(source, "dataobj") else None
    if image is not None:
        values = read_array(image, name_of(source))
    else:
        detach = getattr(source, "detach", None)  # of a tensor; this module needs no torch
        values = np.asarray(source if detach is None else detach().cpu())
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    return values, image


def write_image(
    data: np.ndarray,
    affine: np.ndarray,
    header: Any,
    path: str | Path,
    intent: tuple[str, tuple[float, ...]] = ("none", ()),
) -> Path:
    """Write a NIfTI with the affine, codes, zooms and units of `header`, replacing the file in one step.

    The file is written under a temporary name in the destination folder and renamed, so that a crash or a
    full disk leaves neither half a file nor a lost old one.

    Args:
        data: at least 3-D; float arrays are stored as float32, bool as uint8.
        affine: (4, 4).
        header: NIfTI header to start from; scaling, intent and display range are reset.
        path: ends in .nii or .nii.gz; its folder exists.
        intent: NIfTI intent name and parameters.
    Raises:
        DataError: wrong suffix or missing folder.
        OSError: the disk is full or not writable.
    """
    path = Path(path)
    if not path.name.endswith(_SUFFIXES):
        raise DataError(f"path: found {path}, expected a name ending in .nii or .nii.gz")
    if not path.parent.is_dir():
        raise DataError(f"path: found no such folder {path.parent}, expected one that exists")
    image = make_image(data, affine, header, intent)
    with replacing(path) as temporary:
        if path.suffix == ".gz":
            with compressed(temporary) as file:
                image.to_stream(file)
        else:
            image.to_filename(temporary)
    return path


@contextmanager
def compressed(path: Path) -> Iterator[Any]:
    """A gzip file to write to, the same bytes for the same content; by Intel's ISA-L, ten times as fast as zlib."""
    from isal import igzip

    with path.open("wb") as raw, igzip.IGzipFile("", "wb", _LEVEL, raw, mtime=0) as file:
        yield file


def make_image(
    data: np.ndarray, affine: np.ndarray, header: Any, intent: tuple[str, tuple[float, ...]] = ("none", ())
) -> Any:
    """A nibabel image with the codes, zooms and units of `header`; arguments as of `write_image`."""
    import nibabel

    data = data.astype(np.uint8 if data.dtype == bool else np.float32, copy=False)

    kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    block, endianness = header.binaryblock, header.endianness
    new = kind.header_class(block, endianness, False, header.extensions)  # the header of one file, also from a pair
    zooms = [float(z) for z in header.get_zooms()][: data.ndim]
    zooms = [z if np.isfinite(z) else 1.0 for z in zooms] + [1.0] * (data.ndim - len(zooms))
    new.set_data_shape(data.shape)
    new.set_zooms(zooms)
    new.set_data_dtype(data.dtype)
    new.set_intent(*intent)
    new.set_slope_inter(1, 0)
    new["cal_min"] = new["cal_max"] = 0
    return kind(data, affine, new)
