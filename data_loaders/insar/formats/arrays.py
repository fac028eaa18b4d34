"""Interferograms in HDF5, NetCDF-4 and Zarr."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.checks.extent import LONGEST_AXIS
from mvnet.data_loaders.insar.checks.hdf5_chunks import read_checked
from mvnet.data_loaders.insar.checks.hdf5_files import is_hdf5, open_hdf5
from mvnet.data_loaders.insar.checks.sources import ANYWHERE, LOCAL, Access
from mvnet.data_loaders.insar.checks.zarr_codecs import open_zarr
from mvnet.data_loaders.insar.formats.array_layers import Hdf5Layer, NetcdfLayer, ZarrLayer, netcdf_file
from mvnet.data_loaders.insar.formats.bands import choose_layers
from mvnet.data_loaders.insar.formats.choice import PRODUCTS, select_layers
from mvnet.data_loaders.insar.formats.datasets import DatasetFile
from mvnet.data_loaders.insar.formats.headers import from_centres, text
from mvnet.data_loaders.insar.layers import Layer
from mvnet.data_loaders.optional import import_optional

_AXES = ("x", "y", "lon", "lat")


def grid_transform(path: Path) -> Any:
    """The transform, north up, of a NetCDF grid with coordinates x and y (or lon and lat); None without."""
    try:
        if is_hdf5(path):
            with open_hdf5(path) as file:
                axes = {name: read_checked(file[name]) for name in _AXES if name in file and _is_axis(file[name])}
        else:
            with netcdf_file(path) as file:
                axes = {name: np.array(file.variables[name][:]) for name in _AXES if name in file.variables}
    except (OSError, TypeError, ValueError):
        return None
    x, y = axes.get("x", axes.get("lon")), axes.get("y", axes.get("lat"))
    return None if x is None or y is None or x.ndim != 1 or y.ndim != 1 else from_centres(x, np.sort(y)[::-1])


def _is_axis(data: Any) -> bool:
    return len(data.shape) == 1 and data.shape[0] <= LONGEST_AXIS


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store, of version 2 or 3."""
    marks = (".zgroup", ".zarray", "zarr.json", ".zmetadata")
    return path.is_dir() and any((path / mark).is_file() for mark in marks)


def is_nisar(path: Path) -> bool:
    """Whether an HDF5 file has the groups of NISAR."""
    return _holds(path, lambda file: any(name in file for name in ("science/LSAR", "science/SSAR")))


def is_aria(path: Path) -> bool:
    """Whether an HDF5 file has the groups of ARIA."""
    return _holds(path, lambda file: "science/grids/data" in file)


def is_mintpy(path: Path) -> bool:
    """Whether an HDF5 file is a stack of MintPy."""
    return _holds(path, lambda file: text(file.attrs.get("FILE_TYPE", "")) == "ifgramStack" or "unwrapPhase" in file)


def _holds(path: Path, test: Callable[[Any], bool]) -> bool:
    if not is_hdf5(path):
        return False
    try:
        with open_hdf5(path, access=ANYWHERE) as file:
            return test(file)
    except (DataError, OSError, RuntimeError, KeyError):  # damaged: its reader says so
        return False


def hdf5_layers(
    path: Path, wanted: str | int | None, product: str, coherence: bool, access: Access = LOCAL
) -> tuple[Layer, Layer | None]:
    """Interferogram and coherence of an HDF5 file.

    Args:
        path: of the file.
        wanted: name or part of the name of a dataset, position in a stack, or its dates "20200101_20200113".
        product: key of `PRODUCTS`.
        coherence: open the coherence as the layer.
        access: what may be opened besides the file.
    Raises:
        DataError: damaged file, no such dataset, data in files elsewhere.
    """
    h5py = import_optional("h5py", "insar")
    datasets: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            datasets[name] = item

    def follow(name: str, link: Any) -> None:
        if isinstance(link, h5py.ExternalLink):
            keep(name, file.get(name))

    with reading(path, "HDF5"), open_hdf5(path, access=access) as file:
        file.visititems(keep)
        file.visititems_links(follow)
        opened = DatasetFile(path, datasets, dict(file.attrs), Hdf5Layer)
        return select_layers(opened, wanted, PRODUCTS[product], coherence)


def zarr_layers(path: Path, wanted: str | int | None, coherence: bool) -> tuple[Layer, Layer | None]:
    """Interferogram and coherence of a Zarr store (also SNAP's .znap); arguments and errors as `hdf5_layers`."""
    with reading(path, "a Zarr store"):
        store = open_zarr(path)
        single = not hasattr(store, "members")
        members = [("", store)] if single else store.members(max_depth=4)
        datasets = {name: item for name, item in members if hasattr(item, "shape")}
        opened = DatasetFile(path, datasets, {} if single else dict(store.attrs), ZarrLayer)
        flat = [name for name, item in datasets.items() if len(item.shape) == 2]
        if not coherence and any(name.startswith("i_") for name in flat):  # SNAP
            layers = [replace(opened.layer(name, ("y", "x")), part=name) for name in flat]
            return choose_layers(layers, wanted, False)
        return select_layers(opened, wanted, PRODUCTS["any"], coherence)


@dataclass(frozen=True)
class _Variable:
    """What there is to know of a variable of a classic NetCDF file; values only of at most one axis, shape (n,)."""

    shape: tuple[int, ...]
    dtype: np.dtype
    attrs: Mapping[str, Any]
    dims: tuple[str, ...]
    values: np.ndarray | None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: Any) -> Any:
        return None if self.values is None else self.values[index]


def netcdf_layers(
    path: Path, wanted: str | int | None, coherence: bool, access: Access = LOCAL
) -> tuple[Layer, Layer | None] | None:
    """Interferogram and coherence of a NetCDF file, also of a GMT grid; None if it needs GDAL.

    Arguments and errors as `hdf5_layers`.
    """
    if is_hdf5(path):
        return hdf5_layers(path, wanted, "any", coherence, access)
    with open(path, "rb") as start:
        if start.read(4)[3:] == b"\x05":  # of 64-bit sizes
            return None
    with reading(path, "NetCDF"):
        variables, attributes = _classic_variables(path)
        file = DatasetFile(path, variables, attributes, NetcdfLayer)
        return select_layers(file, wanted, PRODUCTS["any"], coherence) if file.rasters() else None


def _classic_variables(path: Path) -> tuple[dict[str, _Variable], dict[str, Any]]:
    with netcdf_file(path) as file:
        found = {
            name: _Variable(
                shape=tuple(int(n) for n in item.shape),
                dtype=np.dtype(item.data.dtype),
                attrs=dict(item._attributes),
                dims=tuple(item.dimensions),
                values=np.array(item[:]) if len(item.shape) == 1 and item.shape[0] <= LONGEST_AXIS else None,
            )
            for name, item in file.variables.items()
        }
        return found, dict(file._attributes)
