"""Reading .npz archives of plain arrays: nothing pickled, and no more than the file can hold."""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading

_RATIO, _SLACK = 1032, 1 << 16  # bytes that a byte of deflate stands for at most; bytes of headers


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
    if total > _RATIO * size + _SLACK:
        raise DataError(f"{path}: found {size} bytes that declare {total}, expected what deflate can hold")
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(member)
        declared = prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or (declared > info.file_size and not dtype.hasobject):
            found = f"{info.file_size} bytes for {info.filename} of shape {shape}"
            raise DataError(f"{path}: found {found}, expected {declared}: truncated or damaged")
