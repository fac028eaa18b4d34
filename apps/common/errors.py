"""What the command line does when something goes wrong: one line on stderr and an exit status.

    1    a defect of the program; the line names the file that the traceback was written to
    2    bad input or options, no room on the disk, no permission, no memory: whatever the user can mend
    130  Ctrl-C;  143  terminated;  129  the terminal was closed
With MVNET_DEBUG=1 in the environment every error shows its traceback instead.
"""

from __future__ import annotations

import errno
import os
import platform
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mvnet.errors import MvnetError, MvnetWarning

DEFECT, USER_ERROR, INTERRUPTED = 1, 2, 130
STOPPING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a run; its status is then 128 and their number."""
_ENDS: dict[object, str] = {129: "the terminal was closed", 143: "terminated"}
STATUSES = (
    "Exit status: 0 success; 1 a defect of mvnet, or a guarantee that fails; 2 bad input or options, lack of space or "
    "memory, or a stdout that cannot be written to; 130 interrupted; 143 terminated; 129 terminal closed. With "
    "MVNET_DEBUG=1 in the environment, errors show their traceback."
)
"""For the help page."""


class UserError(MvnetError):
    """The command cannot be carried out as given. The message says what was found and what is expected."""


def run_cli(work: Callable[[], object]) -> int:
    """Run `work` and return the exit status; an error becomes one line on stderr, as the module says."""
    with _stopped_by_signals(), _warnings_in_lines():
        try:
            status = work()
            if status == INTERRUPTED:  # the parser's way to hand on a KeyboardInterrupt
                raise KeyboardInterrupt
            return status if isinstance(status, int) else 0
        except KeyboardInterrupt:
            _print_error("interrupted")
            return INTERRUPTED
        except SystemExit as error:
            if error.code in _ENDS:
                _print_error(_ENDS[error.code])
            raise
        except Exception as error:
            if os.environ.get("MVNET_DEBUG"):
                raise
            if hasattr(error, "format_message"):  # a usage error of the parser
                if text := error.format_message():  # type: ignore[attr-defined]  # empty after the help of a group
                    _print_error(" ".join(text.split()))
                return USER_ERROR
            if isinstance(error, MvnetError | OSError | MemoryError) or is_out_of_memory(error):
                _print_error(one_line(error))
                return USER_ERROR
            _print_error(f"defect of mvnet: {type(error).__name__}: {one_line(error)} ({_write_traceback(error)})")
            return DEFECT


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch, which has no MemoryError, ran out of memory on a GPU or on the CPU."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def failure(error: Exception) -> tuple[int, str]:
    """Exit status and line of an error that ends one task of several."""
    if isinstance(error, MvnetError | OSError | MemoryError) or is_out_of_memory(error):
        return USER_ERROR, one_line(error)
    return DEFECT, f"defect of mvnet: {type(error).__name__}: {one_line(error)}"


def one_line(error: BaseException) -> str:
    """The text of an error on one line."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "no space left on the disk"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return "a file would be larger than the system allows"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError) or is_out_of_memory(error):
        return "not enough memory"
    return " ".join(str(error).split()) or type(error).__name__


def _write_traceback(error: BaseException) -> str:
    """Write the traceback where there is room for it; returns where, in words."""
    from mvnet import __version__

    head = f"mvnet {__version__}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv}\n\n"
    text = head + "".join(traceback.format_exception(error))
    for folder in (Path.cwd, tempfile.gettempdir):
        try:
            place, path = tempfile.mkstemp(".txt", "mvnet-error-", folder())
            with open(place, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError:
            continue
        return f"traceback in {path}"
    return "no room to write the traceback; it shows with MVNET_DEBUG=1"


def _print_error(message: str) -> None:
    with suppress(OSError):  # nobody to read it
        print(f"mvnet: error: {message}", file=sys.stderr)


@contextmanager
def _warnings_in_lines() -> Iterator[None]:
    """Warnings of mvnet are one line each, as errors are; those of others look as Python shows them."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def show_line(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, MvnetWarning):
                print(f"mvnet: warning: {message}", file=sys.stderr)
            else:
                show(message, category, *place)

        warnings.simplefilter("always", MvnetWarning)
        warnings.showwarning = show_line
        yield


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """The signals that end a run raise SystemExit inside, so that unfinished outputs are removed."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    previous = {number: signal.getsignal(number) for number in STOPPING}
    for number, handler in previous.items():
        if handler is not signal.SIG_IGN:  # as nohup asks
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
