"""Reading .npy headers and .npz archives of plain arrays: nothing pickled, and no more than the file can hold."""

from __future__ import annotations

import struct
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.packing import DEFLATE

_SLACK = 1 << 16  # bytes of headers
_USUAL, _MODEST = 64, 1 << 30  # bytes that a byte of a large archive stands for at most; bytes that any may hold


def read_npy_header(file: Any, path: str | Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and dtype of a .npy file, which is then at its first value.

    Args:
        file: at its beginning, seekable.
        path: for the message.
    Raises:
        DataError: a header that says to be longer than one is; numpy would ask for as many bytes.
        ValueError: no header of numpy.
    """
    first = np.lib.format.read_magic(file) == (1, 0)
    start, form = file.tell(), "<H" if first else "<I"
    words = file.read(struct.calcsize(form))
    if len(words) == struct.calcsize(form) and (length := struct.unpack(form, words)[0]) > _SLACK:
        raise DataError(f"{path}: found a header of {length} bytes, expected at most {_SLACK}: damaged")
    file.seek(start)
    header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    return header(file)


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of an archive.

    Args:
        path: of the file.
    Raises:
        DataError: damaged, arrays that only pickle could read, or that declare more than the file can hold.
    """
    with reading(path, "an .npz of plain arrays"), zipfile.ZipFile(path) as archive:
        _check_sizes(Path(path), archive)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    """DataError for members, or arrays in them, that are longer than the file allows."""
    size, total = path.stat().st_size, sum(info.file_size for info in archive.infolist())
    if total > min(DEFLATE * size + _SLACK, max(_USUAL * size, _MODEST)):
        raise DataError(f"{path}: found {size} bytes that declare {total}, expected what arrays of numbers pack into")
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        with archive.open(info) as member:
            shape, _, dtype = read_npy_header(member, path)
        declared = prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or (declared > info.file_size and not dtype.hasobject):
            found = f"{info.file_size} bytes for {info.filename} of shape {shape}"
            raise DataError(f"{path}: found {found}, expected {declared}: truncated or damaged")
