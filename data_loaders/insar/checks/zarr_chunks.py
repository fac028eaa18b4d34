"""Chunks that say to be longer than they are, refused before compiled code follows what they say.

Blosc reads as many bytes as the head of a chunk names, whatever it was given, and dies of it; arrays of texts are
allocated for as many as the chunk counts. Both versions of Zarr decode by the classes of numcodecs, some of which they
hold as constants, so that the classes themselves are guarded. Whoever reads names the file (`errors.reading`).

Source: c-blosc, README_HEADER.rst (cbytes at 12 to 15); numcodecs.vlen (number of items at 0 to 3, four bytes each).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

_HEAD, _WORD = 16, 4  # bytes


def _check_blosc(chunk: memoryview) -> None:
    if len(chunk) < _HEAD or (length := struct.unpack_from("<I", chunk, 12)[0]) != len(chunk):
        said = f"that say to be {length}" if len(chunk) >= _HEAD else "without a head"
        raise RuntimeError(f"a chunk of blosc of {len(chunk)} bytes {said}")


def _check_items(chunk: memoryview) -> None:
    count = struct.unpack_from("<I", chunk)[0] if len(chunk) >= _WORD else 0
    if len(chunk) < _WORD * (1 + count):
        raise RuntimeError(f"a chunk of {len(chunk)} bytes for {count} items")


_CHECKS: dict[str, Callable[[memoryview], None]] = {
    "Blosc": _check_blosc,
    "VLenUTF8": _check_items,
    "VLenBytes": _check_items,
    "VLenArray": _check_items,
}


@cache
def guard_chunks() -> None:
    """Let the codecs of numcodecs check a chunk before they decode it, from now on."""
    import numcodecs

    for name, check in _CHECKS.items():
        kind = getattr(numcodecs, name)
        kind.decode = _behind(check, kind.decode)


def _behind(check: Callable[[memoryview], None], decode: Callable[..., Any]) -> Callable[..., Any]:
    from numcodecs.compat import ensure_contiguous_ndarray

    @wraps(decode)
    def checked(self: Any, buf: Any, out: Any = None) -> Any:
        check(ensure_contiguous_ndarray(buf).data.cast("B"))
        return decode(self, buf, out)

    return checked
