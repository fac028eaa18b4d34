"""Whole volumes through the DTI network in bounded memory: tiles with an overlap of the receptive field, no seams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import ceil
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import affine_invariant
from mvnet.models.dti.inputs import diffusivity_scale, feature_planes
from mvnet.models.dti.network import DTIDenoiser


class DenoisedVolume(NamedTuple):
    """tensors (6, X, Y, Z) um^2/ms; error (X, Y, Z), expected affine-invariant distance to the truth, 0 outside the
    mask; confidence (X, Y, Z) = exp(-error) in [0, 1], 0 outside the mask."""

    tensors: Tensor
    error: Tensor
    confidence: Tensor


class Tile(NamedTuple):
    """`outer` is what the network reads, `inner` what it writes, `place` where `inner` lies inside `outer`."""

    outer: tuple[slice, slice, slice]
    inner: tuple[slice, slice, slice]
    place: tuple[slice, slice, slice]


def tiles(mask: Tensor, block: int, overlap: int) -> Iterator[Tile]:
    """Cover the bounding box of a mask (X, Y, Z) by tiles of at most `block` voxels a side; empty ones are left out."""
    if not mask.any():
        return
    axes = []
    for axis, length in enumerate(mask.shape):
        used = mask.any(dim=[a for a in range(3) if a != axis]).nonzero()[:, 0]
        first, last = int(used[0]), int(used[-1]) + 1
        side = ceil((last - first) / ceil((last - first) / block))
        starts = range(first, last, side)
        axes.append([(s, min(s + side, last), max(s - overlap, 0), min(s + side + overlap, length)) for s in starts])
    for spans in product(*axes):
        inner = tuple(slice(start, stop) for start, stop, _, _ in spans)
        if mask[inner].any():
            outer = tuple(slice(low, high) for _, _, low, high in spans)
            place = tuple(slice(start - low, stop - low) for start, stop, low, _ in spans)
            yield Tile(outer, inner, place)  # type: ignore[arg-type]


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
) -> DenoisedVolume:
    """Denoise a volume of diffusion tensors.

    Args:
        model: from `mvnet.models.pretrained("dti")`; runs on its own device, block by block.
        tensors: (6, X, Y, Z) Mandel planes, um^2/ms, positive definite inside the mask.
        mask: (X, Y, Z) bool.
        b0, noise, residual: (X, Y, Z) maps of the acquisition, or None.
        spacing: lengths of the sides of a voxel, in any unit.
        strength: 0 leaves the tensors untouched, 1 is the network's output, in between lies the affine-invariant
            geodesic.
        block: side of a tile in voxels; memory grows with its cube, the result does not depend on it.
        progress: called as progress(done, total) after every tile.
    Raises:
        ValueError: on shapes that do not fit, an empty mask, or a strength outside [0, 1].
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
    device = next(model.parameters()).device
    scale = diffusivity_scale(tensors, mask)
    features = feature_planes(mask, b0, noise, residual, spacing=spacing).to(tensors.dtype)
    out, error = tensors.clone(), torch.zeros_like(tensors[0])
    jobs = list(tiles(mask, block, model.receptive_radius))
    for done, (outer, inner, place) in enumerate(jobs, start=1):
        window = mask[outer]
        values = (tensors[:, *outer] / scale)[None].to(device)
        field = model(outside_isotropic(values, window.to(device)), features[:, *outer][None].to(device))
        result = field.tensors[0].to(tensors.device) * scale
        keep = mask[inner]
        out[:, *inner] = torch.where(keep, result[:, *place], out[:, *inner])
        error[inner] = torch.where(keep, field.log_error[0, 0].to(tensors.device)[place].exp(), error[inner])
        if progress is not None:
            progress(done, len(jobs))
    if strength < 1:
        moved = (
            affine_invariant.geodesic(tensors[:, mask], out[:, mask], strength, dim=0) if strength else tensors[:, mask]
        )
        out[:, mask] = moved
    return DenoisedVolume(out, error, torch.where(mask, (-error).exp(), torch.zeros_like(error)))


def outside_isotropic(tensors: Tensor, mask: Tensor) -> Tensor:
    """Identity outside the mask, so that no kernel meets a matrix without a logarithm."""
    identity = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=tensors.dtype, device=tensors.device)[:, None, None, None]
    return torch.where(mask, tensors, identity)
