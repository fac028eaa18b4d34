"""Bytes that an image declares, against those that its file can hold: asked before any is read."""

from __future__ import annotations

import bz2
import math
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.packing import DEFLATE, unpacked_size

_RATIOS = {".gz": DEFLATE, ".bz2": 1 << 15, ".zst": 1 << 17}
"""End of a name -> bytes at most that a byte of such a file stands for: deflate packs 258 into two bits."""
_SLACK = 1 << 16  # bytes
_USUAL, _MODEST = 128, 1 << 30  # bytes that a byte of a large image stands for at most; bytes that any may hold
_HEADERS = (348, 540)  # bytes of NIfTI-1 and NIfTI-2


def check_declared(path: Path, shape: Sequence[int], dtype: Any, offset: int = 0, packed: bool = False) -> None:
    """Refuse an image that its file cannot hold.

    Args:
        path: of the file with the voxels.
        shape: as the header has it.
        dtype: of a voxel.
        offset: bytes before the voxels.
        packed: the voxels are compressed by deflate whatever the name says.
    Raises:
        DataError: a length below zero, more bytes than the file can hold, or so many that it holds nearly nothing.
    """
    lengths = [int(length) for length in shape]
    if min(lengths, default=0) < 0:
        raise DataError(f"{path}: found shape {tuple(lengths)}, expected no negative length")
    ratio = _RATIOS.get(path.suffix.lower(), _RATIOS[".gz"] if packed else 1)
    declared, size = max(0, int(offset)) + prod(lengths) * np.dtype(dtype).itemsize, path.stat().st_size
    if declared > (size if ratio == 1 else ratio * size + _SLACK):
        found = f"{size} bytes, of which a header declares {declared}"
        raise DataError(f"{path}: found {found} for shape {tuple(lengths)}, expected all of them: truncated or damaged")
    if declared > max(_USUAL * size, _MODEST):
        found = f"{size} bytes that unpack into {declared}"
        raise DataError(f"{path}: found {found} for shape {tuple(lengths)}, expected at most {_USUAL} times as many")


def check_packed(path: Path, start: int, declared: int) -> None:
    """Refuse packed data that hold more than a header declares, before a reader unpacks all of them.

    Args:
        path: of a file of gzip or bzip2.
        start: bytes before the packed ones.
        declared: bytes, at most.
    Raises:
        DataError: more of them.
    """
    with open(path, "rb") as file:
        file.seek(start)
        stream = bz2.BZ2Decompressor() if file.read(3) == b"BZh" else zlib.decompressobj(zlib.MAX_WBITS | 16)
        file.seek(start)
        if unpacked_size(stream, iter(partial(file.read, _SLACK), b""), declared) > declared:
            raise DataError(f"{path}: found packed data of more than the {declared} bytes declared, expected those")


def check_image(image: Any, path: Path) -> None:
    """`check_declared` of a nibabel image whose voxels have not been read."""
    proxy = image.dataobj
    if isinstance(proxy, np.ndarray):
        return
    name = getattr(image.file_map.get("image"), "filename", None)
    place = Path(name) if name and Path(name).is_file() else path
    check_declared(place, proxy.shape, image.get_data_dtype(), getattr(proxy, "offset", 0))


def check_extensions(path: Path) -> None:
    """Refuse NIfTI header extensions that the file cannot hold, before nibabel reads one as long as it says to be.

    Args:
        path: of a file that may be NIfTI-1 or -2; any other passes.
    Raises:
        DataError: an extension beyond the end.
    Source: NIfTI-1 standard, "Extended header": sizes include the eight bytes that hold size and code.
    """
    from nibabel.openers import ImageOpener

    size = path.stat().st_size * _RATIOS.get(path.suffix.lower(), 1) + _SLACK
    with reading(path, "a NIfTI image"), ImageOpener(str(path)) as file:
        header = file.read(max(_HEADERS))
        order = next((o for o in "<>" if header[:4] in (struct.pack(f"{o}i", length) for length in _HEADERS)), None)
        if order is None:
            return
        (place,) = struct.unpack(f"{order}i", header[:4])
        stop = _first_voxel(header, place, order)
        file.seek(place)
        place += len(flags := file.read(4))
        while flags[:1] not in (b"", b"\0") and _goes_on(stop - place) and len(head := file.read(8)) == 8:
            length, _ = struct.unpack(f"{order}ii", head)
            place += length
            if length < 8 or place > size:
                raise DataError(f"{path}: found a header extension of {length} bytes, expected one inside of the file")
            file.seek(place)


def _goes_on(left: float) -> bool:
    """Whether nibabel reads a further extension: below zero, which voxels inside of the header give, is to the end."""
    return left >= 16 or left < 0


def _first_voxel(header: bytes, length: int, order: str) -> float:
    """Where extensions end: at the voxels, where they are in the same file as the header."""
    single, magic, kind, at = (b"n+1", 344, "f", 108) if length == min(_HEADERS) else (b"n+2", 4, "q", 168)
    if header[magic : magic + 3] != single:
        return math.inf
    (found,) = struct.unpack_from(f"{order}{kind}", header, at)
    return found if found == found else 0.0
