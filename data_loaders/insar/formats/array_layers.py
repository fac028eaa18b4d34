"""Layers of arrays in files: HDF5, Zarr, classic NetCDF."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.checks.blocks import Blocks
from mvnet.data_loaders.insar.checks.hdf5_chunks import read_checked
from mvnet.data_loaders.insar.checks.hdf5_files import open_hdf5
from mvnet.data_loaders.insar.checks.zarr_codecs import open_zarr
from mvnet.data_loaders.insar.checks.zarr_shards import in_shard
from mvnet.data_loaders.insar.layers import Layer, Window
from mvnet.data_loaders.optional import import_optional

_MOST = 1 << 20  # chunks that are counted
_ITEM, _MODEST = 16, 1 << 28  # bytes of a value at most, and bytes that any machine has


@dataclass(frozen=True, kw_only=True)
class ArrayLayer(Layer):
    """Two axes of an array in a file.

    dataset: its name, "" for the file itself.
    index: for each axis "y", "x" or the coordinate to take; without "y" and "x" these follow.
    filled: chunks that were never written hold the fill value of the file, else NaN.
    """

    dataset: str = ""
    index: tuple[int | str, ...] = ()
    filled: bool = False

    def _take(self, array: Any, rows: slice, columns: slice) -> np.ndarray:
        index = self.index if "y" in self.index else (*self.index, "y", "x")
        axes = {"y": rows, "x": columns}
        values = read_checked(array, tuple(axes[k] if isinstance(k, str) else k for k in index))
        if values.dtype.names:  # a compound of real and imaginary part
            values = values[values.dtype.names[0]] + np.complex64(1j) * values[values.dtype.names[1]]
        values = values.T if index.index("y") > index.index("x") else values
        plain = (self.scale, self.offset) == (1.0, 0.0) and self.fill is None
        blocks, dtype = None if self.filled else self._blocks(array, (rows, columns)), self.dtype
        if blocks is not None and blocks.missing.any():
            values, dtype = (values.astype(np.result_type(values.dtype, np.float32)), np.result_type(dtype, np.float32))
            height, width = blocks.shape
            first = rows.start // height * height, columns.start // width * width
            inner = (slice(part.start - at, part.stop - at) for part, at in zip((rows, columns), first))
            values[blocks.mask(*inner)] = np.nan
        return np.asarray(values, dtype) if plain else values

    def _blocks(self, array: Any, window: Window) -> Blocks | None:
        """The chunks that a window touches; None where there is nothing to tell of them."""
        chunks = getattr(array, "chunks", None)
        if not chunks:
            return None
        index = self.index if "y" in self.index else (*self.index, "y", "x")
        size = dict(zip(index, chunks))
        shape = (int(size["y"]), int(size["x"]))
        first = [part.start // side for part, side in zip(window, shape)]
        count = [-(-part.stop // side) - start for part, side, start in zip(window, shape, first)]
        missing = np.zeros(count, bool)
        for y, x in np.ndindex(*count):
            place = {"y": first[0] + y, "x": first[1] + x}
            chunk = tuple(place[k] if isinstance(k, str) else k // n for k, n in zip(index, chunks))
            missing[y, x] = not self._written(array, chunk)
        return Blocks(shape, missing)

    def _written(self, array: Any, chunk: tuple[int, ...]) -> bool:
        return True

    def _count(self, array: Any) -> int:
        """Pixels of the layer in chunks that were never written; 0 where there are too many to look at."""
        chunks = getattr(array, "chunks", None)
        if not chunks or prod(-(-n // m) for n, m in zip(array.shape, chunks)) > _MOST:
            return 0
        blocks = self._blocks(array, (slice(0, self.shape[0]), slice(0, self.shape[1])))
        return 0 if blocks is None else blocks.pixels_missing(self.shape)


@dataclass(frozen=True, kw_only=True)
class Hdf5Layer(ArrayLayer):
    """A dataset of an HDF5 or NetCDF-4 file; chunks that were never written are NaN."""

    def count_unwritten(self) -> int:
        """Pixels of chunks, or of a whole dataset, that were never written."""
        with reading(self.path, "HDF5"), open_hdf5(self.path, access=None) as file:
            data = file[self.dataset]
            if data.chunks and data.id.get_num_chunks() == prod(-(-n // m) for n, m in zip(data.shape, data.chunks)):
                return 0
            return self.shape[0] * self.shape[1] if _is_empty(data) else self._count(data)

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        with open_hdf5(self.path, access=None) as file:
            return self._take(file[self.dataset], rows, columns)

    def _blocks(self, array: Any, window: Window) -> Blocks | None:
        return Blocks(self.shape, np.ones((1, 1), bool)) if _is_empty(array) else super()._blocks(array, window)

    def _written(self, array: Any, chunk: tuple[int, ...]) -> bool:
        offset = tuple(k * n for k, n in zip(chunk, array.chunks))
        return array.id.get_chunk_info_by_coord(offset).byte_offset is not None


def _is_empty(data: Any) -> bool:
    """Whether nothing of an HDF5 dataset was ever written."""
    return data.id.get_storage_size() == 0 and not data.is_virtual and not data.external


@dataclass(frozen=True, kw_only=True)
class ZarrLayer(ArrayLayer):
    """An array of a Zarr store in a folder, "" for the store itself; chunks that were never written are NaN."""

    def count_unwritten(self) -> int:
        """Pixels of chunks that were never written."""
        with reading(self.path, "a Zarr store"):
            return self._count(self._array())

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        array = self._array()
        try:
            return self._take(array, rows, columns)
        except MemoryError as error:
            asked = (prod(array.chunks) + (rows.stop - rows.start) * (columns.stop - columns.start)) * _ITEM
            if asked > _MODEST:
                raise
            found = "a packed chunk that declares more than its array"
            raise DataError(f"{self.path}: found {found}, expected {prod(array.chunks)} values") from error

    def _array(self) -> Any:
        store = open_zarr(self.path)
        return store[self.dataset] if self.dataset else store

    def _written(self, array: Any, chunk: tuple[int, ...]) -> bool:
        shards, folder = getattr(array, "shards", None), Path(self.path) / self.dataset
        if not shards:
            return (folder / array.metadata.encode_chunk_key(chunk)).exists()
        inner = [n // m for n, m in zip(shards, array.chunks)]  # chunks along each axis of a shard
        file = folder / array.metadata.encode_chunk_key(tuple(k // n for k, n in zip(chunk, inner)))
        return file.exists() and in_shard(file, array.metadata, inner, tuple(k % n for k, n in zip(chunk, inner)))


@dataclass(frozen=True, kw_only=True)
class NetcdfLayer(ArrayLayer):
    """A variable of a classic NetCDF file."""

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        with netcdf_file(self.path) as file:
            values = np.array(self._take(file.variables[self.dataset], rows, columns))
            return values.astype(values.dtype.newbyteorder("="))


def netcdf_file(path: str | Path) -> Any:
    """A classic NetCDF file, open and mapped; a context manager."""
    open_file, file = import_optional("scipy.io", "insar").netcdf_file, _BoundedFile(path)
    try:
        return open_file(file, "r", mmap=True)
    except BaseException:
        file.close()
        raise


class _BoundedFile(io.FileIO):
    """A file of which no more is asked for than it holds: a damaged count takes no memory."""

    def __init__(self, path: str | Path):
        super().__init__(path)
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        rest = max(self._size - self.tell(), 0)
        return super().read(rest if size is None or size < 0 else min(size, rest))
