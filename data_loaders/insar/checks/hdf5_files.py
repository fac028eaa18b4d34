"""Opening HDF5 and NetCDF-4 files: gone through in a process of their own first, and without files elsewhere."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from mvnet.data_loaders.errors import reading
from mvnet.data_loaders.insar.checks.sources import LOCAL, Access, check_names
from mvnet.data_loaders.isolated import parse_isolated
from mvnet.data_loaders.optional import import_optional


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
            state = path.stat()
            check_names(path, _files_named(path, state.st_mtime_ns, state.st_size), access)
    return import_optional("h5py", "insar").File(path, mode)


@lru_cache(maxsize=32)
def _files_named(path: Path, *state: int) -> tuple[str, ...]:
    return tuple(parse_isolated("HDF5", path))
