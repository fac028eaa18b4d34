"""Layers of arrays in files: HDF5, Zarr, classic NetCDF."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.insar.checks.zarr_codecs import open_zarr
from mvnet.data_loaders.insar.layers import Layer, part_of
from mvnet.data_loaders.optional import import_optional


@dataclass(frozen=True, kw_only=True)
class ArrayLayer(Layer):
    """Two axes of an array in a file.

    dataset: its name, "" for the file itself.
    index: for each axis "y", "x" or the coordinate to take; without "y" and "x" these follow.
    """

    dataset: str = ""
    index: tuple[int | str, ...] = ()

    def _take(self, array: Any, rows: slice, columns: slice) -> np.ndarray:
        index = self.index if "y" in self.index else (*self.index, "y", "x")
        axes = {"y": rows, "x": columns}
        values = np.asarray(array[tuple(axes[k] if isinstance(k, str) else k for k in index)])
        if values.dtype.names:  # a compound of real and imaginary part
            values = values[values.dtype.names[0]] + np.complex64(1j) * values[values.dtype.names[1]]
        values = values.T if index.index("y") > index.index("x") else values
        if values.dtype.kind == "f":
            for hole in self._holes(array, index, rows, columns):
                values[hole] = np.nan
        plain = (self.scale, self.offset) == (1.0, 0.0) and self.fill is None
        return np.asarray(values, self.dtype) if plain else values

    def _holes(
        self, array: Any, index: tuple[int | str, ...], rows: slice, columns: slice
    ) -> Iterator[tuple[slice, slice]]:
        """Parts of a window in chunks that were never written."""
        chunks = getattr(array, "chunks", None)
        if not chunks:
            return
        size = dict(zip(index, chunks))
        height, width = size["y"], size["x"]
        for y in range(rows.start // height, -(-rows.stop // height)):
            for x in range(columns.start // width, -(-columns.stop // width)):
                place = {"y": y, "x": x}
                if not self._written(
                    array, tuple(place[k] if isinstance(k, str) else k // n for k, n in zip(index, chunks))
                ):
                    yield part_of(y, height, rows), part_of(x, width, columns)

    def _written(self, array: Any, chunk: tuple[int, ...]) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Hdf5Layer(ArrayLayer):
    """A dataset of an HDF5 or NetCDF-4 file; chunks that were never written are NaN."""

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        with import_optional("h5py", "insar").File(self.path, "r") as file:
            return self._take(file[self.dataset], rows, columns)

    def _written(self, array: Any, chunk: tuple[int, ...]) -> bool:
        offset = tuple(k * n for k, n in zip(chunk, array.chunks))
        return array.id.get_chunk_info_by_coord(offset).byte_offset is not None


@dataclass(frozen=True, kw_only=True)
class ZarrLayer(ArrayLayer):
    """An array of a Zarr store in a folder, "" for the store itself; chunks that were never written are NaN."""

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        store = open_zarr(self.path)
        return self._take(store[self.dataset] if self.dataset else store, rows, columns)

    def _written(self, array: Any, chunk: tuple[int, ...]) -> bool:
        if getattr(array, "shards", None):
            return True
        return (Path(self.path) / self.dataset / array.metadata.encode_chunk_key(chunk)).exists()


@dataclass(frozen=True, kw_only=True)
class NetcdfLayer(ArrayLayer):
    """A variable of a classic NetCDF file."""

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        with netcdf_file(self.path) as file:
            values = np.array(self._take(file.variables[self.dataset], rows, columns))
            return values.astype(values.dtype.newbyteorder("="))


def netcdf_file(path: str | Path) -> Any:
    """A classic NetCDF file, open and mapped; a context manager."""
    return import_optional("scipy.io", "insar").netcdf_file(str(path), "r", mmap=True)
