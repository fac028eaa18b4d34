"""Whether files are still those that a run began with.

    size, time of change, inode, SHA-256 of the first and the last 64 KiB

A folder stands for its files: their number, their sizes, and the latest time of change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

_PART = 1 << 16  # bytes

State = tuple[int, int, int]
"""size, time of change in ns, inode"""


class Inputs:
    """Files and folders as they are now.

    Args:
        paths: of files and folders; what does not exist is left out.
    """

    def __init__(self, paths: Iterable[Path]):
        self._states = {path: _state(path) for path in paths if path.exists()}
        self._digests = {path: content_digest(path) for path in self._states}

    def changed(self, *, thoroughly: bool = True) -> Path | None:
        """The first that is another now; one that cannot be seen has not changed: to read it is an error.

        Args:
            thoroughly: look into files, and into folders at all.
        Returns:
            its path, None where all are as they were.
        """
        for path, state in self._states.items():
            if path.is_dir() and not thoroughly:
                continue
            try:
                if _state(path) != state or (thoroughly and content_digest(path) != self._digests[path]):
                    return path
            except OSError:
                continue
        return None


def content_digest(path: Path) -> str:
    """SHA-256 of the head and tail of a file.

    Args:
        path: of a file or folder.
    Returns:
        16 hexadecimal digits; "" of a folder.
    """
    if path.is_dir():
        return ""
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read(_PART))
        file.seek(max(0, os.fstat(file.fileno()).st_size - _PART))
        digest.update(file.read(_PART))
    return digest.hexdigest()[:16]


def _state(path: Path) -> State:
    found = path.stat()
    if not path.is_dir():
        return found.st_size, found.st_mtime_ns, found.st_ino
    states = [file.stat() for file in sorted(path.rglob("*")) if file.is_file()]
    latest = max((state.st_mtime_ns for state in states), default=found.st_mtime_ns)
    return sum(state.st_size for state in states), latest, len(states)
