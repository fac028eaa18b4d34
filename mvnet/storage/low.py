"""The operations that commits are made of; none follows a link."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def is_own_folder(path: Path) -> bool:
    """Whether a path is a folder of this user, and no link to one.

    Args:
        path: may be missing.
    Returns:
        True for such a folder.
    """
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == getattr(os, "geteuid", lambda: state.st_uid)()


def write_new(path: Path, data: bytes) -> None:
    """Write a file that does not exist, down to the disk.

    Args:
        path: its path.
        data: its content.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def rename(source: Path, target: Path) -> None:
    """Rename a file or folder in one step, in the place of a file that is there.

    Args:
        source: its path.
        target: its new path.
    """
    if os.name == "posix":
        os.rename(source, target)
    else:  # where a rename replaces nothing
        os.replace(source, target)


def sync_file(path: Path) -> None:
    """Bring the content of a file to the disk; a link has none.

    Args:
        path: of the file.
    """
    if not path.is_symlink():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to the disk, where the system can.

    Args:
        path: of the folder.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:  # may not be read, or not be opened on this system
        return
    try:
        os.fsync(descriptor)
    except OSError:  # no such thing on this file system
        pass
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Bring a file, or a folder with everything in it, to the disk.

    Args:
        path: of either.
    """
    if path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            sync_tree(entry)
        sync_folder(path)
    else:
        sync_file(path)
