"""The base of every error that the user of the library or of the command can have caused, and can mend."""

from __future__ import annotations


class MvnetError(ValueError):
    """An argument, an option or a file that cannot be used. The message is one line: `argument: found X, expected Y`.

    Whatever else is raised is a defect of the program.
    """


def first_line(error: BaseException, length: int = 120) -> str:
    """The first line of an error's text, at most `length` characters; the name of its type when it has no text."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:length]
