"""Chunks of HDF5 and Zarr arrays that were never written: no data, not the fill value that libraries return."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import reading
from mvnet.data_loaders.insar.layers import Hdf5Layer, Layer, ZarrLayer
from mvnet.data_loaders.optional import import_optional


@dataclass(frozen=True, kw_only=True)
class ChunkedLayer(Layer):
    """A layer that is NaN where its chunks are missing. stored: as its library reads it. chunk: (rows, columns).
    missing: places of such chunks, counted in chunks."""

    stored: Layer
    chunk: tuple[int, int]
    missing: frozenset[tuple[int, int]]

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        values = self.stored.read((rows, columns))
        high, wide = self.chunk
        for row in range(rows.start // high, -(-rows.stop // high)):
            for column in range(columns.start // wide, -(-columns.stop // wide)):
                if (row, column) in self.missing:
                    down = slice(max(0, row * high - rows.start), (row + 1) * high - rows.start)
                    right = slice(max(0, column * wide - columns.start), (column + 1) * wide - columns.start)
                    values[down, right] = np.nan
        return values


def without_unwritten(layer: Layer) -> tuple[Layer, list[str]]:
    """The layer, NaN in chunks that were never written, and a line that tells their number if there are any.

    Only floating-point arrays of HDF5 and Zarr are looked at.
    """
    if not isinstance(layer, Hdf5Layer | ZarrLayer) or np.dtype(layer.dtype).kind not in "fc":
        return layer, []
    places: tuple[Any, ...] = layer.index if "y" in layer.index else (*layer.index, "y", "x")
    with reading(layer.path, "chunks"):
        if isinstance(layer, Hdf5Layer):
            with import_optional("h5py", "insar").File(layer.path, "r") as file:
                chunk, grid, missing = _missing(*_hdf5_chunks(file[layer.dataset]), places, layer.shape)
        else:
            store = import_optional("zarr", "insar").open(layer.path, mode="r")
            array = store[layer.dataset] if layer.dataset else store
            chunk, grid, missing = _missing(*_zarr_chunks(array), places, layer.shape)
    if not missing:
        return layer, []
    found = ChunkedLayer(
        path=layer.path,
        shape=layer.shape,
        dtype=layer.dtype,
        nodata=layer.nodata,
        crs=layer.crs,
        transform=layer.transform,
        tags=layer.tags,
        stored=layer,
        chunk=chunk,
        missing=missing,
    )
    name = Path(layer.path).name
    return found, [f"{len(missing)} of {grid[0] * grid[1]} chunks of {name} were never written: no data"]


Written = Callable[[tuple[int, ...]], bool]
"""Whether a chunk, at a place counted in chunks, is there."""


def _missing(
    chunk: tuple[int, ...], written: Written, places: tuple[Any, ...], shape: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int], frozenset[tuple[int, int]]]:
    """Shape of the chunks of an image, their numbers along its axes, and which are missing.

    places: for every axis of the array "y", "x" or the coordinate of the image.
    """
    size = chunk[places.index("y")], chunk[places.index("x")]
    grid = -(-shape[0] // size[0]), -(-shape[1] // size[1])
    fixed = [place // side if isinstance(place, int) else place for place, side in zip(places, chunk)]
    missing = set()
    for row, column in itertools.product(range(grid[0]), range(grid[1])):
        at = {"y": row, "x": column}
        if not written(tuple(at[place] if isinstance(place, str) else place for place in fixed)):
            missing.add((row, column))
    return size, grid, frozenset(missing)


def _hdf5_chunks(data: Any) -> tuple[tuple[int, ...], Written]:
    if data.chunks is None:
        there = data.size == 0 or data.id.get_storage_size() > 0
        return tuple(data.shape), lambda place: there
    if data.id.get_num_chunks() == 0:
        return data.chunks, lambda place: False

    def written(place: tuple[int, ...]) -> bool:
        offset = tuple(n * side for n, side in zip(place, data.chunks))
        return data.id.get_chunk_info_by_coord(offset).byte_offset is not None

    return data.chunks, written


def _zarr_chunks(array: Any) -> tuple[tuple[int, ...], Written]:
    """Of a store that is a folder; in another all chunks are believed to be there."""
    chunk = tuple(array.shards or array.chunks)
    root = getattr(array.store, "root", None)
    if root is None:
        return chunk, lambda place: True
    folder = Path(root) / array.path
    return chunk, lambda place: (folder / array.metadata.encode_chunk_key(place)).is_file()
