"""What the command line does when something goes wrong: one line on stderr and an exit status.

    2    bad input or options, no room on the disk, no permission: whatever the user can mend
    130  Ctrl-C;  143  terminated;  129  the terminal was closed
A defect of the program itself shows its traceback (status 1); with MVNET_DEBUG=1 in the environment all
errors do.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable

from mvnet.errors import MvnetError

USER_ERROR, INTERRUPTED = 2, 130
STOPPING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a run; its status is then 128 and their number."""


class UserError(MvnetError):
    """The command cannot be carried out as given. The message says what was found and what is expected."""


def one_line(error: BaseException) -> str:
    """The text of an error on one line."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "no space left on the disk"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return "a file would be larger than the system allows"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "not enough memory"
    return " ".join(str(error).split()) or type(error).__name__


def guarded(work: Callable[[], object]) -> int:
    """Run `work`; returns the exit status, with errors of the user's told in one line on stderr."""

    def terminate(number: int, frame: object) -> None:
        raise SystemExit(128 + number)  # unwinds, so that unfinished outputs are removed

    previous = {number: signal.getsignal(number) for number in STOPPING}
    for number, handler in previous.items():
        if handler is not signal.SIG_IGN:  # as nohup asks
            signal.signal(number, terminate)
    try:
        status = work()
        if status == INTERRUPTED:  # the parser's way to hand on a KeyboardInterrupt
            raise KeyboardInterrupt
        return status if isinstance(status, int) else 0
    except KeyboardInterrupt:
        _tell("interrupted")
        return INTERRUPTED
    except (ValueError, OSError, MemoryError) as error:
        if os.environ.get("MVNET_DEBUG"):
            raise
        _tell(one_line(error))
        return USER_ERROR
    except Exception as error:
        if hasattr(error, "format_message") and not os.environ.get("MVNET_DEBUG"):  # a usage error of the parser
            if text := error.format_message():  # type: ignore[attr-defined]  # empty after the help of a bare command
                _tell(one_line(ValueError(text)))
            return USER_ERROR
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _tell(message: str) -> None:
    print(f"mvnet: error: {message}", file=sys.stderr)
