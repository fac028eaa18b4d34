"""What all kinds of stacks have in common: pairs, the files of a denoised pair, and windows of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mvnet.data_loaders.insar.checks.sources import LOCAL, Access
from mvnet.data_loaders.insar.layers import Window
from mvnet.data_loaders.insar.rasters import gdal
from mvnet.data_loaders.optional import import_optional

SIDE = 512
"""Rows and columns of the windows in which rasters are copied."""


@dataclass(frozen=True)
class Pair:
    """An interferogram of a stack.

    name: unique in the stack, fit for a file name; its dates where they are known.
    path, layer: of `open_interferogram`.
    inputs: files and folders that a result depends on.
    outputs: files of the denoised pair below the folder of results: the interferogram last.
    position: along the axis of pairs of a file.
    """

    name: str
    path: Path
    inputs: tuple[Path, ...]
    outputs: tuple[str, ...]
    layer: str | None = None
    position: int = 0


@dataclass(frozen=True)
class Stack:
    """Interferograms of one grid, or of as many as there are pairs.

    kind: its name in `KINDS`.  is_complex: whether its pairs are written as complex values, else as phases.
    left_out: names of the pairs that are not to be used.  messages: what is to be said of it.
    variable: of a file of several, the one that is read.
    access: what its files may read besides themselves.
    """

    path: Path
    kind: str
    pairs: tuple[Pair, ...]
    is_complex: bool
    left_out: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    variable: str = ""
    access: Access = LOCAL


class DenoisedPair(NamedTuple):
    """GeoTIFFs of a denoised pair: values (complex, or phase in radians) and quality, NaN where there are no data."""

    values: Path
    quality: Path


Store = Callable[[Pair, DenoisedPair, Path, Access], None]
"""Writes the files `outputs` of a pair below a folder."""
Gather = Callable[[Stack, Mapping[str, DenoisedPair], Path], None]
"""Writes a file like the stack with the denoised pairs, by name, in it; the others stay as they are."""


@dataclass(frozen=True)
class StackKind:
    """A kind of stack.

    find: the stack at a path; None where it is of another kind, or one scene.
    store: writes a pair.  gather: of a file, writes all pairs.
    suffixes: of the name of the output, () for a folder.
    """

    name: str
    find: Callable[[Path, Access], Stack | None]
    store: Store
    gather: Gather | None = None
    suffixes: tuple[str, ...] = ()


def in_two_rasters(pair: Pair) -> Pair:
    """The pair with outputs that `keep` makes."""
    return replace(pair, outputs=(f"{pair.name}_quality.tif", f"{pair.name}.tif"))


def keep(pair: Pair, denoised: DenoisedPair, folder: Path, access: Access = LOCAL) -> None:
    """The `Store` of pairs that are gathered: the two rasters as they are, until all pairs are there."""
    quality, values = pair.outputs
    os.replace(denoised.quality, folder / quality)
    os.replace(denoised.values, folder / values)


def kept(pair: Pair, folder: Path) -> DenoisedPair:
    """Where `keep` has put the rasters of a pair."""
    quality, values = pair.outputs
    return DenoisedPair(folder / values, folder / quality)


def windows(shape: tuple[int, int], side: tuple[int, int] = (SIDE, SIDE)) -> Iterator[Window]:
    """Windows that cover a raster, row by row."""
    for row in range(0, shape[0], side[0]):
        for column in range(0, shape[1], side[1]):
            yield slice(row, min(row + side[0], shape[0])), slice(column, min(column + side[1], shape[1]))


def read_window(path: Path, window: Window) -> np.ndarray:
    """A window of the first band of a raster."""
    place = import_optional("rasterio.windows", "insar").Window.from_slices(*window)
    with gdal().open(path) as source:
        return source.read(1, window=place)


def follow(unwrapped: np.ndarray, denoised: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """An unwrapped phase moved by what was denoised, less than half a turn: its ambiguities stay.

        u' = u + wrap(phi - u),   phi the denoised phase

    Args:
        unwrapped: (h, w) radians; 0 and NaN are no data and stay.
        denoised: (h, w) radians or complex.
        quality: (h, w), NaN where nothing was denoised.
    """
    phase = np.angle(denoised) if np.iscomplexobj(denoised) else denoised
    known = np.isfinite(unwrapped) & (unwrapped != 0) & np.isfinite(quality)
    step = np.angle(np.exp(1j * (np.where(known, phase, 0) - np.where(known, unwrapped, 0)).astype(np.float64)))
    return np.where(known, unwrapped + step, unwrapped).astype(unwrapped.dtype)


def state_of(path: Path) -> str:
    """Size and time of a file, or of all files of a folder: another state is another input."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    states = [file.stat() for file in files if file.is_file()]
    latest = max((state.st_mtime_ns for state in states), default=0)
    return f"{len(states)} {sum(state.st_size for state in states)} {latest}"
