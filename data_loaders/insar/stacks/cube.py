"""Datasets (pair, y, x) of an HDF5 or Zarr file, and denoised pairs written into them block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mvnet.data_loaders.insar.checks.hdf5_chunks import read_checked
from mvnet.data_loaders.insar.layers import Window
from mvnet.data_loaders.insar.stacks.base import SIDE, DenoisedPair, Stack, read_window

QUALITY_TEXT = "expected cosine of the error of the denoised phase"


class Slab(NamedTuple):
    """A part of a cube: positions along the axis of pairs, and a window."""

    positions: range
    window: Window

    @property
    def place(self) -> tuple[slice, slice, slice]:
        """Index of an array."""
        return slice(self.positions.start, self.positions.stop), *self.window


Change = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(what is there, denoised values, quality) -> what is to be there; each (h, w), quality NaN where nothing changes."""


def write_pairs(cube: Any, stack: Stack, denoised: Mapping[str, DenoisedPair], change: Change) -> None:
    """Change the denoised pairs of a cube, one slab after another.

    Args:
        cube: dataset (pair, y, x), open for writing.
        stack: whose pairs it holds.
        denoised: by the names of the pairs.
        change: what is done to a window of a pair.
    """
    done = {pair.position: denoised[pair.name] for pair in stack.pairs if pair.name in denoised}
    for slab in slabs(cube.shape, _chunks(cube)):
        if any(position in done for position in slab.positions):
            values = read_checked(cube, slab.place)
            for k, position in enumerate(slab.positions):
                if position in done:
                    found = (read_window(path, slab.window) for path in done[position])
                    values[k] = change(values[k], *found)
            cube[slab.place] = values


def slabs(shape: Sequence[int], chunks: Sequence[int]) -> Iterator[Slab]:
    """Parts of a cube that hold whole chunks, about SIDE rows and columns."""
    depth = chunks[0]
    rows, columns = (max(1, SIDE // chunk) * chunk for chunk in chunks[1:])
    for first in range(0, shape[0], depth):
        for row in range(0, shape[1], rows):
            for column in range(0, shape[2], columns):
                window = slice(row, min(row + rows, shape[1])), slice(column, min(column + columns, shape[2]))
                yield Slab(range(first, min(first + depth, shape[0])), window)


def _chunks(cube: Any) -> tuple[int, ...]:
    """Of a dataset that has none a chunk is a pair."""
    found = getattr(cube, "chunks", None)
    return (1, SIDE, SIDE) if found is None else tuple(found)


def replace_values(nodata: float | None = None) -> Callable[..., np.ndarray]:
    """The `Change` that puts denoised values in place of those that were there.

    Args:
        nodata: a value of the cube that means no data, from which data are kept apart.
    """

    def change(there: np.ndarray, values: np.ndarray, quality: np.ndarray) -> np.ndarray:
        known = np.isfinite(quality)
        result = np.where(known, values, there).astype(there.dtype)
        if nodata is not None:
            result[known & (result == nodata)] += np.asarray(1e-6, dtype=there.dtype)
        return result

    return change


def put_quality(there: np.ndarray, values: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """The `Change` of a cube of qualities: 0 where there are no data."""
    return np.nan_to_num(quality, nan=0.0).astype(there.dtype)
