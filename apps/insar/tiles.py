"""Tiles of an interferogram through the network: in the threads of this process, or on a cluster.

A tile is read by this process with the receptive radius of the network around it, filtered wherever a worker is free,
and handed back in order of completion. At most two tiles a worker are under way, so that memory does not grow with the
scene. A worker has one thread: two tiles side by side cost less than two tiles in turn on two threads each. It needs
mvnet, but neither the raster nor the weights file.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from mvnet.apps.common.errors import UserError
from mvnet.apps.insar.options import InSAROptions
from mvnet.models.insar.inference import PixelTile, denoise_window, expected_cosine, pixel_tiles
from mvnet.models.insar.network import InSARDenoiser
from mvnet.runtime import find_device

if TYPE_CHECKING:
    from mvnet.data_loaders.insar import Interferogram, Window

_AHEAD = 2  # tiles under way for every worker
_PATIENCE = 30  # seconds for a cluster to answer


class Network(NamedTuple):
    """A network as plain data, that any process can rebuild: safetensors and its configuration as JSON."""

    weights: bytes
    config: str

    @classmethod
    def of(cls, model: InSARDenoiser) -> Network:
        from safetensors.torch import save

        return cls(save({k: v.cpu().contiguous() for k, v in model.state_dict().items()}), json.dumps(model.config))


@lru_cache(maxsize=2)
def _rebuilt(network: Network, device: str) -> InSARDenoiser:
    from safetensors.torch import load

    model = InSARDenoiser(**json.loads(network.config))
    model.load_state_dict(load(network.weights))
    return model.eval().to(find_device(device))


class Tile(NamedTuple):
    """What is read of a tile. inner: the window it writes; place: where that lies in the arrays.

    values (h, w) complex64, valid (h, w) bool, coherence (h, w) float32, NaN where unknown, or None.
    """

    inner: Window
    place: Window
    values: np.ndarray
    valid: np.ndarray
    coherence: np.ndarray | None


class Filtered(NamedTuple):
    """Of the window a tile writes: phase in (-pi, pi] and confidence, float32, without meaning where not valid."""

    phase: np.ndarray
    confidence: np.ndarray


def read_tile(image: Interferogram, tile: PixelTile) -> Tile:
    """The values around a tile. A coherence of 0 is unknown: processors write it where they have none."""
    known = image.coherence is not None
    block = image.read(tile.outer, with_coherence=known)
    coherence = np.where(block.coherence > 0, block.coherence, np.float32(np.nan)) if known else None
    return Tile(tile.inner, tile.place, block.values, block.valid, coherence)


def filter_tile(tile: Tile, network: Network, device: str, threads: int | None = None) -> Filtered:
    """The network on one tile; threads: of torch, None as they are."""
    if not tile.valid[tile.place].any():
        empty = np.zeros(tile.valid[tile.place].shape, np.float32)
        return Filtered(empty, empty)
    if threads is not None:
        torch.set_num_threads(threads)
    model = _rebuilt(network, device)
    values, valid, coherence = (None if a is None else torch.from_numpy(a) for a in tile[2:])
    assert values is not None and valid is not None
    try:
        phase, concentration = denoise_window(model, values, valid, coherence)
    except torch.OutOfMemoryError as error:
        raise UserError(f"--tile: {max(values.shape)} pixels do not fit the memory of {device}; give less") from error
    return Filtered(phase[tile.place].numpy(), expected_cosine(concentration[tile.place]).numpy())


def plan(image: Interferogram, pending: Iterable[Window], block: int, overlap: int, alignment: int) -> list[PixelTile]:
    """The tiles of the windows still to be written."""
    wanted = {(rows.start, columns.start) for rows, columns in pending}
    tiles = pixel_tiles(image.shape, block, overlap, alignment)
    return [tile for tile in tiles if (tile.inner[0].start, tile.inner[1].start) in wanted]


def in_order_of_completion(
    image: Interferogram, tiles: list[PixelTile], network: Network, options: InSAROptions, device: str
) -> Generator[tuple[Tile, Filtered]]:
    """Every tile with its result; the tiles not yet asked for are not read. Of an error, the tiles begun come first.

    Raises:
        DataError: a damaged raster.  UserError: a device or a cluster that is not there.
    """
    with _executor(options, device, len(tiles)) as (executor, workers):
        waiting: dict[Future[Filtered], Tile] = {}

        def first() -> tuple[Tile, Filtered]:
            future = next(iter(wait(waiting, return_when=FIRST_COMPLETED).done))
            return waiting.pop(future), future.result()

        try:
            for tile in tiles:
                read = read_tile(image, tile)
                if executor is None or not read.valid[read.place].any():
                    yield read, filter_tile(read, network, device)
                    continue
                waiting[executor.submit(filter_tile, read, network, device, 1)] = read
                if len(waiting) >= _AHEAD * workers:
                    yield first()
            while waiting:
                yield first()
        except GeneratorExit:
            raise
        except BaseException:  # also of an interrupt: what other threads have begun is worth its time
            for future, read in waiting.items():
                if not future.cancel() and future.exception() is None:
                    yield read, future.result()
            raise


@contextmanager
def _executor(options: InSAROptions, device: str, tiles: int) -> Iterator[tuple[Executor | None, int]]:
    """What computes tiles, and how many at the same time; None when it is one at a time, here."""
    if options.scheduler is not None:
        from distributed import KilledWorker

        with _connected(options.scheduler) as client:
            threads = sum(client.nthreads().values())
            try:
                yield client.get_executor(pure=False), min(threads, options.workers or threads)
            except KilledWorker as error:
                raise UserError(f"--scheduler: workers died over a tile, for lack of memory? ({error})") from error
        return
    before = torch.get_num_threads()
    workers = min(options.workers or (before if device == "cpu" else 1), tiles)
    if workers <= 1:
        yield None, 1
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool, workers
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    from dask import config
    from distributed import Client

    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise UserError(f"--scheduler: no dask scheduler answers at {address} ({error})") from error
    silent = {"distributed.admin.large-graph-warning-threshold": "1GB"}  # a tile goes with its task, so as to survive
    with config.set(silent), client:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise UserError(f"--scheduler: found no worker at {address}, expected at least one") from error
        yield client
