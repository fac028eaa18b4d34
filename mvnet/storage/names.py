"""Names that a file can have, checked before the work that the file is for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from mvnet.errors import MvnetError

_USUAL = 255  # bytes of a name where the system does not say


def check_names(paths: Iterable[Path], what: str = "output") -> None:
    """Raise an error for names that are too long, or that are no text.

    Args:
        paths: of files that will be written.
        what: how the message begins.
    Raises:
        MvnetError: a name that is not UTF-8, or longer than the file system takes.
    """
    for path in paths:
        check_text(path, what)
        length, most = len(os.fsencode(path.name)), longest_name(path.parent)
        if length > most:
            raise MvnetError(f"{what}: found a name of {length} bytes, {path.name}, expected at most {most} bytes")


def check_text(path: PurePath | str, what: str) -> None:
    """Raise an error for a path, or another option, that is no text.

    Args:
        path: of a file.
        what: how the message begins.
    Raises:
        MvnetError: a name that is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise MvnetError(f"{what}: found a name that is not UTF-8, {shown}, expected one that is") from error


def longest_name(folder: Path) -> int:
    """Bytes that a name may have in a folder, or in the one that it will be made in.

    Args:
        folder: may be missing.
    Returns:
        the number.
    """
    there = next((parent for parent in (folder, *folder.absolute().parents) if parent.is_dir()), Path("/"))
    try:
        return os.pathconf(there, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):
        return _USUAL
