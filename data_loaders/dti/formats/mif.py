"""Images of MRtrix3: .mif, .mif.gz, and .mih with its data in another file.

A text header of `key: value` lines from "mrtrix image" to "END"; a key may come several times. `layout` gives, for
every axis, its rank from the fastest running one and the sense it is stored in; `transform` takes mm along the axes of
the image to scanner axes (RAS+); `dw_scheme` has rows x y z b in scanner axes.
Source: MRtrix3 documentation, "Image file formats", and core/formats/mrtrix_utils.h.
"""

from __future__ import annotations

import gzip
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.dti.formats.contents import Contents, attach
from mvnet.data_loaders.dti.formats.declared import check_declared
from mvnet.data_loaders.errors import DataError, reading

_TYPES = {
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "int64": "i8",
    "uint64": "u8",
    "float16": "f2",
    "float32": "f4",
    "float64": "f8",
    "cfloat32": "c8",
    "cfloat64": "c16",
}
_KEPT = ("i2", "i4", "u1", "u2", "f4", "f8", "c8", "c16")  # types that NIfTI has; others become float32

_LONGEST_HEADER = 1 << 24  # bytes

Header = Mapping[str, Sequence[str]]


def open_image(path: Path) -> Any:
    """The image, memory-mapped where the file is not compressed.

    Raises:
        DataError: damaged, or a header that says what this reader does not know.
    """
    import nibabel

    with reading(path, "an MRtrix image"):
        header = _read_header(path)
        values = _values(path, header)
        image = nibabel.Nifti1Image(values, _affine(header))
        image.set_sform(image.affine, code=1)
        image.header.set_xyzt_units("mm")
        zooms = [abs(float(size)) for size in _words(header, "vox")]
        image.header.set_zooms([z if np.isfinite(z) and z > 0 else 1.0 for z in zooms][: values.ndim])
        return attach(image, _contents(header))


def _open(path: Path) -> Any:
    """The file, its content if it is compressed."""
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def _read_header(path: Path) -> Header:
    with _open(path) as file:
        block = file.read(_LONGEST_HEADER)
    text, end, _ = block.partition(b"\nEND")
    lines = text.decode("utf-8", "replace").splitlines()
    if not end or not lines or lines[0].strip() != "mrtrix image":
        raise DataError(f"{path}: found no header that begins with 'mrtrix image' and ends with END, expected one")
    header: dict[str, list[str]] = defaultdict(list)
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if colon:
            header[key.strip().lower()].append(value.strip())
    for key in ("dim", "vox", "layout", "datatype", "file"):
        if not header.get(key):
            raise DataError(f"{path}: found no {key} in the header, expected it")
    return header


def _words(header: Header, key: str) -> list[str]:
    return re.split(r"[\s,]+", header[key][0])


def _values(path: Path, header: Header) -> np.ndarray:
    """The voxels, axes in the order of `dim` and running as the transform says."""
    shape = [int(size) for size in _words(header, "dim")]
    layout = _words(header, "layout")
    if len(layout) != len(shape) or len(shape) < 3:
        raise DataError(f"{path}: found {len(shape)} sizes and {len(layout)} strides, expected one each, three or more")
    ranks = [abs(int(word)) for word in layout]
    reversed_ = [word.startswith("-") for word in layout]
    order = sorted(range(len(shape)), key=lambda axis: ranks[axis])  # axes from the fastest to the slowest
    stored = _stored(path, header, shape).reshape([shape[axis] for axis in order], order="F")
    values = stored.transpose([order.index(axis) for axis in range(len(shape))])
    values = values[tuple(slice(None, None, -1) if back else slice(None) for back in reversed_)]
    if "scaling" in header:
        offset, scale = (float(word) for word in _words(header, "scaling"))
        if (offset, scale) != (0.0, 1.0):
            values = np.asarray(values * np.float32(scale) + np.float32(offset))
    if values.dtype.str[1:] not in _KEPT:
        values = values.astype(np.uint8 if values.dtype == bool else np.float32)
    return values


def _stored(path: Path, header: Header, shape: Sequence[int]) -> np.ndarray:
    """As many numbers as voxels, in the order of the file."""
    count = prod(shape)
    if len(header["file"]) != 1 or "[" in header["file"][0]:
        raise DataError(f"{path}: found data in several files, expected one (mrconvert joins them)")
    name, _, offset = header["file"][0].rpartition(" ") if " " in header["file"][0] else (header["file"][0], "", "0")
    if name.strip() != ".":
        path = path.with_name(name.strip())
        if not path.is_file():
            raise DataError(f"{path}: found no such file, expected the data of an MRtrix image")
    kind = _words(header, "datatype")[0].lower()
    if kind == "bit":
        raw = _bytes(path, np.dtype("u1"), int(offset), [(count + 7) // 8])
        return np.unpackbits(raw)[:count].astype(bool)
    order = {"le": "<", "be": ">"}.get(kind[-2:], "=")
    base = _TYPES.get(kind if order == "=" else kind[:-2])
    if base is None:
        raise DataError(f"{path}: found values of type {kind}, expected one of {', '.join(_TYPES)}, bit")
    return _bytes(path, np.dtype(order + base), int(offset), shape)


def _bytes(path: Path, dtype: np.dtype, offset: int, shape: Sequence[int]) -> np.ndarray:
    count = prod(shape)
    if not path.name.lower().endswith(".gz"):
        found = path.stat().st_size - offset
        if found < count * dtype.itemsize:
            raise DataError(f"{path}: found {max(found, 0)} bytes of data, expected {count * dtype.itemsize}")
        return np.memmap(path, dtype, "r", offset, (count,))
    check_declared(path, shape, dtype, offset)
    with _open(path) as file:
        file.seek(offset)
        content = file.read(count * dtype.itemsize)
    if len(content) < count * dtype.itemsize:
        raise DataError(f"{path}: found {len(content)} bytes of data, expected {count * dtype.itemsize}")
    return np.frombuffer(content, dtype, count)


def _affine(header: Header) -> np.ndarray:
    """Voxel indices to RAS+ mm."""
    affine = np.eye(4)
    rows = [[float(word) for word in re.split(r"[\s,]+", line)] for line in header.get("transform", [])]
    flat = np.array([number for row in rows for number in row])
    if flat.size in (12, 16):
        affine[:3] = flat.reshape(-1, 4)[:3]
    affine[:3, :3] *= [float(size) for size in _words(header, "vox")[:3]]
    return affine


def _contents(header: Header) -> Contents:
    lines = [line for line in header.get("dw_scheme", []) if line]
    if not lines:
        return Contents()
    table = np.array([[float(word) for word in re.split(r"[\s,]+", line)] for line in lines])[:, :4]
    return Contents(bvals=table[:, 3], bvecs=table[:, :3], gradients="dw_scheme, scanner axes", frame="world")
