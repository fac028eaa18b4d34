"""Interferograms in HDF5, NetCDF-4 and Zarr: which dataset is the phase, which the coherence, and where it lies."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.formats.headers import cf_georeference, crs_from, from_centres, number, text
from mvnet.data_loaders.insar.formats.products import snap_bands
from mvnet.data_loaders.insar.layers import Hdf5Layer, Layer, ZarrLayer, first, join
from mvnet.data_loaders.optional import need

_PHASE = r"(^|/)(wrapped_?phase|wrapphase|phase|phasefilt|interferogram|ifg|wrappedinterferogram|z)$"
_COHERENCE = r"(^|/)(coherence|coherencemagnitude|corr|cor|coh|correlation)$"


@dataclass(frozen=True)
class Product:
    """Datasets of a product: patterns of the phase, best first, and of the coherence. zero: 0 means no data."""

    phase: tuple[str, ...]
    coherence: str
    zero: bool = False


PRODUCTS: dict[str, Product] = {
    "nisar": Product((r"/wrappedInterferogram$", r"/unwrappedPhase$"), r"/coherenceMagnitude$"),
    "aria": Product((r"^science/grids/data/unwrappedPhase$",), r"^science/grids/data/coherence$", zero=True),
    "mintpy": Product((r"^wrapPhase$", r"^unwrapPhase$"), r"^coherence$", zero=True),
    "any": Product((_PHASE,), _COHERENCE),
}
"""A new HDF5 product is one line here, one predicate below and one line in `FORMATS`."""


def is_hdf5(path: Path) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def grid_transform(path: Path) -> Any:
    """The transform, north up, of a NetCDF grid with coordinates x and y (or lon and lat); None without."""
    try:
        if is_hdf5(path):
            with need("h5py", "insar").File(path, "r") as file:
                axes = {name: np.asarray(file[name]) for name in _AXES if name in file}
        else:
            with need("scipy.io", "insar").netcdf_file(path, "r", mmap=False) as file:
                axes = {name: np.asarray(file.variables[name][:]) for name in _AXES if name in file.variables}
    except (OSError, TypeError, ValueError):
        return None
    x, y = axes.get("x", axes.get("lon")), axes.get("y", axes.get("lat"))
    return None if x is None or y is None or x.ndim != 1 or y.ndim != 1 else from_centres(x, np.sort(y)[::-1])


_AXES = ("x", "y", "lon", "lat")


def is_zarr(path: Path) -> bool:
    marks = (".zgroup", ".zarray", "zarr.json", ".zmetadata")
    return path.is_dir() and any((path / mark).is_file() for mark in marks)


def is_nisar(path: Path) -> bool:
    return _holds(path, lambda file: any(name in file for name in ("science/LSAR", "science/SSAR")))


def is_aria(path: Path) -> bool:
    return _holds(path, lambda file: "science/grids/data" in file)


def is_mintpy(path: Path) -> bool:
    return _holds(path, lambda file: text(file.attrs.get("FILE_TYPE", "")) == "ifgramStack" or "unwrapPhase" in file)


def _holds(path: Path, test: Callable[[Any], bool]) -> bool:
    if not is_hdf5(path):
        return False
    try:
        with need("h5py", "insar").File(path, "r") as file:
            return test(file)
    except OSError:
        return False


def hdf5_layers(path: Path, wanted: str | int | None, product: str, coherence: bool) -> tuple[Layer, Layer | None]:
    """Interferogram and coherence of an HDF5 file.

    Args:
        wanted: path or part of the path of a dataset, position in a stack, or its dates "20200101_20200113".
        product: key of `PRODUCTS`.
        coherence: open the coherence as the layer.
    Raises:
        DataError: damaged file, no such dataset.
    """
    h5py = need("h5py", "insar")
    try:
        with h5py.File(path, "r") as file:
            arrays: dict[str, Any] = {}
            file.visititems(lambda name, item: arrays.update({name: item} if isinstance(item, h5py.Dataset) else {}))
            return _choose(path, arrays, dict(file.attrs), wanted, product, coherence, _hdf5_layer)
    except OSError as error:
        raise DataError(f"{path}: not a readable HDF5 file, truncated or damaged ({first(error)})") from error


def zarr_layers(path: Path, wanted: str | int | None, coherence: bool) -> tuple[Layer, Layer | None]:
    """Interferogram and coherence of a Zarr store (also SNAP's .znap); arguments and errors as `hdf5_layers`."""
    zarr = need("zarr", "insar")
    try:
        store = zarr.open(str(path), mode="r")
        if not hasattr(store, "members"):
            return _zarr_layer(path, "", {"": store}, {}, 0, False), None
        arrays = {name: item for name, item in store.members(max_depth=4) if hasattr(item, "shape")}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not a readable Zarr store ({first(error)})") from error
    flat = [name for name, item in arrays.items() if len(item.shape) == 2]
    if any(name.startswith("i_") for name in flat) and not coherence:
        names, other = snap_bands(flat, None if wanted is None else str(wanted), str(path))
        parts = [_zarr_layer(path, name, arrays, {}, 0, False) for name in names]
        beside = _zarr_layer(path, other, arrays, {}, 0, False) if other else None
        return (join(*parts) if len(parts) == 2 else parts[0]), beside
    return _choose(path, arrays, dict(store.attrs), wanted, "any", coherence, _zarr_layer)


Maker = Callable[[Path, str, Mapping[str, Any], Mapping[str, Any], int, bool], Layer]


def _choose(
    path: Path,
    arrays: Mapping[str, Any],
    attributes: Mapping[str, Any],
    wanted: str | int | None,
    product: str,
    coherence: bool,
    make: Maker,
) -> tuple[Layer, Layer | None]:
    kind = PRODUCTS[product]
    index, name = _stack_index(arrays, wanted, path)
    rasters = [n for n, a in arrays.items() if a.ndim in (2, 3) and a.dtype.kind in "fciu" and min(a.shape[-2:]) > 1]
    patterns = (kind.coherence,) if coherence else kind.phase
    hits = [n for pattern in patterns for n in rasters if re.search(pattern, n, re.I)]
    hits += [] if coherence else [n for n in rasters if arrays[n].dtype.kind == "c" and n not in hits]
    if product == "nisar" and not coherence:  # .../HH/wrappedInterferogram; a mask of the same group is not meant
        hits = [n for n in hits if arrays[n].ndim == 2]
    if name is not None:
        exact = [n for n in rasters if n == name.strip("/")]
        hits = exact or [n for n in hits if name.lower() in n.lower()]
    if not hits:
        asked = f"{name!r}" if name else "a coherence" if coherence else "an interferogram"
        raise DataError(f"layer: found {', '.join(rasters[:12]) or 'no raster'} in {path}, expected {asked}")
    chosen = hits[0]
    layer = make(path, chosen, arrays, attributes, index, kind.zero and not coherence)
    group = chosen.rpartition("/")[0]
    beside = [n for n in rasters if re.search(kind.coherence, n, re.I) and n != chosen]
    beside = [n for n in beside if n.rpartition("/")[0] == group]
    same = [n for n in beside if tuple(arrays[n].shape[-2:]) == layer.shape]
    return layer, None if coherence or not same else make(path, same[0], arrays, attributes, index, False)


def _stack_index(arrays: Mapping[str, Any], wanted: str | int | None, path: Path) -> tuple[int, str | None]:
    """Position in a stack, and the name of a dataset, of what is asked for."""
    if wanted is None:
        return 0, None
    if isinstance(wanted, int) or (wanted.isdigit() and len(wanted) < 8):
        return int(wanted), None
    dates = re.fullmatch(r"(\d{8})[_-](\d{8})", wanted)
    if dates and "date" in arrays and arrays["date"].ndim == 2:
        pairs = [tuple(text(day) for day in pair) for pair in np.asarray(arrays["date"][:])]
        if dates.groups() not in pairs:
            raise DataError(f"layer: found no pair {wanted} among the {len(pairs)} of {path}")
        return pairs.index(dates.groups()), None
    return 0, wanted


def _describe(
    path: Path, name: str, arrays: Mapping[str, Any], attributes: Mapping[str, Any], index: int, zero: bool
) -> dict[str, Any]:
    """What every layer has, of a dataset with CF or MintPy attributes."""
    array = arrays[name]
    attrs = dict(array.attrs)
    if array.ndim not in (2, 3):
        raise DataError(f"layer: found shape {tuple(array.shape)} of {name or path}, expected 2 or 3 dimensions")
    if array.ndim == 3 and not 0 <= index < array.shape[0]:
        raise DataError(f"layer: found {index}, expected 0 to {array.shape[0] - 1} in the stack {name} of {path}")
    group = name.rpartition("/")[0]
    crs, transform = cf_georeference(arrays.get, attrs, f"{group}/" if group else "")
    while crs is None and transform is None and "/" in group:  # coordinates may lie in a parent group
        group = group.rpartition("/")[0]
        crs, transform = cf_georeference(arrays.get, attrs, f"{group}/")
    if "X_FIRST" in attributes:  # MintPy: the outer corner of the first pixel
        x, dx, y, dy = (float(text(attributes[key])) for key in ("X_FIRST", "X_STEP", "Y_FIRST", "Y_STEP"))
        transform = need("affine", "insar").Affine(dx, 0, x, 0, dy, y)
        crs = crs or crs_from(text(attributes.get("EPSG", 4326)))
    nodata = next((number(attrs[key]) for key in ("_FillValue", "missing_value", "nodata") if key in attrs), None)
    if nodata is None:
        nodata = number(attributes["NO_DATA_VALUE"]) if "NO_DATA_VALUE" in attributes else 0.0 if zero else None
    small = {k: text(v) for k, v in {**attributes, **attrs}.items() if np.size(v) == 1 and len(text(v)) < 500}
    return {
        "path": str(path),
        "shape": (int(array.shape[-2]), int(array.shape[-1])),
        "dtype": str(np.dtype(array.dtype).newbyteorder("=")),
        "nodata": nodata,
        "crs": crs,
        "transform": transform,
        "tags": {k: v for k, v in small.items() if not k.startswith("_") and k not in ("CLASS", "NAME")},
        "index": (index,) if array.ndim == 3 else (),
    }


def _hdf5_layer(
    path: Path, name: str, arrays: Mapping[str, Any], attributes: Mapping[str, Any], index: int, zero: bool
) -> Layer:
    return Hdf5Layer(dataset=name, **_describe(path, name, arrays, attributes, index, zero))


def _zarr_layer(
    path: Path, name: str, arrays: Mapping[str, Any], attributes: Mapping[str, Any], index: int, zero: bool
) -> Layer:
    return ZarrLayer(array=name, **_describe(path, name, arrays, attributes, index, zero))
