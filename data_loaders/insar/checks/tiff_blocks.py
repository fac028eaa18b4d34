"""The blocks of a TIFF file: where they lie, and which of them were never written.

Read from the directory of the file itself, all at once, as GDAL tells of one block at a time.
Source: TIFF 6.0, section 2; BigTIFF, as libtiff has it.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.checks.blocks import Blocks

_WIDTH, _LENGTH, _ROWS, _PLANES, _TILE_WIDTH, _TILE_LENGTH = 256, 257, 278, 284, 322, 323
_OFFSETS, _SIZES = (324, 273), (325, 279)  # of tiles, of strips
_INTEGERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_MOST = 4096  # entries of a directory


def tiff_blocks(path: Path, band: int = 1) -> Blocks | None:
    """The blocks of a band of the first image of a TIFF file; None for a file without a list of them.

    Args:
        path: of the file, not in an archive.
        band: from 1.
    Raises:
        DataError: the list lies outside the file, or is too short for the image.
    """
    with open(path, "rb") as file:
        tags = _directory(file, path)
        width, length = (_one(tags, key) for key in (_WIDTH, _LENGTH))
        tiled = _OFFSETS[0] in tags
        offsets, sizes = (tags.get(keys[0 if tiled else 1]) for keys in (_OFFSETS, _SIZES))
        if offsets is None or sizes is None or not width or not length:
            return None
        block = (_one(tags, _TILE_LENGTH), _one(tags, _TILE_WIDTH)) if tiled else (_one(tags, _ROWS) or length, width)
        if min(block) < 1:
            return None
        block = (min(block[0], length) if not tiled else block[0], block[1])
        grid = (-(-length // block[0]), -(-width // block[1]))
        count = grid[0] * grid[1]
        first = (band - 1) * count if _one(tags, _PLANES) == 2 else 0
        if min(len(offsets), len(sizes)) < first + count:
            found = f"{min(len(offsets), len(sizes))} blocks"
            raise DataError(f"{path}: found {found}, expected {first + count} for {length} x {width} pixels")
    offsets, sizes = (values[first : first + count] for values in (offsets, sizes))
    missing = (sizes == 0) | (offsets == 0)
    ends = np.where(missing, 0, offsets.astype(np.float64) + sizes)  # damaged ones exceed 64 bits
    return Blocks(block, missing.reshape(grid), int(ends.max()))


def _one(tags: dict[int, np.ndarray], key: int) -> int:
    """The single number of a tag, 0 without."""
    values = tags.get(key)
    return 0 if values is None or not len(values) else int(values[0])


def _directory(file: BinaryIO, path: Path) -> dict[int, np.ndarray]:
    """The integer tags of the first directory."""
    size = os.fstat(file.fileno()).st_size
    order = "<" if file.read(2) == b"II" else ">"
    big = _read(file, 2, order, "u2", 1, size, path)[0] == 43
    word, entry = ("u8", 20) if big else ("u4", 12)
    start = int(_read(file, 8 if big else 4, order, word, 1, size, path)[0])
    length = int(_read(file, start, order, "u8" if big else "u2", 1, size, path)[0])
    start += 8 if big else 2
    if length > _MOST:
        raise DataError(f"{path}: found {length} tags, expected at most {_MOST} of a TIFF file")
    entries = bytes(_read(file, start, order, "u1", length * entry, size, path))
    found = {}
    for k in range(length):
        tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), entries, k * entry)
        if kind not in _INTEGERS:
            continue
        inline = start + k * entry + (12 if big else 8)
        dtype = np.dtype(_INTEGERS[kind])
        place = inline if count * dtype.itemsize <= (8 if big else 4) else None
        if place is None:
            place = int(_read(file, inline, order, word, 1, size, path)[0])
        if tag in (_WIDTH, _LENGTH, _ROWS, _PLANES, _TILE_WIDTH, _TILE_LENGTH, *_OFFSETS, *_SIZES):
            found[tag] = _read(file, place, order, _INTEGERS[kind], count, size, path)
    return found


def _read(file: BinaryIO, place: int, order: str, kind: str, count: int, size: int, path: Path) -> np.ndarray:
    """Integers at a place of the file, which must hold them."""
    dtype = np.dtype(order + kind)
    end = place + count * dtype.itemsize
    if end > size:
        raise DataError(f"{path}: found {size} bytes, expected at least {end}: the file is truncated")
    file.seek(place)
    return np.frombuffer(file.read(count * dtype.itemsize), dtype)
