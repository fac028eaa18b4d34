"""One raster read lazily, window by window, whatever stores it.

A layer holds names and numbers only, no open file: it can be pickled, sent to another process and read by several
threads at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.optional import import_optional

Window = tuple[slice, slice]
"""Rows and columns, of step 1."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A raster of (rows, columns).

    path: what to call it in messages.
    dtype: numpy name of the stored values; "complex64" also for pairs of integers.
    nodata: the value that means none, if one is declared. NaN always does.
    crs: rasterio CRS, None for radar geometry. transform: affine from (column, row) corners, None if unknown.
    tags: metadata of the file.
    """

    path: str
    shape: tuple[int, int]
    dtype: str
    nodata: float | None = None
    crs: Any = None
    transform: Any = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_complex(self) -> bool:
        """Whether the stored values are complex, not phases."""
        return np.dtype(self.dtype).kind == "c"

    def read(self, window: Window | None = None) -> np.ndarray:
        """The stored values of a window (all of it for None), NaN where the file masks them.

        Raises:
            DataError: a window outside the raster, a truncated or damaged file.
        """
        rows, columns = self.bounds(window)
        with reading(f"{self.path}: rows {rows.start} to {rows.stop}", "a raster"):
            return self._read(rows, columns)

    def bounds(self, window: Window | None) -> Window:
        """The window with plain bounds, checked."""
        if window is None:
            return slice(0, self.shape[0]), slice(0, self.shape[1])
        found = []
        for part, n in zip(window, self.shape):
            start, stop = part.start or 0, n if part.stop is None else part.stop
            if not 0 <= start < stop <= n or part.step not in (None, 1):
                raise DataError(f"window: found {part.start}:{part.stop}:{part.step}, expected a part of 0:{n}")
            found.append(slice(int(start), int(stop)))
        return found[0], found[1]

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class RasterLayer(Layer):
    """A band of anything GDAL opens. scale, offset: value = stored * scale + offset. masked: has a mask of its own."""

    uri: str
    band: int = 1
    scale: float = 1.0
    offset: float = 0.0
    masked: bool = False

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        rasterio = gdal()
        window = import_optional("rasterio.windows", "insar").Window.from_slices(rows, columns)
        with rasterio.open(self.uri) as source:
            values = source.read(self.band, window=window)
            inside = source.read_masks(self.band, window=window) if self.masked else None
        if (self.scale, self.offset) != (1.0, 0.0):
            lost = values == self.nodata if self.nodata is not None else None
            values = (values * self.scale + self.offset).astype(self.dtype)
            if lost is not None:
                values[lost] = self.nodata
        if inside is not None:
            values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
            values[inside == 0] = np.nan
        return values


@dataclass(frozen=True, kw_only=True)
class RawLayer(Layer):
    """Numbers one after the other. stored: numpy type in the file; pairs: two stored numbers, real and imaginary, a
    pixel; start: of the first, in bytes; by_column: the numbers of a column follow each other."""

    stored: str
    pairs: bool = False
    start: int = 0
    by_column: bool = False

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        shape = (*self.shape, 2) if self.pairs else self.shape
        order = "F" if self.by_column else "C"
        values = np.memmap(self.path, self.stored, "r", offset=self.start, shape=shape, order=order)[rows, columns]
        if self.pairs:
            return (values[..., 0] + 1j * values[..., 1]).astype(self.dtype)
        return np.array(values, dtype=self.dtype)  # native byte order, no longer bound to the file


@dataclass(frozen=True, kw_only=True)
class Hdf5Layer(Layer):
    """A dataset of an HDF5 or NetCDF-4 file; index: the leading coordinates of a stack."""

    dataset: str
    index: tuple[int, ...] = ()

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        with import_optional("h5py", "insar").File(self.path, "r") as file:
            return np.asarray(file[self.dataset][(*self.index, rows, columns)], dtype=self.dtype)


@dataclass(frozen=True, kw_only=True)
class ZarrLayer(Layer):
    """An array of a Zarr store, "" for the store itself. index: the leading coordinates of a stack."""

    dataset: str = ""
    index: tuple[int, ...] = ()

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        store = import_optional("zarr", "insar").open(self.path, mode="r")
        array = store[self.dataset] if self.dataset else store
        return np.asarray(array[(*self.index, rows, columns)], dtype=self.dtype)


@dataclass(frozen=True, kw_only=True)
class PairLayer(Layer):
    """Real and imaginary part in two layers."""

    real: Layer
    imaginary: Layer

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        parts = []
        for layer in (self.real, self.imaginary):
            values = layer.read((rows, columns)).astype(np.float32, copy=False)
            parts.append(np.where(values == layer.nodata, np.nan, values) if layer.nodata is not None else values)
        return (parts[0] + 1j * parts[1]).astype(np.complex64)


def gdal() -> Any:
    """The rasterio module; it no longer warns of rasters in radar geometry, which are no fault."""
    rasterio = import_optional("rasterio", "insar")
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    return rasterio


def join(real: Layer, imaginary: Layer) -> PairLayer:
    """The complex layer of two real ones; DataError if their shapes differ."""
    if real.shape != imaginary.shape:
        raise DataError(f"{imaginary.path}: found shape {imaginary.shape}, expected {real.shape} as {real.path}")
    common = {"crs": real.crs, "transform": real.transform, "tags": real.tags}
    return PairLayer(path=real.path, shape=real.shape, dtype="complex64", real=real, imaginary=imaginary, **common)


def raster_layer(uri: str | Path, band: int | None = None, shown: str | Path | None = None) -> RasterLayer:
    """A band of a file that GDAL opens; None takes the last one.

    Raises:
        DataError: not readable, truncated, no such band.
    """
    rasterio = gdal()
    shown = str(uri if shown is None else shown)
    with reading(shown, "a raster that GDAL opens"), rasterio.open(str(uri)) as source:
        if source.count == 0:
            raise DataError(f"{shown}: found {len(source.subdatasets)} subdatasets, expected a layer to be named")
        chosen: int = source.count if band is None else band
        if not 1 <= chosen <= source.count:
            raise DataError(f"layer: found band {chosen} of {shown}, expected 1 to {source.count}")
        _check_size(source, chosen, shown)
        kind = source.dtypes[chosen - 1]
        known = not (source.transform.is_identity and source.crs is None)
        return RasterLayer(
            path=shown,
            shape=(source.height, source.width),
            dtype="complex64" if kind == "complex_int16" else kind,
            nodata=source.nodatavals[chosen - 1],
            crs=source.crs,
            transform=source.transform if known else None,
            tags={**source.tags(), **source.tags(chosen)},
            uri=str(uri),
            band=chosen,
            scale=source.scales[chosen - 1],
            offset=source.offsets[chosen - 1],
            masked=rasterio.enums.MaskFlags.per_dataset in source.mask_flag_enums[chosen - 1],
        )


def _check_size(source: Any, band: int, shown: str) -> None:
    """DataError if the file ends before its data do, which GDAL itself says only when the end is read."""
    data = next((Path(name) for name in source.files if Path(name).is_file()), None)
    if data is None:
        return
    size, needed = data.stat().st_size, 0
    if source.driver in ("ISCE", "ENVI", "ROI_PAC"):
        needed = sum(source.width * source.height * np.dtype(kind).itemsize for kind in source.dtypes)
    elif source.driver == "GTiff":
        height, width = source.block_shapes[band - 1]
        for row in range(-(-source.height // height)):
            for column in range(-(-source.width // width)):
                place = (source.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", band) for what in _PLACE)
                needed = max(needed, sum(int(number or 0) for number in place))
    if size < needed:
        raise DataError(f"{shown}: found {size} bytes, expected at least {needed}: the file is truncated")


_PLACE = ("OFFSET", "SIZE")
