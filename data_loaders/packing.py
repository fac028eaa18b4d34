"""How much packed data hold: seen by unpacking no farther than they may."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DEFLATE = 1032
"""Bytes that a byte of deflate stands for at most: it packs 258 into two bits."""


def unpacked_size(stream: Any, pieces: Iterable[bytes], most: int) -> int:
    """Bytes that packed pieces unpack into.

    Args:
        stream: decompressor of zlib, bz2 or lzma.
        pieces: of the packed data, in order; those behind the end of the stream are not asked for.
        most: bytes that are looked for.
    Returns:
        their number, or most + 1 where there are more.
    """
    total = 0
    for piece in pieces:
        total += len(stream.decompress(piece, most + 1 - total))
        if stream.eof or total > most:
            break
    return total
