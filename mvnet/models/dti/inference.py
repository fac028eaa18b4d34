"""Denoising of whole volumes in bounded memory: tiles that overlap by the receptive field, without seams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.dti.repair import bound_eigenvalues
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.errors import MvnetError
from mvnet.manifolds import SPDField
from mvnet.models.dti.inputs import diffusivity_scale, feature_planes
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.tiling import Tile, map_tiles, masked_tiles


class DenoisedVolume(NamedTuple):
    """Result of `denoise_volume`.

    Attributes:
        tensors: (6, X, Y, Z) um^2/ms.
        error: (X, Y, Z), expected affine-invariant distance to the truth, 0 outside the mask.
        confidence: (X, Y, Z) = exp(-error) in [0, 1], 0 outside the mask.
    """

    tensors: Tensor
    error: Tensor
    confidence: Tensor


@torch.no_grad()
def denoise_volume(
    model: DTIDenoiser,
    tensors: Tensor,
    mask: Tensor,
    *,
    b0: Tensor | None = None,
    noise: Tensor | None = None,
    residual: Tensor | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
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
        spacing: lengths of the sides of a voxel, in any unit.
        strength: fraction of the affine-invariant geodesic from the input (0) to the network's output (1).
        block: side of a tile in voxels; memory grows with its cube, the result does not depend on it.
        progress: called as progress(done, total) after every tile.
        workers: number of tiles computed at the same time, with one thread each; 1 computes one after another with all
            threads.
        executor: of `concurrent.futures`, computes tiles instead of threads of this process.
    Returns:
        tensors, expected error and confidence.
    Raises:
        MvnetError: shapes that do not fit, an empty mask, or a strength outside [0, 1].
    """
    _check_arrays(tensors, mask, strength)
    scale = diffusivity_scale(tensors, mask)
    features = feature_planes(mask, b0, noise, residual, spacing=spacing).to(tensors.dtype)
    out, error = tensors.clone(), torch.zeros_like(tensors[0])
    tiles = list(masked_tiles(mask, block, model.receptive_radius))
    jobs = (
        _TileData(t, bound_eigenvalues(tensors[:, *t.outer] / scale), mask[t.outer], features[:, *t.outer])
        for t in tiles
    )
    results = map_tiles(partial(_filter_tile, model), jobs, workers=workers, executor=executor)
    for done, (job, (result, expected)) in enumerate(results, start=1):
        _, inner, place = job.tile
        keep = mask[inner]
        out[:, *inner] = torch.where(keep, (result * scale)[:, *place], out[:, *inner])
        error[inner] = torch.where(keep, expected[place], error[inner])
        if progress is not None:
            progress(done, len(tiles))
    if strength < 1:
        start, end = tensors[:, mask], out[:, mask]
        out[:, mask] = SPDField(dim=0).geodesic(start, end, strength) if strength else start
    return DenoisedVolume(out, error, torch.where(mask, (-error).exp(), torch.zeros_like(error)))


class _TileData(NamedTuple):
    """What is read of a tile: values (6, ...) over their scale, mask (...) bool, features (C, ...)."""

    tile: Tile
    values: Tensor
    mask: Tensor
    features: Tensor


@torch.no_grad()
def _filter_tile(model: DTIDenoiser, job: _TileData) -> tuple[Tensor, Tensor]:
    """The network on one tile: tensors (6, ...) over their scale and expected error (...), on the device of the job."""
    device, back = next(model.parameters()).device, job.values.device
    values = fill_background(job.values[None].to(device), job.mask.to(device))
    field = model(values, job.features[None].to(device))
    return field.tensors[0].to(back), field.log_error[0, 0].to(back).exp()


def _check_arrays(tensors: Tensor, mask: Tensor, strength: float) -> None:
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
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
    executor: Executor | None = None,
) -> DenoisedVolume:
    """Denoise what a loader read, with all that its acquisition says.

    Args:
        model: on any device.
        volume: of `load_dwi` or `load_tensors`.
        strength, progress, workers, executor: as of `denoise_volume`.
    Returns:
        tensors, expected error and confidence.
    Raises:
        RuntimeError: the network returned tensors that are not finite.
    """
    scan = volume.acquisition
    out = denoise_volume(
        model,
        volume.tensors,
        volume.mask,
        b0=None if scan is None else scan.b0,
        noise=None if scan is None else scan.noise,
        residual=None if scan is None else scan.residual,
        spacing=volume.spacing,
        strength=strength,
        progress=progress,
        workers=workers,
        executor=executor,
    )
    if not out.tensors[:, volume.mask].isfinite().all():
        raise RuntimeError("the network returned tensors that are not finite")
    return out


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
