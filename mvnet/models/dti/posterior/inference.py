"""The posterior of a whole volume, in bounded memory: laws tile by tile, then as many fields as are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.dti.training.referenced import LARGEST_NOISE
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.equivariant import rms_squash
from mvnet.errors import MvnetError
from mvnet.linalg import sym3
from mvnet.metrics import REFERENCE_DIFFUSIVITY
from mvnet.models.dti.inference import acquisition_of, fill_background, network_inputs
from mvnet.models.dti.network import DTIDenoiser, bounded_log_error
from mvnet.models.dti.posterior.inputs import head_inputs
from mvnet.models.dti.posterior.law import Law
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.models.dti.posterior.noise import correlated_noise, white_noise
from mvnet.models.tiling import Tile, in_smaller_blocks, map_tiles, masked_tiles

CHUNK = 2**14
"""Voxels that are pushed at a time."""

_BLOCK = 2**24  # numbers of the noise of voxels in memory at a time
_PLANES = 30


@dataclass(frozen=True, eq=False)
class VolumePosterior:
    """The posterior of a volume.

    head: the network behind it, on the CPU.
    law: of the n voxels of the mask.
    mask: (X, Y, Z) bool.
    scale: diffusivity in which the laws are, um^2/ms over the reference.
    tensors: (6, X, Y, Z) um^2/ms, the denoised tensors.
    """

    head: DTIPosterior
    law: Law
    mask: Tensor
    scale: Tensor
    tensors: Tensor

    @torch.no_grad()
    def sample(self, count: int, seed: int = 0, *, correlated: bool = True) -> Iterator[Tensor]:
        """Fields that could as well be the truth, correlated in space as the error is.

        Field k is a function of the seed and k.

        Args:
            count: number of fields.
            seed: of all fields.
            correlated: noise that is correlated in space; without it every voxel is drawn by itself.
        Yields:
            (6, X, Y, Z) Mandel planes, um^2/ms; the denoised tensors outside the mask.
        """
        most = max(1, _BLOCK // (6 * max(1, int(self.mask.sum()))))
        for start in range(0, count, most):
            noise = [self._noise(number, seed, correlated) for number in range(start, min(start + most, count))]
            for field in self.push(torch.stack(noise, 1)).unbind(1):
                whole = self.tensors.clone()
                whole[:, self.mask] = field.to(whole)
                yield whole

    def _noise(self, number: int, seed: int, correlated: bool) -> Tensor:
        """(6, n) of the voxels of the mask."""
        shape = tuple(self.mask.shape)
        if correlated:
            return correlated_noise(self.head.taps, shape, seed, number)[:, self.mask]
        return white_noise([slice(0, n) for n in shape], seed, number)[:, self.mask]

    @torch.no_grad()
    def push(self, w: Tensor) -> Tensor:
        """Tensors of noise.

        Args:
            w: (6, K, n).
        Returns:
            (6, K, n) Mandel planes, um^2/ms.
        """
        out = torch.empty_like(w)
        for start in range(0, w.shape[2], CHUNK):
            part = slice(start, start + CHUNK)
            logs = self.head.push(self.law.part(part), w[..., part].contiguous())
            out[..., part] = self.tensors_of(logs)
        return out

    def tensors_of(self, logs: Tensor) -> Tensor:
        """Tensors in um^2/ms of centred log-tensors.

        Args:
            logs: (6, ...).
        Returns:
            the same shape.
        """
        return sym3.exp(logs, dim=0) * (REFERENCE_DIFFUSIVITY * self.scale)

    def scatter(self, values: Tensor) -> Tensor:
        """Values of the voxels of the mask on the grid.

        Args:
            values: (..., n).
        Returns:
            (..., X, Y, Z), 0 outside.
        """
        out = values.new_zeros(*values.shape[:-1], *self.mask.shape)
        out[..., self.mask] = values
        return out


@torch.no_grad()
def volume_posterior(
    denoiser: DTIDenoiser,
    head: DTIPosterior,
    volume: DTIVolume,
    denoised: Tensor,
    *,
    reference: Tensor | None = None,
    block: int = 64,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
    executor: Executor | None = None,
) -> VolumePosterior:
    """The posterior of the tensors of a volume that was denoised.

    Args:
        denoiser: that denoised it, on any device.
        head: fitted to it.
        volume: of `load_dwi` or `load_tensors`.
        denoised: (6, X, Y, Z) um^2/ms, with strength 1.
        reference: (X, Y, Z), affine-invariant noise per component of tensors that the posterior is about, in place of
            the truth, seen up to `LARGEST_NOISE`; None is the truth.
        block, progress, workers, executor: as of `mvnet.models.dti.inference.denoise_volume`.
    Returns:
        laws of all voxels, on the CPU.
    Raises:
        MvnetError: denoised tensors of another shape, or values that are not finite.
    """
    mask = volume.mask
    if denoised.shape != volume.tensors.shape:
        raise MvnetError(f"denoised: found shape {tuple(denoised.shape)}, expected {tuple(volume.tensors.shape)}")
    seen, features, scale = network_inputs(volume.tensors, mask, **acquisition_of(volume))
    given = torch.zeros(mask.shape) if reference is None else reference.clamp_max(LARGEST_NOISE)
    for name, values in (("denoised", denoised), ("features", features), ("reference", given)):
        if not values[..., mask].isfinite().all():
            raise MvnetError(f"{name}: found values in the mask that are not finite, expected finite ones")
    device = next(denoiser.parameters()).device
    work = partial(_laws_of_tile, denoiser, head.to(device))
    tiles = list(masked_tiles(mask, block, denoiser.receptive_radius))
    jobs = (
        _TileData(
            t, seen[:, *t.outer], mask[t.outer], features[:, *t.outer], denoised[:, *t.inner] / scale, given[t.inner]
        )
        for t in tiles
    )
    planes = torch.zeros(_PLANES, int(mask.sum()))
    number = torch.full(mask.shape, -1, dtype=torch.long).masked_scatter(mask, torch.arange(planes.shape[1]))
    for done, (job, found) in enumerate(map_tiles(work, jobs, workers=workers, executor=executor), start=1):
        planes[:, number[job.tile.inner][mask[job.tile.inner]]] = found
        if progress is not None:
            progress(done, len(tiles))
    head = head.to("cpu")
    return VolumePosterior(head, head.laws(planes), mask, scale, denoised)


class _TileData(NamedTuple):
    """What is read of a tile: input of the network around it, and inside it denoised tensors and reference noise."""

    tile: Tile
    values: Tensor
    mask: Tensor
    features: Tensor
    denoised: Tensor
    reference: Tensor


@torch.no_grad()
def _laws_of_tile(denoiser: DTIDenoiser, head: DTIPosterior, job: _TileData) -> Tensor:
    """Planes (30, n) of the laws of the n voxels of the mask that the tile writes."""
    device, back = next(denoiser.parameters()).device, job.values.device

    def inputs_of(window: Sequence[slice]) -> tuple[Tensor, Tensor]:
        values, mask, features = (x[..., *window].to(device) for x in (job.values, job.mask, job.features))
        return fill_background(values[None], mask), features[None]

    def run_trunk(window: Sequence[slice]) -> tuple[Tensor]:
        return (denoiser.run_trunk(*inputs_of(window))[0],)

    h = in_smaller_blocks(run_trunk, job.mask.shape, denoiser.receptive_radius)[0][..., *job.tile.place]
    values, features = inputs_of(job.tile.place)
    inside = job.mask[job.tile.place]
    z = fill_background(job.denoised[None].to(device), inside.to(device))
    log_error = bounded_log_error(denoiser.error(rms_squash(h)))
    reference = job.reference[None].to(values)
    inputs = head_inputs(h, z, values, features, log_error, reference)
    planes = head(inputs, log_error, reference.unsqueeze(1))
    return planes[0].to(back)[:, inside]
