"""Whole interferograms through the network in bounded memory: tiles with an overlap of the receptive field, no seams.

Tiles start at multiples of the coarsest block of pixels that the network looks at, so that blocks are the same in every
tile; a scene whose sides are no such multiples is continued by pixels that are not valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.models.insar.inputs import interferogram_planes, scalar_planes
from mvnet.models.insar.network import InSARDenoiser

T = TypeVar("T")
R = TypeVar("R")


class DenoisedInterferogram(NamedTuple):
    """phase (H, W) in (-pi, pi], that of the input where it is not valid; concentration (H, W), kappa of the von Mises
    error of the phase, 0 where not valid; confidence (H, W) = I_1(kappa) / I_0(kappa), the expected cosine of the
    error, in [0, 1)."""

    phase: Tensor
    concentration: Tensor
    confidence: Tensor


class PixelTile(NamedTuple):
    """`outer` is what the network reads, `inner` what it writes, `place` where `inner` lies inside `outer`."""

    outer: tuple[slice, slice]
    inner: tuple[slice, slice]
    place: tuple[slice, slice]


def pixel_tiles(shape: tuple[int, int], block: int, overlap: int, alignment: int) -> Iterator[PixelTile]:
    """Cover an image by tiles that write at most `block` x `block` pixels; all `outer` start at multiples of alignment.

    Args:
        shape: (rows, columns).
        block: side of `inner`, rounded up to a multiple of alignment.
        overlap: pixels by which `outer` is at least larger on every side, the edges of the image excepted.
        alignment: of the coarsest block of pixels.
    """
    block, overlap = (-(-n // alignment) * alignment for n in (block, overlap))
    axes = [
        [
            (start, min(start + block, length), max(start - overlap, 0), min(start + block + overlap, length))
            for start in range(0, length, block)
        ]
        for length in shape
    ]
    for spans in product(*axes):
        (top, bottom, low, high), (left, right, first, last) = spans
        yield PixelTile(
            (slice(low, high), slice(first, last)),
            (slice(top, bottom), slice(left, right)),
            (slice(top - low, bottom - low), slice(left - first, right - first)),
        )


@torch.no_grad()
def denoise_interferogram(
    model: InSARDenoiser,
    z: Tensor,
    coherence: Tensor | None = None,
    valid: Tensor | None = None,
    block: int = 1024,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> DenoisedInterferogram:
    """Denoise an interferogram.

    Args:
        model: from `mvnet.models.pretrained("insar")`; runs on its own device and in its own precision, tile by tile.
        z: (H, W) complex, any unit; exp(i phase) where there is no amplitude.
        coherence: (H, W) in [0, 1] estimated from the images, or None; not finite where unknown.
        valid: (H, W) bool; None takes finite, non-zero pixels.
        block: side of a tile in pixels; memory grows with its square, the result does not depend on it.
        progress: called as progress(done, total) after every tile.
        workers: tiles computed at the same time, with one thread each; None is one for every thread of torch on the
            CPU, else one. A single tile has all threads.
    Raises:
        ValueError: on shapes or types that do not fit, a block or workers below 1, or no valid pixel.
    """
    valid = checked(z, coherence, valid)
    for name, found in (("block", block), ("workers", workers)):
        if found is not None and found < 1:
            raise MvnetError(f"{name}: found {found}, expected a positive number")
    phase, concentration = z.angle(), torch.zeros_like(z.real)
    jobs = list(pixel_tiles((z.shape[0], z.shape[1]), block, model.receptive_radius, model.alignment))

    if workers is None:
        workers = torch.get_num_threads() if next(model.parameters()).device.type == "cpu" else 1

    def filtered(tile: PixelTile) -> tuple[Tensor, Tensor] | None:
        outer = tile.outer
        if not valid[tile.inner].any():
            return None
        return denoise_window(model, z[outer], valid[outer], None if coherence is None else coherence[outer])

    for done, ((_, inner, place), found) in enumerate(zip(jobs, in_threads(filtered, jobs, workers)), start=1):
        if found is not None:
            keep = valid[inner]
            phase[inner] = torch.where(keep, found[0][place], phase[inner])
            concentration[inner] = torch.where(keep, found[1][place], concentration[inner])
        if progress is not None:
            progress(done, len(jobs))
    return DenoisedInterferogram(phase, concentration, expected_cosine(concentration))


def in_threads(work: Callable[[T], R], jobs: Sequence[T], workers: int) -> Iterator[R]:
    """Results in the order of the jobs, from so many threads that have one thread of torch each; one works here."""
    if min(workers, len(jobs)) == 1:
        yield from map(work, jobs)
        return
    before = torch.get_num_threads()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            yield from pool.map(work, jobs)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(before)


@torch.no_grad()
def denoise_window(
    model: InSARDenoiser, z: Tensor, valid: Tensor, coherence: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A window in one piece; what lies `receptive_radius` inside it is as in the whole scene.

    Args:
        z, valid, coherence: (h, w) as of `denoise_interferogram`, from a row and column that are multiples of
            `model.alignment`.
    Returns:
        phase (h, w) in radians and concentration (h, w), on the device and in the precision of z; without meaning where
        not valid.
    """
    like = next(model.parameters())
    planes = interferogram_planes(z, valid)
    features = scalar_planes(valid, coherence, planes.dtype)
    planes, features = (padded(x, model.alignment)[None].to(like) for x in (planes, features))
    out, (height, width) = model(planes, features), z.shape
    phase, concentration = (x[0, :height, :width].to(z.real) for x in (out.phase, out.log_concentration.exp()))
    return phase, concentration


def expected_cosine(concentration: Tensor) -> Tensor:
    """I_1(kappa) / I_0(kappa), the mean resultant length of a von Mises variable, in [0, 1)."""
    return torch.special.i1e(concentration) / torch.special.i0e(concentration)


def checked(z: Tensor, coherence: Tensor | None, valid: Tensor | None) -> Tensor:
    """(H, W) bool: pixels that count. Raises ValueError as `denoise_interferogram` does."""
    if z.ndim != 2 or not z.is_complex():
        raise MvnetError(f"z: found shape {tuple(z.shape)} of {z.dtype}, expected (H, W), complex")
    if coherence is not None and coherence.shape != z.shape:
        raise MvnetError(f"coherence: found shape {tuple(coherence.shape)}, expected {tuple(z.shape)}")
    known = z.isfinite() & (z != 0)
    if valid is not None:
        if valid.shape != z.shape or valid.dtype != torch.bool:
            raise MvnetError(
                f"valid: found shape {tuple(valid.shape)} of {valid.dtype}, expected {tuple(z.shape)} of torch.bool"
            )
        known = known & valid
    if not known.any():
        raise MvnetError("valid: found no pixel with data, expected at least one")
    return known


def padded(planes: Tensor, alignment: int) -> Tensor:
    """(C, H, W) continued by zeros below and to the right to multiples of alignment."""
    height, width = planes.shape[1:]
    return F.pad(planes, (0, -width % alignment, 0, -height % alignment))
