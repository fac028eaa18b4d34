"""Certified denoising of whole volumes: no step of it looks at the tensors but the network's pair maps.

There is no trust region, no scaling by the median diffusivity and no clipping as for the other network, since each of
them would depend on the tensors: the theorem of `network.py` holds for what the user gets.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.linalg import affine_invariant, sym3
from mvnet.models.dti.certified.network import METRICS, CertifiedDenoiser
from mvnet.models.dti.inference import DenoisedVolume, check_volume, fill_background, signal_noise, size_ratio_map
from mvnet.models.dti.inputs import feature_planes
from mvnet.models.tiling import Slices, Tile, in_smaller_blocks, map_tiles, masked_tiles


class _TileData(NamedTuple):
    """What is read of a tile: logs (6, ...) and features (12, ...)."""

    tile: Tile
    logs: Tensor
    features: Tensor


@torch.no_grad()
def denoise_features(
    model: CertifiedDenoiser,
    tensors: Tensor,
    mask: Tensor,
    features: Tensor,
    *,
    strength: float = 1.0,
    block: int = 64,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
    executor: Executor | None = None,
) -> Tensor:
    """Denoise a volume with given side information.

    Args:
        model: runs on its own device, block by block; its affine-invariant form on the whole volume at once.
        tensors: (6, X, Y, Z) Mandel planes, positive definite inside the mask, in any unit.
        mask: (X, Y, Z) bool.
        features: (12, X, Y, Z), of `mvnet.models.dti.inputs.feature_planes`.
        strength: fraction of the geodesic of the model's metric from the input (0) to the network's output (1): an
            average of two non-expansive maps.
        block: side of a tile in voxels; the result does not depend on it.
        progress: called as progress(done, total) after every tile.
        workers: number of tiles computed at the same time.
        executor: of `concurrent.futures`, computes tiles instead of threads of this process.
    Returns:
        (6, X, Y, Z), the input outside the mask.
    Raises:
        MvnetError: shapes that do not fit, an empty mask, or a strength outside [0, 1].
    """
    check_volume(tensors, mask, strength)
    filled = fill_background(tensors[None], mask)[0]
    logs = sym3.log(filled, dim=0)
    side = max(mask.shape) if model.metric == METRICS[1] else block
    tiles = list(masked_tiles(mask, side, model.receptive_radius))
    jobs = (_TileData(tile, logs[:, *tile.outer], features[:, *tile.outer]) for tile in tiles)
    out = logs.clone()
    for done, (job, result) in enumerate(
        map_tiles(partial(_filter_tile, model), jobs, workers=workers, executor=executor), start=1
    ):
        _, inner, place = job.tile
        out[:, *inner] = torch.where(mask[inner], result[:, *place], out[:, *inner])
        if progress is not None:
            progress(done, len(tiles))
    if model.metric == METRICS[1]:
        moved = affine_invariant.geodesic(filled, sym3.exp(out, dim=0), strength, dim=0)
    else:
        moved = sym3.exp(logs + strength * (out - logs), dim=0)
    return torch.where(mask, moved, tensors)


@torch.no_grad()
def _filter_tile(model: CertifiedDenoiser, job: _TileData) -> Tensor:
    device, back = next(model.parameters()).device, job.logs.device

    def filter_window(window: Slices) -> list[Tensor]:
        logs, features = (x[..., *window][None].to(device) for x in (job.logs, job.features))
        return [model.filter_logs(logs, features)[0].to(back)]

    if model.metric == METRICS[1]:  # whose order of neighbours is that of the whole volume
        return filter_window(tuple(slice(None) for _ in job.logs.shape[1:]))[0]
    return in_smaller_blocks(filter_window, job.logs.shape[1:], model.receptive_radius)[0]


def side_information(volume: DTIVolume) -> Tensor:
    """What the certificate takes as given: mask, maps of the acquisition, shape of a voxel.

    Args:
        volume: of `load_dwi` or `load_tensors`; without an acquisition the maps are unknown.
    Returns:
        (12, X, Y, Z), of `mvnet.models.dti.inputs.feature_planes`, in the dtype of the tensors.
    """
    scan, mask = volume.acquisition, volume.mask
    if scan is None:
        return feature_planes(mask, spacing=volume.spacing).to(volume.tensors.dtype)
    ratio = size_ratio_map(volume.tensors, mask, signal_noise(scan))
    side = feature_planes(mask, scan.b0, scan.noise, scan.residual, spacing=volume.spacing, size_ratio=ratio)
    return side.to(volume.tensors.dtype)


def denoise_certified(
    model: CertifiedDenoiser,
    volume: DTIVolume,
    strength: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
    executor: Executor | None = None,
) -> DenoisedVolume:
    """Denoise what a loader read; the maps of its acquisition are the side information of the certificate.

    Args:
        model: on any device.
        volume: of `load_dwi` or `load_tensors`; without an acquisition the network knows the mask and the voxels only.
        strength, progress, workers, executor: as of `denoise_features`.
    Returns:
        the tensors; no error, confidence or trust region: the certificate says nothing about the truth.
    Raises:
        RuntimeError: the network returned tensors that are not finite.
    """
    mask, side = volume.mask, side_information(volume)
    how = {"strength": strength, "progress": progress, "workers": workers, "executor": executor}
    tensors = denoise_features(model, volume.tensors, mask, side, **how)
    if not tensors[:, mask].isfinite().all():
        raise RuntimeError("the network returned tensors that are not finite")
    return DenoisedVolume(tensors)
