"""Reading the beginning of text files, to recognise their format."""

from __future__ import annotations

from pathlib import Path


def head_lines(path: Path, count: int, size: int = 4096) -> list[str]:
    """The first `count` lines of a text file, of at most `size` bytes; [] of a folder or a binary file."""
    if not path.is_file():
        return []
    with open(path, "rb") as file:
        block = file.read(size)
    if b"\0" in block:
        return []
    return block.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()[:count]
