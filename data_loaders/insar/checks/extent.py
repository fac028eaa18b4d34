"""Sizes that a file declares, against the bytes that it has."""

from __future__ import annotations

from pathlib import Path

from mvnet.data_loaders.errors import DataError

LONGEST_AXIS = 1 << 24
"""Elements of an axis, of its coordinates or of a list of pairs, at most: far more than any scene has."""
_ANY, _PER_BYTE = 1 << 34, 1 << 15  # pixels that any raster may have, and for each byte of its file


def check_extent(shape: tuple[int, int], path: Path | None, shown: str) -> None:
    """Refuse a raster with far more pixels than its file can hold, however it is packed.

    Args:
        shape: (rows, columns) declared.
        path: of its file or folder, None where there is none on this computer.
        shown: what to call it in messages.
    Raises:
        DataError: as said.
    """
    pixels = shape[0] * shape[1]
    if pixels <= _ANY or path is None or not path.exists():
        return
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    if path.is_file():  # a header, a VRT: what it refers to lies beside it
        files += [file for file in path.parent.iterdir() if file.is_file() and file != path]
    size = sum(file.stat().st_size for file in files)
    if pixels > _PER_BYTE * size:
        raise DataError(f"{shown}: found {shape[0]} x {shape[1]} pixels declared in {size} bytes, expected far fewer")


def check_count(count: int, what: str, shown: str) -> None:
    """DataError for a list that is longer than any of its kind."""
    if count > LONGEST_AXIS:
        raise DataError(f"{shown}: found {count} {what} declared, expected at most {LONGEST_AXIS}")
