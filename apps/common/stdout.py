"""What a command prints in the end, on a stdout that may be full or closed: found before the work where it can be."""

from __future__ import annotations

import errno
import os
import select
import sys
from contextlib import suppress

from mvnet.apps.common.errors import UserError, one_line


def check_stdout() -> None:
    """UserError where nothing can be printed: no room, or nobody who reads. A stdout that was closed is not used."""
    try:
        number = sys.stdout.fileno()
    except (AttributeError, ValueError, OSError):  # closed, or none of the system's
        return
    try:
        os.write(number, b"")  # says whether a device is full
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(number, 0)
            if any(event & select.POLLERR for _, event in poll.poll(0)):
                raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
    except OSError as error:
        raise UserError(f"stdout: found that it cannot be written to ({one_line(error)}), expected one that can") from (
            error
        )


def print_result(text: str) -> None:
    """Print the outcome of a command, whose files are complete. UserError where that cannot be done."""
    try:
        print(text)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _silence()
        raise UserError(
            f"stdout: found that it cannot be written to ({one_line(error)}), expected one that can; all files of the "
            "command are complete"
        ) from error


def _silence() -> None:
    """What is still to be printed goes nowhere, so that the interpreter does not fail on it at its end."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
