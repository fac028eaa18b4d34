"""Opening HDF5 and NetCDF-4 files: gone through in a process of their own first, and without files elsewhere."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.checks.sources import LOCAL, Access, check_place
from mvnet.data_loaders.isolated import parse_isolated
from mvnet.data_loaders.optional import import_optional

_MAGIC = b"\x89HDF\r\n\x1a\n"
_DEPTH = 8  # files that name files


def open_hdf5(path: str | Path, mode: str = "r", access: Access | None = LOCAL) -> Any:
    """An h5py file, open.

    Args:
        path: of the file.
        mode: "r" or "r+".
        access: what it may open besides itself; None leaves that unchecked, of a file that was opened before.
    Raises:
        DataError: damaged so that HDF5 dies of it; storage, virtual data sets or links in files elsewhere.
    """
    path = Path(path)
    if access is not None:
        with reading(path, "HDF5"):
            _check(path, path, access, _DEPTH)
    return import_optional("h5py", "insar").File(path, mode)


def files_named(path: Path) -> tuple[list[str], list[str]]:
    """The other files that HDF5 would open, by name: HDF5 files, and raw ones; errors as of `open_hdf5`."""
    state = path.stat()
    return _files_named(path, state.st_mtime_ns, state.st_size)


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _check(path: Path, top: Path, access: Access, depth: int) -> None:
    """`check_place` of all that a file names, and of what those name that are HDF5 themselves."""
    files, storage = files_named(path)
    for name in storage:
        check_place(top, name, access, [Path(name)], path)
    for name in files:
        places = _places(path, name)
        check_place(top, name, access, places, path)
        if depth == 0:
            raise DataError(f"{top}: found HDF5 files without end in one another, expected at most {_DEPTH}")
        for place in places:
            if is_hdf5(place):
                _check(place, top, access, depth - 1)


def _places(path: Path, name: str) -> list[Path]:
    """Where HDF5 looks for a file that another names: beside it, then from the working folder on."""
    beside = path.parent / name
    return [beside] if beside.exists() else [beside, Path(os.path.realpath(path)).parent / name, Path(name)]


@lru_cache(maxsize=32)
def _files_named(path: Path, *state: int) -> tuple[list[str], list[str]]:
    found = parse_isolated("HDF5", path)
    return found.files, found.storage
