"""Stacks of Zarr, NetCDF-4 and HDF5: one variable (pair, y, x) of phases or complex values, as xarray writes them.

The copy has the denoised pairs in the same variable, and a variable `quality` with the same dimensions.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import reading
from mvnet.data_loaders.insar.checks.extent import check_count
from mvnet.data_loaders.insar.checks.hdf5_chunks import read_checked
from mvnet.data_loaders.insar.checks.hdf5_files import is_hdf5, open_hdf5
from mvnet.data_loaders.insar.checks.sources import Access
from mvnet.data_loaders.insar.checks.zarr_codecs import open_zarr
from mvnet.data_loaders.insar.formats.arrays import is_mintpy, is_zarr
from mvnet.data_loaders.insar.formats.headers import text
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, Pair, Stack, StackKind, keep
from mvnet.data_loaders.insar.stacks.copies import copy_of
from mvnet.data_loaders.insar.stacks.cube import QUALITY_TEXT, put_quality, replace_values, write_pairs
from mvnet.data_loaders.optional import import_optional

NAMES = "zarr", "netcdf"
_PHASE = r"(wrapped_?phase|wrapphase|phase|phasefilt|interferograms?|ifgs?|igrams?|wrappedinterferogram|z)$"
_ROWS = r"(y|lat|latitude|rows?|azimuth|northing)$"
_COLUMNS = r"(x|lon|longitude|cols?|columns?|range|easting)$"
_QUALITY = "quality"
_DIMENSIONS = "_ARRAY_DIMENSIONS"  # of xarray in Zarr 2


@contextmanager
def _opened(path: Path, mode: str, access: Access | None) -> Iterator[Any]:
    """An open file or store: names -> datasets; `access` as of `open_hdf5`."""
    if is_zarr(path):
        with reading(path, "a Zarr store"):
            yield open_zarr(path, mode, use_consolidated=False)
    else:
        with reading(path, "HDF5"), open_hdf5(path, mode, access) as file:
            yield file


def _find_zarr(path: Path, access: Access) -> Stack | None:
    return _find(path, NAMES[0], access) if is_zarr(path) else None


def _find_hdf5(path: Path, access: Access) -> Stack | None:
    return _find(path, NAMES[1], access) if is_hdf5(path) and not is_mintpy(path) else None


def _find(path: Path, kind: str, access: Access) -> Stack | None:
    with _opened(path, "r", access) as file:
        if not hasattr(file, "keys"):  # an array that is a store
            return None
        found = {name: file.get(name) for name in file}  # None for a link that leads nowhere
        cubes = {name: cube for name, cube in found.items() if getattr(cube, "ndim", 0) == 3 and _is_stack(cube)}
        wanted = [name for name in cubes if re.match(_PHASE, name, re.IGNORECASE)]
        others = [name for name, cube in cubes.items() if cube.dtype.kind == "c" and "slc" not in name.lower()]
        wanted += [name for name in others if name not in wanted]
        if not wanted:
            return None
        name, cube = wanted[0], cubes[wanted[0]]
        number, is_complex, labels = cube.shape[0], cube.dtype.kind == "c", _labels(file, cube)
        check_count(number, "pairs", str(path))
    names = labels or [f"pair_{k:0{len(str(number - 1))}d}" for k in range(number)]
    pairs = [
        Pair(label, path, (path,), (f"{label}_quality.tif", f"{label}.tif"), str(k), k) for k, label in enumerate(names)
    ]
    message = f"variable {name} is read, {number} pairs along its first axis"
    return Stack(path, kind, tuple(pairs), is_complex, messages=(message,), variable=name)


def _is_stack(cube: Any) -> bool:
    """Whether the first axis counts pairs: by the names of the axes, else by their lengths."""
    if cube.dtype.kind not in "fc" or cube.shape[0] < 2 or min(cube.shape[1:]) < 2:
        return False
    dims = dimensions(cube)
    if dims is None or not any(re.match(rf"{_ROWS}|{_COLUMNS}", name, re.IGNORECASE) for name in dims):
        return cube.shape[0] < min(cube.shape[1:])
    last = dims[1:]
    return all(re.match(pattern, name, re.IGNORECASE) for pattern, name in zip((_ROWS, _COLUMNS), last))


def dimensions(cube: Any) -> tuple[str, ...] | None:
    """The names of the axes of a dataset, None where it has none."""
    if hasattr(cube, "dims"):  # HDF5
        names = [axis.keys() and next(iter(axis.values())).name for axis in cube.dims]
        return tuple(name.rpartition("/")[2] for name in names) if all(names) else None
    if _DIMENSIONS in cube.attrs:
        return tuple(cube.attrs[_DIMENSIONS])
    names = getattr(cube.metadata, "dimension_names", None)
    return tuple(names) if names and all(names) else None


def _labels(file: Any, cube: Any) -> list[str] | None:
    """The names of the pairs in the coordinate of their axis, where it holds different texts."""
    dims = dimensions(cube)
    column = None if dims is None else file.get(dims[0])
    values = None if column is None or column.shape != (cube.shape[0],) else read_checked(column)
    if values is None or values.dtype.kind not in "SUOT" or values.shape != (cube.shape[0],):
        return None
    found = [re.sub(r"[^\w.-]+", "_", text(value)) for value in values]
    return found if len(set(found)) == len(found) and all(re.match(r"\w", name) for name in found) else None


def gather(stack: Stack, denoised: Mapping[str, DenoisedPair], target: Path) -> None:
    """The copy of the stack with the denoised pairs in it."""
    copy_of(stack.path, target, stack.access)
    with _opened(target, "r+", None) as file:
        cube = file[stack.variable]
        filled = cube.attrs.get("_FillValue")
        nodata = 0.0 if stack.is_complex else None if filled is None else float(np.real(np.ravel(filled)[0]))
        write_pairs(cube, stack, denoised, replace_values(nodata))
        write_pairs(_create_quality(file, cube), stack, denoised, put_quality)
    if is_zarr(target) and _is_consolidated(target):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that readers of Zarr 3 need not know it: the stack had it before
            import_optional("zarr", "insar").consolidate_metadata(str(target))


def _create_quality(file: Any, cube: Any) -> Any:
    if _QUALITY in file:
        del file[_QUALITY]
    chunks = cube.chunks
    if hasattr(cube, "dims"):
        made = file.create_dataset(_QUALITY, cube.shape, "float32", chunks=chunks, compression=cube.compression)
        for axis, like in zip(made.dims, cube.dims):
            for scale in like.values():
                axis.attach_scale(scale)
    else:
        names = {"dimension_names": dimensions(cube)} if cube.metadata.zarr_format == 3 else {}
        made = file.create_array(_QUALITY, shape=cube.shape, dtype="float32", chunks=chunks, **names)
        if _DIMENSIONS in cube.attrs:
            made.attrs[_DIMENSIONS] = cube.attrs[_DIMENSIONS]
    made.attrs["long_name"] = QUALITY_TEXT
    if "grid_mapping" in cube.attrs:
        made.attrs["grid_mapping"] = cube.attrs["grid_mapping"]
    return made


def _is_consolidated(path: Path) -> bool:
    mark = path / "zarr.json"
    return (path / ".zmetadata").is_file() or (mark.is_file() and "consolidated_metadata" in mark.read_text())


ZARR = StackKind(NAMES[0], _find_zarr, keep, gather, (".zarr",))
NETCDF = StackKind(NAMES[1], _find_hdf5, keep, gather, (".nc", ".nc4", ".h5", ".hdf5"))
