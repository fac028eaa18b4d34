"""A process that is killed before its n-th file operation.

    killed_before(n, work)      work() in a forked process; whether it was killed

Operations are those that change the disk: opening to write, writing, renaming, linking, removing, making folders.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_ALWAYS = (
    *("write", "pwrite", "rename", "replace", "link", "symlink", "unlink", "remove", "mkdir", "rmdir"),
    *("truncate", "ftruncate", "chmod", "fsync"),
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed_before(number: int, work: Callable[[], object]) -> bool:
    """Run in a forked process that kills itself before its operation `number`.

    Args:
        number: from 1.
        work: raises nothing.
    Returns:
        False where it came to its end.
    Raises:
        RuntimeError: the work has failed.
    """
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _arm(number)
            work()
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the work ended with status {status}")
    return status == -signal.SIGKILL


@contextmanager
def without_sync() -> Iterator[None]:
    """Nothing waits for the disk inside: a killed process loses nothing of what it handed to the system."""
    usual, os.fsync = os.fsync, lambda descriptor: None
    try:
        yield
    finally:
        os.fsync = usual


def _arm(number: int) -> None:
    """Replace the operations of this process by ones that count."""
    count = [0]

    def counted(usual: Callable[..., Any], writes: Callable[..., bool] = lambda *a, **k: True) -> Callable[..., Any]:
        def operation(*arguments: Any, **options: Any) -> Any:
            if writes(*arguments, **options):
                count[0] += 1
                if count[0] == number:
                    os.kill(os.getpid(), signal.SIGKILL)
            return usual(*arguments, **options)

        return operation

    for name in _ALWAYS:
        setattr(os, name, counted(getattr(os, name)))
    os.open = counted(os.open, lambda path, flags, *a, **k: bool(flags & _WRITING))
    builtins.open = io.open = counted(
        io.open, lambda file, mode="r", *a, **k: not isinstance(file, int) and not set(mode).isdisjoint("wax+")
    )
