"""Denoising of whole interferograms in bounded memory: tiles that overlap by the receptive field, without seams.

Tiles start at multiples of the coarsest block of pixels of the network, so that blocks are the same in every tile; a
scene whose sides are not such multiples is padded by pixels that are not valid.

A coherence that is given bounds the concentration: no estimate from the pixels in reach is better than they allow,

    kappa <= sum over the window of 2 L g^2 / (1 - g^2),        L looks of coherence g

Source of the bound: Rodriguez and Martin, IEE Proc. F 139 (1992) 147 (Cramer-Rao of the phase of L looks).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.data_loaders.insar.noise import PhaseNoise, measure_correlation, noise_windows
from mvnet.errors import MvnetError
from mvnet.manifolds import Circle
from mvnet.models.insar.inputs import interferogram_planes, noise_features, scalar_planes
from mvnet.models.insar.network import InSARDenoiser
from mvnet.models.insar.points import REACH, average_points
from mvnet.models.tiling import Slices, Tile, aligned_tiles, in_smaller_blocks, map_tiles

_REACH = 35  # pixels, side of the window whose information bounds the concentration
_UNBOUNDED = 1e6  # information of a pixel of unknown coherence


class DenoisedInterferogram(NamedTuple):
    """Result of `denoise_interferogram`.

    Attributes:
        phase: (H, W) in (-pi, pi], that of the input where it is not valid.
        concentration: (H, W), kappa of the von Mises error of the phase, 0 where not valid.
        confidence: (H, W) = I_1(kappa) / I_0(kappa), the expected cosine of the error, in [0, 1).
    """

    phase: Tensor
    concentration: Tensor
    confidence: Tensor


@torch.no_grad()
def denoise_interferogram(
    model: InSARDenoiser,
    z: Tensor,
    coherence: Tensor | None = None,
    valid: Tensor | None = None,
    block: int = 1024,
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
    noise: PhaseNoise | None = None,
) -> DenoisedInterferogram:
    """Denoise an interferogram.

    Args:
        model: from `mvnet.models.pretrained("insar")`; runs on its own device and in its own precision, tile by tile.
        z: (H, W) complex, any unit; exp(i phase) where there is no amplitude.
        coherence: (H, W) in [0, 1] estimated from the images, nan where unknown; or None.
        valid: (H, W) bool; None selects the finite, non-zero pixels.
        block: side of a tile in pixels; memory grows with its square, the result does not depend on it.
        progress: called as progress(done, total) after every tile.
        workers: number of tiles computed at the same time, with one thread each; None is one for every thread of torch
            on the CPU, else one. A single tile uses all threads.
        noise: what is known of the noise; None measures its correlation and takes the looks as unknown.
    Returns:
        phase, concentration and confidence, each (H, W).
    Raises:
        MvnetError: shapes or types that do not fit, a block or workers below 1, or no valid pixel.
    """
    valid = check_arrays(z, coherence, valid)
    for name, found in (("block", block), ("workers", workers)):
        if found is not None and found < 1:
            raise MvnetError(f"{name}: found {found}, expected a positive number")
    if noise is None:
        windows = noise_windows((z.shape[0], z.shape[1]))
        noise = PhaseNoise(measure_correlation((z[w].cpu(), valid[w].cpu()) for w in windows))
    phase, concentration = z.angle(), torch.zeros_like(z.real)
    jobs = list(aligned_tiles(tuple(z.shape), block, overlap_of(model), model.alignment))
    if workers is None:
        workers = torch.get_num_threads() if next(model.parameters()).device.type == "cpu" else 1

    def work(tile: Tile) -> tuple[Tensor, Tensor] | None:
        outer = tile.outer
        if not valid[tile.inner].any():
            return None
        return denoise_window(model, z[outer], valid[outer], None if coherence is None else coherence[outer], noise)

    for done, ((_, inner, place), found) in enumerate(map_tiles(work, jobs, workers=min(workers, len(jobs))), start=1):
        if found is not None:
            keep = valid[inner]
            phase[inner] = torch.where(keep, found[0][place], phase[inner])
            concentration[inner] = torch.where(keep, found[1][place], concentration[inner])
        if progress is not None:
            progress(done, len(jobs))
    return DenoisedInterferogram(phase, concentration, expected_cosine(concentration))


@torch.no_grad()
def denoise_window(
    model: InSARDenoiser,
    z: Tensor,
    valid: Tensor,
    coherence: Tensor | None = None,
    noise: PhaseNoise | None = None,
) -> tuple[Tensor, Tensor]:
    """Denoise a window, in one piece if the device has the memory; pixels `overlap_of(model)` inside are final.

    Args:
        model: on any device.
        z, valid, coherence: (h, w) as in `denoise_interferogram`, from a row and column that are multiples of
            `model.alignment`.
        noise: of the whole scene; None is white noise of unknown looks.
    Returns:
        phase (h, w) in radians and concentration (h, w), on the device and in the precision of z; undefined where
        not valid.
    """

    def denoise_piece(piece: Slices) -> tuple[Tensor, Tensor]:
        return _denoise_piece(model, z[piece], valid[piece], None if coherence is None else coherence[piece], noise)

    phase, concentration = in_smaller_blocks(denoise_piece, z.shape, overlap_of(model), model.alignment)
    return phase, concentration


def _denoise_piece(
    model: InSARDenoiser, z: Tensor, valid: Tensor, coherence: Tensor | None, noise: PhaseNoise | None
) -> tuple[Tensor, Tensor]:
    """A window in one piece."""
    like = next(model.parameters())
    planes = interferogram_planes(z, valid)
    features = scalar_planes(valid, coherence, planes.dtype)
    planes, features = (pad_to_multiple(x, model.alignment)[None].to(like) for x in (planes, features))
    told = None if noise is None else noise_features(noise.correlation, torch.tensor(noise.looks))[None].to(like)
    out, (height, width) = model(planes, features, told), z.shape
    phase, concentration = (x[0, :height, :width].to(z.real) for x in (out.phase, out.log_concentration.exp()))
    phase = average_points(phase, valid)
    if coherence is not None:
        looks = 1.0 if noise is None or math.isnan(noise.looks) else noise.looks
        concentration = torch.minimum(concentration, looks * information(coherence, valid).to(concentration))
    return phase, concentration


def overlap_of(model: InSARDenoiser) -> int:
    """Pixels around a tile that its result depends on.

    Args:
        model: the network.
    Returns:
        the least overlap of tiles without seams.
    """
    return model.receptive_radius + REACH


def information(coherence: Tensor, valid: Tensor) -> Tensor:
    """sum of 2 g^2 / (1 - g^2) over the valid pixels of a window: the largest concentration that one look allows.

    Args:
        coherence: (h, w) in [0, 1], nan where unknown.
        valid: (h, w) bool.
    Returns:
        (h, w), at least 1e6 where a valid pixel of the window is of unknown coherence.
    """
    square = coherence.square()
    each = torch.where(coherence.isfinite(), 2 * square / (1 - square).clamp_min(1e-6), _UNBOUNDED)
    each = torch.where(valid, each.clamp_max(_UNBOUNDED), 0)[None]
    for kernel, pad in (((_REACH, 1), (_REACH // 2, 0)), ((1, _REACH), (0, _REACH // 2))):
        each = F.avg_pool2d(each, kernel, 1, pad, divisor_override=1)
    return each[0]


def blend(measured: Tensor, denoised: Tensor, strength: float) -> Tensor:
    """phi = wrap(phi_in + s wrap(phi_net - phi_in)): the point at fraction s of the shorter arc.

    Args:
        measured, denoised: (...) in radians.
        strength: s in [0, 1].
    Returns:
        (...) in (-pi, pi].
    """
    return Circle().geodesic(measured, denoised, strength)


def expected_cosine(concentration: Tensor) -> Tensor:
    """I_1(kappa) / I_0(kappa), the mean resultant length of a von Mises variable.

    Args:
        concentration: kappa >= 0.
    Returns:
        same shape, in [0, 1).
    """
    return torch.special.i1e(concentration) / torch.special.i0e(concentration)


def check_arrays(z: Tensor, coherence: Tensor | None, valid: Tensor | None) -> Tensor:
    """Check shapes and types, and find the pixels with data.

    Args:
        z, coherence, valid: as in `denoise_interferogram`.
    Returns:
        (H, W) bool.
    Raises:
        MvnetError: as in `denoise_interferogram`.
    """
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


def pad_to_multiple(planes: Tensor, alignment: int) -> Tensor:
    """Pad by zeros below and to the right to multiples of the alignment.

    Args:
        planes: (C, H, W).
        alignment: in pixels.
    Returns:
        (C, H', W').
    """
    height, width = planes.shape[1:]
    return F.pad(planes, (0, -width % alignment, 0, -height % alignment))
