"""The rasters of an HDF5, NetCDF or Zarr file: their axes, scales, nodata, and where they lie."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.formats.array_layers import ArrayLayer
from mvnet.data_loaders.insar.formats.axes import Axis, find_axes
from mvnet.data_loaders.insar.formats.headers import cf_georeference, crs_from, number, text
from mvnet.data_loaders.insar.layers import Layer
from mvnet.data_loaders.optional import import_optional

_NODATA = ("_FillValue", "missing_value", "nodata")
_UNITS = ("units", "unit", "UNIT")
_MINTPY_CORNER = ("X_FIRST", "X_STEP", "Y_FIRST", "Y_STEP")


@dataclass(frozen=True)
class DatasetFile:
    """An open file of named datasets.

    Args:
        path: of the file.
        datasets: name, with the groups it lies in -> dataset.
        attributes: of the file.
        layer_type: the layer that reads such a dataset.
    """

    path: Path
    datasets: Mapping[str, Any]
    attributes: Mapping[str, Any]
    layer_type: type[ArrayLayer]

    def rasters(self) -> list[str]:
        """Names of the datasets that are images, or stacks of images, of numbers."""
        return [name for name, data in self.datasets.items() if _is_raster(data)]

    def is_complex(self, name: str) -> bool:
        """Whether a dataset holds complex numbers, as such or as a compound of two."""
        return _number_type(self.datasets[name].dtype).kind == "c"

    def axes(self, name: str, first: bool = False) -> tuple[Axis, ...]:
        """The role of each axis of a raster; `first`, and errors, as for `find_axes`."""
        data = self.datasets[name]
        axes = find_axes(f"{self.path}:{name}", tuple(data.shape), _dimensions(data), self._images(name), first)
        if axes.count("stack") + axes.count("bands") > 1:
            raise DataError(f"layer: found shape {tuple(data.shape)} of {name}, expected one stack of images")
        return axes

    def layer(self, name: str, axes: tuple[Axis, ...], position: int = 0, part: int = 0, zero: bool = False) -> Layer:
        """The raster `name`, or of a stack the one at `position`.

        Args:
            name: of the dataset.
            axes: roles of its axes.
            position: along a stack, or among bands.
            part: 0 for the real, 1 for the imaginary one, where an axis holds both.
            zero: 0 means no data if the file does not declare another value.
        Raises:
            DataError: a position outside the stack.
        """
        data = self.datasets[name]
        attributes = dict(data.attrs)
        self._check_position(name, axes, position)
        crs, transform = self._georeference(name, attributes)
        dtype = _number_type(data.dtype)
        nodata = _declared_nodata(data, attributes, self.attributes)
        declared = {**self.attributes, **attributes}
        coordinates = {"parts": part, "stack": position, "bands": position, "one": 0, "y": "y", "x": "x"}
        return self.layer_type(
            path=str(self.path),
            dataset=name,
            index=tuple(coordinates[axis] for axis in axes),
            shape=(int(data.shape[axes.index("y")]), int(data.shape[axes.index("x")])),
            dtype=str(dtype),
            nodata=0.0 if nodata is None and zero else nodata,
            crs=crs,
            transform=transform,
            tags=_short_tags(declared),
            units=next(
                (text(attributes[key]) for key in _UNITS if key in attributes), text(self.attributes.get("UNIT", ""))
            ),
        ).scaled(number(attributes.get("scale_factor", 1)) or 1.0, number(attributes.get("add_offset", 0)) or 0.0)

    def count(self, name: str, axes: tuple[Axis, ...]) -> int:
        """Length of the stack, or number of bands; 1 without."""
        return max([int(n) for n, axis in zip(self.datasets[name].shape, axes) if axis in ("stack", "bands")] + [1])

    def _check_position(self, name: str, axes: tuple[Axis, ...], position: int) -> None:
        count = self.count(name, axes)
        if "stack" in axes and not 0 <= position < count:
            raise DataError(f"layer: found {position}, expected 0 to {count - 1} in the stack {name} of {self.path}")

    def _images(self, name: str) -> list[tuple[int, int]]:
        """(rows, columns) of the other images, and in the attributes LENGTH and WIDTH of MintPy and its kin."""
        flat = [tuple(data.shape) for other, data in self.datasets.items() if other != name and data.ndim == 2]
        found = [(int(shape[0]), int(shape[1])) for shape in flat]
        for attributes in (dict(self.datasets[name].attrs), self.attributes):
            size = [number(attributes[key]) for key in ("LENGTH", "WIDTH") if key in attributes]
            if len(size) == 2 and None not in size:
                found.insert(0, (int(size[0] or 0), int(size[1] or 0)))
        return found

    def _georeference(self, name: str, attributes: Mapping[str, Any]) -> tuple[Any, Any]:
        """CRS and transform of a dataset: by CF in its group or, if that holds none, in one above; by MintPy's keys."""
        groups = name.split("/")[:-1]
        prefixes = ["".join(f"{group}/" for group in groups[:depth]) for depth in range(len(groups), 0, -1)] or [""]
        crs = transform = None
        for prefix in prefixes:
            crs, transform = cf_georeference(self.datasets.get, attributes, prefix)
            if crs is not None or transform is not None:
                break
        if "X_FIRST" not in self.attributes:
            return crs, transform
        x, dx, y, dy = (float(text(self.attributes[key])) for key in _MINTPY_CORNER)  # the corner of the first pixel
        transform = import_optional("affine", "insar").Affine(dx, 0, x, 0, dy, y)
        return crs or _mintpy_crs(self.attributes, (x, y)), transform


def _mintpy_crs(attributes: Mapping[str, Any], corner: tuple[float, float]) -> Any:
    """By EPSG or UTM_ZONE ("11N"); degrees are WGS 84, other units without a zone are unknown."""
    if "EPSG" in attributes:
        return crs_from(text(attributes["EPSG"]))
    zone = text(attributes.get("UTM_ZONE", "")).strip().upper()
    if zone[:-1].isdigit() and zone[-1] in "CDEFGHJKLMNPQRSTUVWX":  # the letter is a hemisphere, or a band of latitude
        south = zone[-1] == "S" or zone[-1] < "N"
        return crs_from((32700 if south else 32600) + int(zone[:-1]))
    degrees = text(attributes.get("X_UNIT", "degrees")).lower().startswith("deg")
    return crs_from(4326) if degrees and abs(corner[0]) <= 360 and abs(corner[1]) <= 90 else None


def _is_raster(data: Any) -> bool:
    return sum(n > 1 for n in data.shape) >= 2 and _number_type(data.dtype).kind in "fciu"


def _number_type(dtype: Any) -> np.dtype:
    """The native type of numbers; of a compound of two floats the complex one; void for anything else."""
    dtype = np.dtype(dtype)
    if dtype.names and len(dtype.names) == 2 and all(dtype[name].kind in "fi" for name in dtype.names):
        return np.result_type(dtype[0], np.complex64) if dtype[0].kind == "f" else np.dtype(np.complex64)
    return dtype.newbyteorder("=") if dtype.names is None else np.dtype("V1")


def _dimensions(data: Any) -> list[str]:
    """Names of the dimensions: scales of HDF5, attributes or metadata of Zarr, of classic NetCDF; "" where unknown."""
    names = dict(data.attrs).get("_ARRAY_DIMENSIONS")
    if names is None:
        names = getattr(getattr(data, "metadata", None), "dimension_names", None)
    if names is None and hasattr(data, "dims"):
        names = [_hdf5_dimension(dim) for dim in data.dims]
    return [str(name or "") for name in (names if names is not None else [""] * data.ndim)]


def _hdf5_dimension(dim: Any) -> str:
    if isinstance(dim, str):
        return dim
    scales = [scale.name for scale in dim.values()] if len(dim) else []
    return str(dim.label or (scales[0] if scales else "")).rpartition("/")[2]


def _declared_nodata(data: Any, dataset: Mapping[str, Any], file: Mapping[str, Any]) -> float | None:
    """The value that attributes declare to mean no data, those of the dataset first, or a Zarr array of integers."""
    declared = next((_fill(dataset[key], data.dtype) for key in _NODATA if key in dataset), None)
    if declared is None and np.dtype(data.dtype).kind == "i" and getattr(data, "fill_value", 0) not in (0, None):
        declared = float(data.fill_value)
    return number(file["NO_DATA_VALUE"]) if declared is None and "NO_DATA_VALUE" in file else declared


def _fill(value: Any, dtype: Any) -> float | None:
    """A fill value, in Zarr as the base 64 of its bytes."""
    found = number(value)
    if found is not None or not isinstance(value, str):
        return found
    try:
        stored = np.frombuffer(base64.b64decode(value, validate=True), "<f8")
    except (ValueError, binascii.Error):
        return None
    return float(stored[0]) if len(stored) == 1 and np.isfinite(stored[0]) else None


def _short_tags(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Attributes of one value of less than 500 characters, without those of HDF5 itself and of stored numbers."""
    single = {key: text(value) for key, value in attributes.items() if np.size(value) == 1}
    internal = ("CLASS", "NAME", "scale_factor", "add_offset", *_NODATA, *_UNITS)
    return {k: v for k, v in single.items() if len(v) < 500 and not k.startswith("_") and k not in internal}
