"""The base class of every error that a user of the library or of the command line can cause and correct."""

from __future__ import annotations


class MvnetError(ValueError):
    """An argument, an option or a file that cannot be used. The message is one line: `argument: found X, expected Y`.

    Any other exception is a defect of the program.
    """


class MvnetWarning(UserWarning):
    """What a user should know though the work goes on. The message is one line."""


def first_line(error: BaseException, length: int = 120) -> str:
    """First line of an error's text.

    Args:
        error: any exception.
        length: largest number of characters.
    Returns:
        the line, cut to that length; the name of the type when there is no text.
    """
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:length]
