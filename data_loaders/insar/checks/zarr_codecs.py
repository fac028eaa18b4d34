"""Opening Zarr stores whose metadata name safe codecs only.

A codec may run code while it decodes (numcodecs' `pickle`), and old readers decode the fill value of an array of
objects with the metadata already. So the metadata are read here, as JSON, before Zarr sees the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.checks.zarr_chunks import allow_chunks, guard_chunks
from mvnet.data_loaders.optional import import_optional

_NUMBERS = (
    ("adler32", "astype", "base64", "bitround", "blosc", "bz2", "crc32", "crc32c", "delta", "fixedscaleoffset")
    + ("fletcher32", "gzip", "jenkins_lookup3", "lz4", "lzma", "packbits", "pcodec", "quantize", "shuffle")
    + ("zfpy", "zlib", "zstd")
)
_OBJECTS = ("json2", "vlen-array", "vlen-bytes", "vlen-utf8")
SAFE_CODECS = frozenset(_NUMBERS + _OBJECTS)
"""Ids in Zarr 2, and in Zarr 3 behind "numcodecs."; none can run code."""
SAFE_CODECS_3 = frozenset(
    ("bytes", "endian", "transpose", "sharding_indexed", *SAFE_CODECS, *(f"numcodecs.{name}" for name in SAFE_CODECS))
)
"""Names in Zarr 3."""
_METADATA = (".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json")
_DEPTH = 8  # groups in groups; readers here look at four
_LONGEST = 1 << 26  # bytes of metadata


def open_zarr(path: str | Path, mode: str = "r", **options: Any) -> Any:
    """A Zarr store or array, open, its codecs checked.

    Args:
        path: of the folder.
        mode: "r" or "r+".
        options: of `zarr.open`.
    Raises:
        DataError: a codec that is not among the safe ones, an array of objects without one, damaged metadata.
    """
    path, zarr = Path(path), import_optional("zarr", "insar")
    states = [(path / name).stat().st_mtime_ns if (path / name).is_file() else 0 for name in _METADATA]
    _check_once(path, path.stat().st_mtime_ns, *states)
    guard_chunks()
    return zarr.open(str(path), mode=mode, **options)


@lru_cache(maxsize=8)
def _check_once(path: Path, *changed: int) -> None:
    check_codecs(path)


def check_codecs(path: Path) -> None:
    """Look at the metadata of every array of a Zarr store, of version 2 or 3; errors as of `open_zarr`."""
    for file in _metadata_files(path, _DEPTH):
        with reading(file, "the metadata of a Zarr store"):
            if file.stat().st_size > _LONGEST:
                raise DataError(f"{file}: found {file.stat().st_size} bytes, expected at most {_LONGEST} of metadata")
            content = json.loads(file.read_bytes())
            for name, array in _arrays(content):
                _check_array(f"{file}{f' ({name})' if name else ''}", array)


def _metadata_files(folder: Path, depth: int) -> Iterator[Path]:
    """Metadata of a folder and of those below it, without the chunks of arrays."""
    yield from (folder / name for name in (".zarray", ".zmetadata", "zarr.json") if (folder / name).is_file())
    if depth == 0 or (folder / ".zarray").is_file() or _is_array(folder / "zarr.json"):
        return
    for inner in sorted(folder.iterdir()):
        if inner.is_dir():
            yield from _metadata_files(inner, depth - 1)


def _is_array(file: Path) -> bool:
    if not file.is_file() or file.stat().st_size > _LONGEST:
        return False
    with reading(file, "the metadata of a Zarr store"):
        return json.loads(file.read_bytes()).get("node_type") == "array"


def _arrays(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Metadata of arrays, and of those that consolidated metadata of either version hold."""
    if not isinstance(content, dict):
        return
    if "dtype" in content or "codecs" in content or "filters" in content or "compressor" in content:
        yield "", content
    inner = content.get("consolidated_metadata")
    for entries in (content.get("metadata"), inner.get("metadata") if isinstance(inner, dict) else None):
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            yield from ((name, array) for _, array in _arrays(entry))


def _check_array(where: str, array: dict[str, Any]) -> None:
    grid = array.get("chunk_grid", {}).get("configuration", {}) if "codecs" in array else array
    chunks = grid.get("chunk_shape", grid.get("chunks")) or ()
    allow_chunks(prod(chunks) if all(isinstance(n, int) and n > 0 for n in chunks) else 0)
    if "codecs" in array:
        _check_ids(where, _names_in(array["codecs"]), SAFE_CODECS_3)
        kind = array.get("data_type")
        kind = kind.get("name") if isinstance(kind, dict) else kind
        if "object" in str(kind) or "pickle" in str(kind):
            raise DataError(f"{where}: found values of type {kind}, expected numbers or texts")
    given = [array.get("compressor"), *(array.get("filters") or ())]
    ids = [codec.get("id") if isinstance(codec, dict) else codec for codec in given if codec is not None]
    _check_ids(where, ids, SAFE_CODECS)
    if _holds_objects(array.get("dtype")) and not any(name in _OBJECTS for name in ids):
        raise DataError(f"{where}: found an array of objects, expected numbers or texts ({', '.join(_OBJECTS)})")


def _names_in(codecs: Any) -> Iterator[Any]:
    """Names of codecs of Zarr 3, of those inside of shards too."""
    for codec in codecs if isinstance(codecs, list) else [codecs]:
        if not isinstance(codec, dict):
            yield codec
            continue
        yield codec.get("name")
        configuration = codec.get("configuration")
        for key in ("codecs", "index_codecs"):
            if isinstance(configuration, dict) and key in configuration:
                yield from _names_in(configuration[key])


def _check_ids(where: str, found: Iterable[Any], safe: frozenset[str]) -> None:
    for name in found:
        if not isinstance(name, str) or name not in safe:
            raise DataError(f"{where}: found codec {name!r}, expected one of {', '.join(sorted(safe))}")


def _holds_objects(dtype: Any) -> bool:
    """Whether a type of Zarr 2 has objects in it."""
    if isinstance(dtype, list):
        return any(_holds_objects(field[1] if isinstance(field, list) and len(field) > 1 else field) for field in dtype)
    try:
        return dtype is not None and np.dtype(dtype).hasobject
    except TypeError:
        return True
