"""The one error type of the file loaders."""


class DataError(ValueError):
    """A file or array cannot be used as given. One line: the argument, what was found, what is expected."""
