"""The one error type of the file loaders, and the place where the parsers' own errors become it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike

from mvnet.errors import MvnetError

_LONGEST = 300  # characters of a parser's own words
_NONSENSE = (errno.EINVAL, errno.EOVERFLOW, errno.ERANGE, errno.EDOM)  # what a system answers to a damaged file


class DataError(MvnetError):
    """A file or array cannot be used as given. One line: the argument, what was found, what is expected."""


class InputChangedError(DataError):
    """A file is another one than at the start of the run."""


@contextmanager
def reading(path: str | PathLike[str], kind: str) -> Iterator[None]:
    """Around whatever parses a file: any exception of a parser means that the file is damaged, or of another kind.

        with reading(path, "BVH"):
            parse(path)

    Args:
        path: of the file, as messages name it.
        kind: what the file was read as.
    Raises:
        DataError: in place of every exception but MvnetError, MemoryError, and an OSError of the system, which say
            themselves what is wrong; the file is added to the last where it names none.
    """
    try:
        yield
    except (MvnetError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None and error.errno not in _NONSENSE:
            error.filename = error.filename or str(path)
            raise
        found = f"truncated or damaged data that cannot be read as {kind}"
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST].rstrip(": ")
        raise DataError(f"{path}: found {found} ({reason}), expected a whole file of that kind") from error
