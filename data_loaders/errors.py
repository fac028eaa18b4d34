"""The one error type of the file loaders."""

from mvnet.errors import MvnetError


class DataError(MvnetError):
    """A file or array cannot be used as given. One line: the argument, what was found, what is expected."""
