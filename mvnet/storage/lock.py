"""Locks that end with the process that holds them: of a file, and of a folder while names in it change."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None

_PATIENCE = 10.0  # seconds that the lock of a folder is waited for
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_held: dict[int, object] = {}  # descriptor -> what is released with it: a number is used again once it is closed


def _release_in_child() -> None:
    """A forked process holds no lock of its parent, which may die before it."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)


class FileLock:
    """A lock that is held until it is released, or its process ends.

    Args:
        path: of the file.
        descriptor: open, and locked.
        sure: whether it keeps others away, which not every file system can.
    """

    def __init__(self, path: Path, descriptor: int, sure: bool):
        self.path, self.sure, self._descriptor, self._key = path, sure, descriptor, object()
        _held[descriptor] = self._key

    def release(self, *, remove: bool = False) -> None:
        """Give it back; may be called twice.

        Args:
            remove: whether the file goes too.
        """
        if _held.get(self._descriptor) is not self._key:
            return
        if remove:
            self.path.unlink(missing_ok=True)
        del _held[self._descriptor]
        os.close(self._descriptor)

    def __del__(self) -> None:
        self.release()


def lock_file(path: Path, *, create: bool = True) -> FileLock | None:
    """Lock a file; one that was removed meanwhile is made anew.

    Args:
        path: no link.
        create: make the file where it is missing.
    Returns:
        the lock, None where another holds it.
    Raises:
        OSError: a link, no such file, no permission.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | _NO_LINK | (os.O_CREAT if create else 0), 0o600)
        held = _try_lock(descriptor)
        if held is False:
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                return FileLock(path, descriptor, held is True)
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool | None:
    """Whether the lock is held now; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Let no other process begin or commit in a folder meanwhile.

    Args:
        folder: one that exists.
    Yields:
        whether the lock is held: not where the file system has none, or another keeps it for long.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | _NO_LINK)
    except OSError:
        yield False
        return
    _held[descriptor] = descriptor
    try:
        end = time.monotonic() + _PATIENCE
        while (held := _try_lock(descriptor)) is False and time.monotonic() < end:
            time.sleep(0.01)
        yield held is True
    finally:
        _held.pop(descriptor, None)
        os.close(descriptor)
