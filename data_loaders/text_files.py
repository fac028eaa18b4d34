"""Reading the beginning of text files, to recognise their format."""

from __future__ import annotations

from pathlib import Path


def head_lines(path: Path, count: int) -> list[str]:
    """The first `count` lines of a text file, of at most 4096 bytes; [] of a folder or a binary file."""
    if not path.is_file():
        return []
    with open(path, "rb") as file:
        block = file.read(4096)
    if b"\0" in block:
        return []
    return block.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()[:count]
