"""The copy of a stack that denoised pairs are written into: it reads no other file, and so changes none.

Of an HDF5 file what lies in other files, by external storage, virtual data sets or links, lies in the copy itself.
"""

from __future__ import annotations

import shutil
from math import prod
from pathlib import Path
from typing import Any

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.checks.hdf5_files import files_named, is_hdf5, open_hdf5
from mvnet.data_loaders.insar.checks.sources import Access
from mvnet.data_loaders.optional import import_optional

_DEPTH = 8  # links to links
_NUMBERS = 1 << 22  # copied at a time
_OWN = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME")  # attributes that HDF5 keeps itself


def copy_of(path: Path, target: Path, access: Access) -> None:
    """A file or a folder, copied.

    Args:
        path: of a stack.
        target: nothing is there yet.
        access: what the file may read besides itself.
    Raises:
        DataError: what it refers to is not there, or not allowed.
    """
    if path.is_dir():
        shutil.copytree(path, target)
        return
    shutil.copyfile(path, target)
    if is_hdf5(path) and any(files_named(path)):
        with (
            reading(path, "HDF5"),
            open_hdf5(path, access=access) as source,
            open_hdf5(target, "r+", access=None) as copied,
        ):
            _follow_links(source, copied, path)
            for name in _elsewhere(copied):
                _take_in(source, copied, name)


def _follow_links(source: Any, copied: Any, path: Path) -> None:
    """Put in place of links to other files what they lead to."""
    for _ in range(_DEPTH):
        links = _links(copied)
        if not links:
            return
        for name in links:
            item = source.get(name)
            if item is None:
                raise DataError(f"{path}: found nothing where its link {name} leads, expected a data set or group")
            del copied[name]
            source.copy(item, copied, name)
    raise DataError(f"{path}: found links to links without end, expected at most {_DEPTH}")


def _links(file: Any) -> list[str]:
    external, found = import_optional("h5py", "insar").ExternalLink, []
    file.visititems_links(lambda name, link: found.append(name) if isinstance(link, external) else None)
    return found


def _elsewhere(file: Any) -> list[str]:
    """The names of data sets whose values lie elsewhere, or in several others."""
    dataset, found = import_optional("h5py", "insar").Dataset, []

    def look(name: str, item: Any) -> None:
        if isinstance(item, dataset) and (item.is_virtual or item.external):
            found.append(name)

    file.visititems(look)
    return found


def _take_in(source: Any, copied: Any, name: str) -> None:
    """Put in place of a data set of the copy one that holds its values, with its attributes and axes."""
    old, values = copied[name], source[name]
    fresh = f"{name}.fresh"
    made = copied.create_dataset(fresh, old.shape, old.dtype, chunks=True, fillvalue=old.fillvalue)
    rows = max(1, _NUMBERS // max(1, prod(old.shape[1:])))
    for start in range(0, old.shape[0], rows):
        made[start : start + rows] = values[start : start + rows]
    for key in old.attrs:
        if key not in _OWN:
            made.attrs[key] = old.attrs[key]
    for axis, like in zip(made.dims, old.dims):
        axis.label = like.label
        for scale in like.values():
            axis.attach_scale(scale)
            like.detach_scale(scale)
    if old.is_scale:
        made.make_scale(Path(name).name)
        for axis in _axes_of(copied, old):
            axis.detach_scale(old)
            axis.attach_scale(made)
    del copied[name]
    copied.move(fresh, name)


def _axes_of(file: Any, scale: Any) -> list[Any]:
    """The axes of data sets that have a scale."""
    dataset, found = import_optional("h5py", "insar").Dataset, []

    def look(_: str, item: Any) -> None:
        if isinstance(item, dataset) and not item.is_scale:
            found.extend(axis for axis in item.dims if scale in axis.values())

    file.visititems(look)
    return found
