"""Chunks of HDF5 that unpack into more than they are: its deflate filter takes as much memory as they ask for.

A chunk is unpacked here first, no farther than its own length, where it could be so large that it matters.
"""

from __future__ import annotations

import zlib
from itertools import product
from math import prod
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.packing import DEFLATE, unpacked_size

_HARMLESS = 1 << 27  # bytes
_SLACK = 1 << 12  # of checksums and heads of filters


def read_checked(data: Any, key: tuple[int | slice, ...] = ()) -> np.ndarray:
    """data[key], after a look at the chunks that it touches.

    Args:
        data: h5py dataset; arrays of other kinds are read as they are.
        key: of the first axes; all of the others is read.
    Raises:
        DataError: a chunk that unpacks into more than it is.
    """
    if getattr(data, "compression", None) == "gzip":
        whole = (*key, *(slice(None) for _ in range(len(data.shape) - len(key))))
        for place in product(*(_touched(*axis) for axis in zip(whole, data.shape, data.chunks))):
            _check_chunk(data, place)
    return np.asarray(data[key or slice(None)])


def _touched(key: int | slice, length: int, side: int) -> range:
    """Chunks along an axis."""
    start, stop, _ = key.indices(length) if isinstance(key, slice) else (int(key), int(key) + 1, 1)
    return range(start // side, -(-stop // side))


def _check_chunk(data: Any, place: tuple[int, ...]) -> None:
    offset = tuple(k * n for k, n in zip(place, data.chunks))
    info, length = data.id.get_chunk_info_by_coord(offset), prod(data.chunks) * data.dtype.itemsize + _SLACK
    if info.byte_offset is None or DEFLATE * info.size < _HARMLESS:
        return
    _, packed = data.id.read_direct_chunk(offset)
    try:
        unpacked = unpacked_size(zlib.decompressobj(), [packed], length)
    except zlib.error:  # HDF5 says so
        return
    if unpacked > length:
        found = f"a chunk of {data.name} that unpacks into more than its {length} bytes"
        raise DataError(f"{data.file.filename}: found {found}, expected as many")
