"""Which chunks of a shard of Zarr 3 were written: its index says so.

The index holds offset and length of every chunk, two unsigned integers of 64 bits, all bits set where there is none.
Source: Zarr specification, "Sharding codec (version 1.0)".
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

_CHECKSUM = 4  # bytes of the codec crc32c
_NONE = np.uint64(2**64 - 1)


def in_shard(file: Path, metadata: Any, inner: list[int], chunk: tuple[int, ...]) -> bool:
    """Whether a chunk is in a shard; True where the index is stored in a way that is not known here.

    Args:
        file: of the shard.
        metadata: of the Zarr array.
        inner: chunks of a shard along each axis.
        chunk: its place in the shard.
    """
    found = (codec for codec in metadata.to_dict()["codecs"] if codec["name"] == "sharding_indexed")
    configuration = next(found)["configuration"]
    names = [codec["name"] for codec in configuration.get("index_codecs", ())]
    order = (configuration.get("index_codecs") or [{}])[0].get("configuration", {}).get("endian", "little")
    if names not in (["bytes"], ["bytes", "crc32c"]) or order != "little":
        return True
    at_end = configuration.get("index_location", "end") == "end"
    offsets = _index(file, file.stat().st_mtime_ns, prod(inner), at_end, _CHECKSUM * (len(names) - 1))
    return offsets is None or offsets[int(np.ravel_multi_index(chunk, inner))] != _NONE


@lru_cache(maxsize=64)
def _index(file: Path, changed: int, count: int, at_end: bool, checksum: int) -> np.ndarray | None:
    """Offsets of the chunks of a shard; None where it is too short, which its reader will say."""
    size, length = file.stat().st_size, 16 * count
    if size < length + checksum:
        return None
    with open(file, "rb") as shard:
        shard.seek(size - length - checksum if at_end else 0)
        return np.frombuffer(shard.read(length), "<u8")[::2]
