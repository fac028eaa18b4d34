"""The base of every error that the user of the library or of the command can have caused, and can mend."""

from __future__ import annotations


class MvnetError(ValueError):
    """An argument, an option or a file that cannot be used. The message is one line: `argument: found X, expected Y`.

    Whatever else is raised is a defect of the program.
    """
