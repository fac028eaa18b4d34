"""Fields larger than memory, tile by tile: which tiles cover a field, and how they are computed side by side.

A tile is read with the receptive radius of the network around it (`outer`), and only its inside is written (`inner`),
so that tiles have no seams. They are computed one after another, in threads, or by any executor of
`concurrent.futures`, such as that of a dask cluster.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import product
from math import ceil
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from mvnet.errors import MvnetError, MvnetWarning
from mvnet.linalg.serial import on_one_thread

T = TypeVar("T")
R = TypeVar("R")
Slices = tuple[slice, ...]

_LEAST = 8  # side of the smallest block
_AHEAD = 2  # tiles submitted for every worker; bounds the memory


class Tile(NamedTuple):
    """`outer` is the window the network reads, `inner` the one it writes, `place` where `inner` lies in `outer`."""

    outer: Slices
    inner: Slices
    place: Slices


class Span(NamedTuple):
    """A tile along one axis: it writes start:stop and reads low:high."""

    start: int
    stop: int
    low: int
    high: int


def product_of(axes: Sequence[Sequence[Span]]) -> Iterator[Tile]:
    """Tiles from spans: one for every combination of a span along each axis.

    Args:
        axes: spans along each axis.
    Yields:
        tiles, the last axis fastest.
    """
    for spans in product(*axes):
        yield Tile(
            tuple(slice(s.low, s.high) for s in spans),
            tuple(slice(s.start, s.stop) for s in spans),
            tuple(slice(s.start - s.low, s.stop - s.low) for s in spans),
        )


def aligned_tiles(shape: Sequence[int], block: int, overlap: int, alignment: int) -> Iterator[Tile]:
    """Cover a field by tiles whose `outer` start at multiples of the alignment.

    Args:
        shape: shape of the field.
        block: side of `inner`, rounded up to a multiple of the alignment.
        overlap: `outer` exceeds `inner` by at least this on every side, except at the edges of the field.
        alignment: side of the coarsest block of the network.
    Returns:
        tiles, the last axis fastest.
    """
    block, overlap = (-(-n // alignment) * alignment for n in (block, overlap))
    axes = [
        [
            Span(start, min(start + block, length), max(start - overlap, 0), min(start + block + overlap, length))
            for start in range(0, length, block)
        ]
        for length in shape
    ]
    return product_of(axes)


def masked_tiles(mask: Tensor, block: int, overlap: int) -> Iterator[Tile]:
    """Cover the bounding box of a mask by tiles of equal size; tiles without a voxel of the mask are omitted.

    Args:
        mask: bool, any number of dims.
        block: largest side of `inner`.
        overlap: `outer` exceeds `inner` by this on every side, except at the edges of the field.
    Yields:
        tiles, the last axis fastest.
    """
    if not mask.any():
        return
    axes = []
    for axis, length in enumerate(mask.shape):
        used = mask.any(dim=[a for a in range(mask.ndim) if a != axis]).nonzero()[:, 0]
        first, last = int(used[0]), int(used[-1]) + 1
        side = ceil((last - first) / ceil((last - first) / block))
        axes.append(
            [
                Span(s, min(s + side, last), max(s - overlap, 0), min(s + side + overlap, length))
                for s in range(first, last, side)
            ]
        )
    yield from (tile for tile in product_of(axes) if mask[tile.inner].any())


def map_tiles(
    work: Callable[[T], R],
    jobs: Iterable[T],
    *,
    workers: int = 1,
    executor: Executor | None = None,
    is_empty: Callable[[T], bool] = lambda job: False,
) -> Generator[tuple[T, R]]:
    """Compute every job, in order of completion; jobs are drawn when a worker is about to be free.

    After an error or an interrupt, the results of the jobs already started are yielded before it is raised.

    Args:
        work: job -> result; for another process it and the jobs must be picklable.
        jobs: drawn here, one after another.
        workers: number of jobs computed at the same time, each on one thread; 1 computes here, with all threads.
        executor: computes in place of threads of this process.
        is_empty: jobs that are computed here, because they need no work.
    Yields:
        (job, result).
    """
    if executor is not None:
        yield from _spread(partial(_alone, work), jobs, executor, workers, is_empty)
    elif workers <= 1:
        for job in jobs:
            yield job, work(job)
    else:
        pool = ThreadPoolExecutor(workers)
        try:
            yield from _spread(partial(_alone, work), jobs, pool, workers, is_empty)
        finally:
            pool.shutdown(cancel_futures=True)


def in_smaller_blocks(
    work: Callable[[Slices], Sequence[Tensor]], shape: Sequence[int], overlap: int, alignment: int = 1
) -> list[Tensor]:
    """Compute a window in one piece, or in blocks of half its side while the memory of the device is too small.

    Args:
        work: slices of the window -> tensors whose last dims are those of the slices.
        shape: of the window.
        overlap: what the result at a place depends on around it.
        alignment: of where blocks start.
    Returns:
        the tensors of the whole window.
    Raises:
        MvnetError: too little memory for the smallest block.
    """
    block, dims = max(shape), len(shape)
    try:
        return list(work(tuple(slice(0, n) for n in shape)))
    except torch.OutOfMemoryError:
        pass  # left first: the traceback holds what was computed
    while block > max(_LEAST, alignment):
        _say_smaller(block, block := -(-block // 2))
        try:
            whole: list[Tensor] = []
            for tile in aligned_tiles(shape, block, overlap, alignment):
                parts = work(tile.outer)
                whole = whole or [part.new_empty(*part.shape[: part.ndim - dims], *shape) for part in parts]
                for all_, part in zip(whole, parts):
                    all_[..., *tile.inner] = part[..., *tile.place]
            return whole
        except torch.OutOfMemoryError:
            continue
    raise MvnetError(
        f"device: found too little memory for {block} voxels or pixels a side, expected a larger one, or the CPU"
    )


def _say_smaller(block: int, half: int) -> None:
    """Tell, and give back what torch keeps for later."""
    text = f"device: found too little memory for {block} voxels or pixels a side, goes on with {half}"
    warnings.warn(text, MvnetWarning, stacklevel=3)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _alone(work: Callable[[T], R], job: T) -> R:
    """Compute on one thread: tiles side by side on one thread each cost less than tiles in turn on all threads."""
    with on_one_thread():
        return work(job)


def _spread(
    work: Callable[[T], R], jobs: Iterable[T], executor: Executor, workers: int, is_empty: Callable[[T], bool]
) -> Generator[tuple[T, R]]:
    waiting: dict[Future[R], T] = {}

    def pop_completed() -> tuple[T, R]:
        future = next(iter(wait(waiting, return_when=FIRST_COMPLETED).done))
        return waiting.pop(future), future.result()

    try:
        for job in jobs:
            if is_empty(job):
                yield job, work(job)
                continue
            waiting[executor.submit(work, job)] = job
            if len(waiting) >= _AHEAD * workers:
                yield pop_completed()
        while waiting:
            yield pop_completed()
    except GeneratorExit:
        raise
    except BaseException:  # interrupts too: the work of other threads is kept
        for future, job in waiting.items():
            if not future.cancel() and future.exception() is None:
                yield job, future.result()
        raise
