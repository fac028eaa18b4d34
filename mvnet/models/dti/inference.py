"""Denoising of whole volumes in bounded memory: tiles that overlap by the receptive field, without seams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.dti.fit.precision import SignalNoise, size_noise_ratio, tensor_precision
from mvnet.data_loaders.dti.fitting import design_matrix
from mvnet.data_loaders.dti.volume import Acquisition, DTIVolume
from mvnet.errors import MvnetError
from mvnet.manifolds import SPDField
from mvnet.models.dti.inputs import diffusivity_scale, feature_planes, visible_tensors
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.uncertainty import Estimate, estimate
from mvnet.models.tiling import Slices, Tile, in_smaller_blocks, map_tiles, masked_tiles
from mvnet.nn.trust_region import TRUST_REGION, chi_quantile

_FEWEST_VOLUMES = (
    8  # of a fit that leaves a residual, and so a covariance; of seven only the size of the noise is known
)
_CHUNK = 2**15  # voxels whose covariances are in memory at a time


class DenoisedVolume(NamedTuple):
    """Result of `denoise_volume`.

    Attributes:
        tensors: (6, X, Y, Z) um^2/ms.
        error: (X, Y, Z), expected affine-invariant distance to the truth, 0 outside the mask.
        confidence: (X, Y, Z) = exp(-error) in [0, 1], 0 outside the mask.
        fa_error, md_error: (X, Y, Z), expected 1-sigma errors of FA and of MD (um^2/ms), 0 outside the mask.
        kept: (X, Y, Z), share of the network's proposal that the trust region left, 1 outside the mask.

    All but the tensors are None from a network that does not estimate its error.
    """

    tensors: Tensor
    error: Tensor | None = None
    confidence: Tensor | None = None
    fa_error: Tensor | None = None
    md_error: Tensor | None = None
    kept: Tensor | None = None


@torch.no_grad()
def denoise_volume(
    model: DTIDenoiser,
    tensors: Tensor,
    mask: Tensor,
    *,
    b0: Tensor | None = None,
    noise: Tensor | None = None,
    residual: Tensor | None = None,
    signal: SignalNoise | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    trust_region: float = TRUST_REGION,
    strength: float = 1.0,
    block: int = 64,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
    executor: Executor | None = None,
) -> DenoisedVolume:
    """Denoise a volume of diffusion tensors.

    Args:
        model: from `mvnet.models.pretrained("dti")`; runs on its own device, block by block.
        tensors: (6, X, Y, Z) Mandel planes, um^2/ms, positive definite inside the mask.
        mask: (X, Y, Z) bool.
        b0, noise, residual: (X, Y, Z) maps of the acquisition, or None.
        signal: what the covariance of every tensor follows from; None leaves it at the size `noise`.
        spacing: lengths of the sides of a voxel, in any unit.
        trust_region: share of the noise of a measurement inside which its voxel stays; 1 is no bound. Without a noise
            map there is none.
        strength: fraction of the affine-invariant geodesic from the input (0) to the network's output (1).
        block: side of a tile in voxels; memory grows with its cube, the result does not depend on it.
        progress: called as progress(done, total) after every tile.
        workers: number of tiles computed at the same time, with one thread each; 1 computes one after another with all
            threads.
        executor: of `concurrent.futures`, computes tiles instead of threads of this process.
    Returns:
        tensors, expected errors and confidence.
    Raises:
        MvnetError: shapes that do not fit, an empty mask, a strength outside [0, 1] or a trust region outside (0, 1].
    """
    radius = chi_quantile(trust_region)
    check_volume(tensors, mask, strength)
    seen, features, scale = network_inputs(
        tensors, mask, b0=b0, noise=noise, residual=residual, signal=signal, spacing=spacing
    )
    out, logs = tensors.clone(), torch.zeros(3, *mask.shape, dtype=tensors.dtype, device=tensors.device)
    tiles = list(masked_tiles(mask, block, model.receptive_radius))
    jobs = (_TileData(t, seen[:, *t.outer], mask[t.outer], features[:, *t.outer]) for t in tiles)
    results = map_tiles(partial(_filter_tile, model), jobs, workers=workers, executor=executor)
    for done, (job, (result, expected)) in enumerate(results, start=1):
        _, inner, place = job.tile
        for whole, part in ((out, result * scale), (logs, expected)):
            whole[:, *inner] = torch.where(mask[inner], part[:, *place], whole[:, *inner])
        if progress is not None:
            progress(done, len(tiles))
    found = _keep_trusted(tensors[:, mask], out[:, mask], logs[:, mask], mask, noise, signal, radius)
    out[:, mask] = _along_geodesic(tensors[:, mask], found.tensors, strength)
    inside = (found.error, (-found.error).exp(), found.fa_error, found.md_error)
    error, confidence, fa_error, md_error = (_scatter(values, mask, 0.0) for values in inside)
    return DenoisedVolume(out, error, confidence, fa_error, md_error, _scatter(found.kept, mask, 1.0))


def network_inputs(
    tensors: Tensor,
    mask: Tensor,
    *,
    b0: Tensor | None = None,
    noise: Tensor | None = None,
    residual: Tensor | None = None,
    signal: SignalNoise | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
) -> tuple[Tensor, Tensor, Tensor]:
    """What the network sees of a volume.

    Args:
        tensors, mask, b0, noise, residual, signal, spacing: as of `denoise_volume`.
    Returns:
        tensors over their scale (6, X, Y, Z), features (12, X, Y, Z), and the scale.
    """
    ratio = None if signal is None else size_ratio_map(tensors, mask, signal)
    features = feature_planes(mask, b0, noise, residual, spacing=spacing, size_ratio=ratio).to(tensors.dtype)
    scale = diffusivity_scale(tensors, mask)
    return visible_tensors(tensors / scale, mask), features, scale


def size_ratio_map(tensors: Tensor, mask: Tensor, signal: SignalNoise) -> Tensor:
    """`size_noise_ratio` of a volume, some voxels at a time.

    Args:
        tensors: (6, X, Y, Z) Mandel planes, um^2/ms.
        mask: (X, Y, Z) bool.
        signal: of the acquisition.
    Returns:
        (X, Y, Z), 0 where the noise is unknown.
    """
    design = signal.design.to(tensors)
    parts = [size_noise_ratio(part.T, design) for part in tensors[:, mask].split(_CHUNK, 1)]
    return _scatter(torch.cat(parts), mask, 0.0) * (signal.snr > 0)


def _along_geodesic(start: Tensor, end: Tensor, share: float) -> Tensor:
    """The point at a share of the geodesic, the very ends for 0 and 1: (6, n)."""
    if share in (0, 1):
        return end if share else start
    return SPDField(dim=0).geodesic(start, end, share)


def _keep_trusted(
    measured: Tensor,
    proposed: Tensor,
    logs: Tensor,
    mask: Tensor,
    noise: Tensor | None,
    signal: SignalNoise | None,
    radius: float,
) -> Estimate:
    """`estimate` of the n voxels of a mask, some at a time: the covariances of all would not fit into memory."""
    level = torch.zeros_like(logs[0]) if noise is None else noise[mask].to(logs)
    snr = None
    if signal is not None and len(signal.design) >= _FEWEST_VOLUMES:
        snr, design = signal.snr[mask].to(logs), signal.design.to(logs)
    parts = []
    for start in range(0, measured.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        precision = None if snr is None else tensor_precision(measured[:, part].T, snr[part], design)
        log_error, spread = logs[0, part], logs[1:, part]
        parts.append(estimate(measured[:, part], proposed[:, part], log_error, spread, level[part], precision, radius))
    return Estimate(*(torch.cat(pieces, -1) for pieces in zip(*parts, strict=True)))


def _scatter(values: Tensor, mask: Tensor, outside: float) -> Tensor:
    """Values (n,) at the n voxels of a mask (X, Y, Z)."""
    return torch.full(mask.shape, outside, dtype=values.dtype, device=values.device).masked_scatter(mask, values)


class _TileData(NamedTuple):
    """What is read of a tile: values (6, ...) over their scale, mask (...) bool, features (C, ...)."""

    tile: Tile
    values: Tensor
    mask: Tensor
    features: Tensor


@torch.no_grad()
def _filter_tile(model: DTIDenoiser, job: _TileData) -> tuple[Tensor, Tensor]:
    """The network on one tile: tensors (6, ...) over their scale, logs (3, ...) of error and of both factors."""
    device, back = next(model.parameters()).device, job.values.device

    def filter_window(window: Slices) -> tuple[Tensor, Tensor]:
        values, mask, features = (x[..., *window].to(device) for x in (job.values, job.mask, job.features))
        field = model(fill_background(values[None], mask), features[None])
        spread = field.log_spread
        factors = field.log_error.new_zeros(2, *field.log_error.shape[2:]) if spread is None else spread[0]
        return field.tensors[0].to(back), torch.cat([field.log_error[0], factors]).to(back)

    tensors, logs = in_smaller_blocks(filter_window, job.mask.shape, model.receptive_radius)
    return tensors, logs


def check_volume(tensors: Tensor, mask: Tensor, strength: float) -> None:
    """Check what is to be denoised.

    Args:
        tensors: expected (6, X, Y, Z).
        mask: expected (X, Y, Z) bool with a voxel inside.
        strength: expected in [0, 1].
    Raises:
        MvnetError: one of them is not as expected.
    """
    if tensors.ndim != 4 or tensors.shape[0] != 6:
        raise MvnetError(f"tensors: found shape {tuple(tensors.shape)}, expected (6, X, Y, Z)")
    if mask.shape != tensors.shape[1:] or mask.dtype != torch.bool:
        raise MvnetError(
            f"mask: found shape {tuple(mask.shape)} of {mask.dtype}, expected {tuple(tensors.shape[1:])} of torch.bool"
        )
    if not mask.any():
        raise MvnetError("mask: found no voxel inside, expected at least one")
    if not 0 <= strength <= 1:
        raise MvnetError(f"strength: found {strength}, expected a number in [0, 1]")


def denoise_loaded(
    model: DTIDenoiser,
    volume: DTIVolume,
    strength: float = 1.0,
    trust_region: float = TRUST_REGION,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
    executor: Executor | None = None,
) -> DenoisedVolume:
    """Denoise what a loader read, with all that its acquisition says.

    Args:
        model: on any device.
        volume: of `load_dwi` or `load_tensors`.
        strength, trust_region, progress, workers, executor: as of `denoise_volume`.
    Returns:
        tensors, expected errors and confidence.
    Raises:
        RuntimeError: the network returned tensors that are not finite.
    """
    out = denoise_volume(
        model,
        volume.tensors,
        volume.mask,
        **acquisition_of(volume),
        strength=strength,
        trust_region=trust_region,
        progress=progress,
        workers=workers,
        executor=executor,
    )
    if not out.tensors[:, volume.mask].isfinite().all():
        raise RuntimeError("the network returned tensors that are not finite")
    return out


def acquisition_of(volume: DTIVolume) -> dict[str, Any]:
    """What `denoise_volume` takes beside tensors and mask.

    Args:
        volume: of a loader.
    Returns:
        b0, noise, residual, signal (None without a DWI) and spacing.
    """
    scan, spacing = volume.acquisition, volume.spacing
    if scan is None:
        return {"b0": None, "noise": None, "residual": None, "signal": None, "spacing": spacing}
    maps = {"b0": scan.b0, "noise": scan.noise, "residual": scan.residual}
    return {**maps, "signal": signal_noise(scan), "spacing": spacing}


def signal_noise(scan: Acquisition) -> SignalNoise:
    """What the covariance of the fitted tensors follows from.

    Args:
        scan: acquisition of a volume.
    Returns:
        signal over noise (X, Y, Z), and the design of the volumes fitted.
    """
    known = scan.sigma > 0
    snr = torch.where(known, scan.b0 / torch.where(known, scan.sigma, 1.0), 0.0)
    used = scan.used
    design = design_matrix(torch.as_tensor(scan.bvals[used]).float(), torch.as_tensor(scan.bvecs[used]).float())
    return SignalNoise(snr, design)


def fill_background(tensors: Tensor, mask: Tensor) -> Tensor:
    """Set the identity outside the mask, so that every matrix has a logarithm.

    Args:
        tensors: (B, 6, X, Y, Z).
        mask: (X, Y, Z) bool.
    Returns:
        same shape as the tensors.
    """
    identity = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=tensors.dtype, device=tensors.device)[:, None, None, None]
    return torch.where(mask, tensors, identity)
