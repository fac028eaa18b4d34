"""Chunks of Zarr that say to be longer than they are, or that unpack into more than an array asks for, are refused.

Blosc reads as many bytes as the head of a chunk names, whatever it was given, and dies of it; arrays of texts are
allocated for as many as the chunk counts; a packed chunk may hold a thousand times its bytes and more. Both versions
of Zarr decode by the classes of numcodecs, some of which they hold as constants, so that the classes themselves are
guarded. Whoever reads names the file (`errors.reading`).

Source: c-blosc, README_HEADER.rst (nbytes at 4 to 7, cbytes at 12 to 15); numcodecs.vlen (number of items at 0 to 3,
four bytes each), numcodecs.lz4 (bytes at 0 to 3); RFC 8878, section 3.1.1, the blocks of a Zstandard frame.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

_HEAD, _WORD = 16, 4  # bytes
_VALUE = 32  # bytes at most, filters included
_LEAST, _MOST = 1 << 26, 1 << 30  # bytes that any chunk may unpack into, and that none may
_ZSTD, _BLOCK = b"\x28\xb5\x2f\xfd", 1 << 17  # magic number; bytes of a compressed block at most
_limit = _LEAST


def allow_chunks(values: int) -> None:
    """Let chunks unpack into so many values from now on, unless more are allowed already, and no more than 1 GiB.

    Args:
        values: of a chunk of an array that is opened.
    """
    global _limit
    _limit = max(_limit, min(_VALUE * values, _MOST))


def _check_blosc(chunk: memoryview) -> None:
    if len(chunk) < _HEAD:
        raise RuntimeError(f"a chunk of blosc of {len(chunk)} bytes without a head")
    unpacked, length = struct.unpack_from("<I4xI", chunk, 4)
    if length != len(chunk):
        raise RuntimeError(f"a chunk of blosc of {len(chunk)} bytes that say to be {length}")
    _check_length(unpacked)


def _check_items(chunk: memoryview) -> None:
    count = struct.unpack_from("<I", chunk)[0] if len(chunk) >= _WORD else 0
    if len(chunk) < _WORD * (1 + count):
        raise RuntimeError(f"a chunk of {len(chunk)} bytes for {count} items")


def _check_lz4(chunk: memoryview) -> None:
    if len(chunk) >= _WORD:
        _check_length(struct.unpack_from("<I", chunk)[0])


def _check_zstd(chunk: memoryview) -> None:
    """The bytes that the head names, and those that the blocks can hold."""
    if len(chunk) < _HEAD or bytes(chunk[:4]) != _ZSTD:
        return  # the decoder says so
    flags = chunk[4]
    single = flags >> 5 & 1
    place = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    width = (single, 2, 4, 8)[flags >> 6]
    named = int.from_bytes(chunk[place : place + width], "little") + (256 if width == 2 else 0)
    place, total, last = place + width, 0, False
    while not last and place + 3 <= len(chunk):
        head = int.from_bytes(chunk[place : place + 3], "little")
        last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
        total += _BLOCK if kind == 2 else size
        place += 3 + (1 if kind == 1 else size)
    _check_length(max(named, total - _BLOCK))  # the last block may be short


def _check_length(length: int) -> None:
    if length > _limit:
        raise RuntimeError(f"a chunk that unpacks into more than {_limit} bytes")


_CHECKS: dict[str, Callable[[memoryview], None]] = {
    "Blosc": _check_blosc,
    "LZ4": _check_lz4,
    "VLenArray": _check_items,
    "VLenBytes": _check_items,
    "VLenUTF8": _check_items,
    "Zstd": _check_zstd,
}
"""Codecs whose chunks say how long they are."""
_UNPACKERS: dict[str, Callable[[Any], Any]] = {
    "BZ2": lambda codec: bz2.BZ2Decompressor(),
    "GZip": lambda codec: zlib.decompressobj(zlib.MAX_WBITS | 16),
    "LZMA": lambda codec: lzma.LZMADecompressor(format=codec.format, filters=codec.filters),
    "Zlib": lambda codec: zlib.decompressobj(),
}
"""Codecs whose chunks are unpacked here, no farther than the limit."""


@cache
def guard_chunks() -> None:
    """Let the codecs of numcodecs check a chunk before they decode it, from now on."""
    import numcodecs

    for name, check in _CHECKS.items():
        kind = getattr(numcodecs, name)
        kind.decode = _behind(check, kind.decode)
    for name, make in _UNPACKERS.items():
        kind = getattr(numcodecs, name)
        kind.decode = _unpacking(make, kind.decode)


def _behind(check: Callable[[memoryview], None], decode: Callable[..., Any]) -> Callable[..., Any]:
    from numcodecs.compat import ensure_contiguous_ndarray

    @wraps(decode)
    def checked(self: Any, buf: Any, out: Any = None) -> Any:
        check(ensure_contiguous_ndarray(buf).data.cast("B"))
        return decode(self, buf, out)

    return checked


def _unpacking(make: Callable[[Any], Any], decode: Callable[..., Any]) -> Callable[..., Any]:
    from numcodecs.compat import ensure_contiguous_ndarray, ndarray_copy

    @wraps(decode)
    def bounded(self: Any, buf: Any, out: Any = None) -> Any:
        unpacked = _unpack(lambda: make(self), bytes(ensure_contiguous_ndarray(buf).data))
        return unpacked if out is None else ndarray_copy(unpacked, out)

    return bounded


def _unpack(make: Callable[[], Any], chunk: bytes) -> bytes:
    """All streams of a chunk one after the other."""
    found, total = [], 0
    while chunk:
        stream = make()
        found.append(stream.decompress(chunk, _limit + 1 - total))
        total += len(found[-1])
        _check_length(total)
        if not stream.eof:
            raise RuntimeError("a packed chunk that ends early")
        chunk = stream.unused_data.lstrip(b"\0")  # which some pad with
    return b"".join(found)
