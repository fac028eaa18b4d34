"""Denoising of interferograms tile by tile: read in this process, filtered by any worker.

A worker needs neither the raster nor the weights file: the network is sent as plain data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterable
from concurrent.futures import Executor
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch

from mvnet.data_loaders.insar.noise import PhaseNoise, measure_correlation, noise_windows
from mvnet.models import tiling
from mvnet.models.insar.inference import denoise_window, expected_cosine
from mvnet.models.insar.network import InSARDenoiser
from mvnet.runtime import find_device
from mvnet.storage import json_text

if TYPE_CHECKING:
    from mvnet.data_loaders.insar.interferogram import Block
    from mvnet.data_loaders.insar.layers import Layer

Window = tuple[slice, slice]


class Readable(Protocol):
    """An interferogram on disk or in memory, read window by window."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)"""
        ...

    @property
    def coherence(self) -> Layer | np.ndarray | None:
        """The layer of the coherence, or None."""
        ...

    def read(self, window: Window | None = None, with_coherence: bool = True) -> Block:
        """Values, validity and coherence of a window.

        Args:
            window: rows and columns; None is all of them.
            with_coherence: whether the coherence is read.
        Returns:
            the arrays of the window.
        """
        ...


class Network(NamedTuple):
    """A network as plain data, from which any process can rebuild it: safetensors, and its configuration as JSON."""

    weights: bytes
    config: str

    @classmethod
    def of(cls, model: InSARDenoiser) -> Network:
        """The plain data of a network.

        Args:
            model: on any device.
        Returns:
            its weights and configuration.
        """
        from safetensors.torch import save

        return cls(save({k: v.cpu().contiguous() for k, v in model.state_dict().items()}), json_text(model.config))


@lru_cache(maxsize=2)
def _rebuild(network: Network, device: str) -> InSARDenoiser:
    from safetensors.torch import load

    model = InSARDenoiser(**json.loads(network.config))
    model.load_state_dict(load(network.weights))
    return model.eval().to(find_device(device))


class TileData(NamedTuple):
    """Input of a tile. inner: the window it writes; place: the position of that in the arrays.

    values (h, w) complex64, valid (h, w) bool, coherence (h, w) float32, NaN where unknown, or None.
    """

    inner: Window
    place: Window
    values: np.ndarray
    valid: np.ndarray
    coherence: np.ndarray | None

    @property
    def is_empty(self) -> bool:
        """Whether no pixel of the window has data."""
        return not self.valid[self.place].any()


class FilteredTile(NamedTuple):
    """Output of a tile: phase in (-pi, pi] and confidence of its `inner`, float32, undefined where not valid."""

    phase: np.ndarray
    confidence: np.ndarray


def read_tile(image: Readable, tile: tiling.Tile) -> TileData:
    """Read a tile.

    Args:
        image: on disk or in memory.
        tile: from `plan_tiles`.
    Returns:
        the arrays of its `outer`.
    """
    known = image.coherence is not None
    outer, inner, place = ((rows, columns) for rows, columns in tile)
    block = image.read(outer, with_coherence=known)
    return TileData(inner, place, block.values, block.valid, block.coherence if known else None)


def measure_noise(image: Readable, looks: float | None = None) -> PhaseNoise:
    """The noise of an interferogram, from windows spread over it.

    Args:
        image: on disk or in memory.
        looks: None where unknown.
    Returns:
        the correlation of its phase noise, and the looks.
    """
    blocks = (image.read(window, with_coherence=False) for window in noise_windows(image.shape))
    windows = ((torch.from_numpy(block.values), torch.from_numpy(block.valid)) for block in blocks)
    return PhaseNoise(measure_correlation(windows), math.nan if looks is None else looks)


def filter_tile(network: Network, noise: PhaseNoise, device: str, tile: TileData) -> FilteredTile:
    """Apply the network to one tile.

    Args:
        network: as plain data.
        noise: of the whole scene.
        device: a name of torch, or "auto".
        tile: from `read_tile`.
    Returns:
        phase and confidence of its `inner`.
    """
    if tile.is_empty:
        empty = np.zeros(tile.valid[tile.place].shape, np.float32)
        return FilteredTile(empty, empty)
    model = _rebuild(network, device)
    coherence = None if tile.coherence is None else torch.from_numpy(tile.coherence)
    found = denoise_window(model, torch.from_numpy(tile.values), torch.from_numpy(tile.valid), coherence, noise)
    phase, concentration = (x[tile.place] for x in found)
    return FilteredTile(phase.numpy(), expected_cosine(concentration).numpy())


def plan_tiles(
    shape: tuple[int, int], pending: Iterable[Window] | None, block: int, overlap: int, alignment: int
) -> list[tiling.Tile]:
    """Select the tiles whose windows are still to be written.

    Args:
        shape: shape of the interferogram.
        pending: windows (rows, columns); None is all of them.
        block, overlap, alignment: as in `mvnet.models.tiling.aligned_tiles`.
    Returns:
        in the order of the rows, then the columns.
    """
    tiles = tiling.aligned_tiles(shape, block, overlap, alignment)
    if pending is None:
        return list(tiles)
    wanted = {(rows.start, columns.start) for rows, columns in pending}
    return [tile for tile in tiles if (tile.inner[0].start, tile.inner[1].start) in wanted]


def denoise_tiles(
    image: Readable,
    tiles: list[tiling.Tile],
    model: InSARDenoiser,
    *,
    device: str = "auto",
    workers: int | None = None,
    executor: Executor | None = None,
    noise: PhaseNoise | None = None,
) -> Generator[tuple[TileData, FilteredTile]]:
    """Denoise tiles, in order of completion; a tile is read when a worker is about to be free.

    Args:
        image: on disk or in memory.
        tiles: from `plan_tiles`.
        model: not modified.
        device: device of the network.
        workers: number of tiles computed at the same time; None is one for every thread of torch on the CPU, else one.
        executor: computes in place of threads of this process.
        noise: of the whole scene; None measures it and takes the looks as unknown.
    Yields:
        input and output of a tile.
    Raises:
        MvnetError: a device that does not exist, or whose memory is too small.
        DataError: a damaged raster.
    """
    if executor is None:
        device = str(find_device(device))
    if workers is None:
        workers = torch.get_num_threads() if device == "cpu" else 1
    noise = measure_noise(image) if noise is None else noise
    work = partial(filter_tile, Network.of(model), noise, device)
    jobs = (read_tile(image, tile) for tile in tiles)
    several = workers if executor is not None else min(workers, len(tiles))
    yield from tiling.map_tiles(work, jobs, workers=several, executor=executor, is_empty=lambda tile: tile.is_empty)
