"""Inputs of the DTI network: tensors in the unit of typical tissue, the scalar planes of `SCALARS`, the voxel shape.

Division by the median mean diffusivity makes the network equivariant to a change of unit or of temperature (ex-vivo
tissue); division of the b0 by its median makes it invariant to the gain of the scanner.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mvnet.data_loaders.dti.fitting import clip_eigenvalues
from mvnet.data_loaders.dti.training.pairs import VISIBLE, PatchMaps
from mvnet.linalg import sym3
from mvnet.metrics import REFERENCE_DIFFUSIVITY

TYPICAL_NOISE = 0.1
"""Centres log(noise) near zero for a clinical scan."""

_LIMIT = 3.0


def diffusivity_scale(tensors: Tensor, mask: Tensor) -> Tensor:
    """Median mean diffusivity over the mask, over `REFERENCE_DIFFUSIVITY`.

    Args:
        tensors: (6, X, Y, Z) Mandel planes, um^2/ms.
        mask: (X, Y, Z) bool.
    Returns:
        scalar > 0.
    """
    return (tensors[:3].mean(0)[mask].median() / REFERENCE_DIFFUSIVITY).clamp_min(torch.finfo(tensors.dtype).tiny)


def visible_tensors(tensors: Tensor, mask: Tensor) -> Tensor:
    """Tensors as the network sees them: eigenvalues in the range that it was trained on.

    A noisy fit may have eigenvalues near zero, whose logarithms are far from any tissue's. What is bounded is this
    copy: the trust region is that of the tensors as they are.

    Args:
        tensors: (6, X, Y, Z) Mandel planes over their `diffusivity_scale`, positive definite in the mask.
        mask: (X, Y, Z) bool.
    Returns:
        a copy, (6, X, Y, Z).
    """
    seen = tensors.clone()
    values = sym3.eigvals(seen, dim=0)
    beyond = mask & ((values[0] < VISIBLE[0]) | (values[2] > VISIBLE[1]))
    seen[:, beyond] = clip_eigenvalues(seen[:, beyond].T, *VISIBLE).T
    return seen


def feature_planes(
    mask: Tensor,
    b0: Tensor | None = None,
    noise: Tensor | None = None,
    residual: Tensor | None = None,
    b0_scale: float | Tensor | None = None,
    spacing: Sequence[float] | Tensor = (1.0, 1.0, 1.0),
    size_ratio: Tensor | None = None,
) -> Tensor:
    """The planes of `mvnet.models.dti.network.SCALARS`, the shape of a voxel, and the noise of the size.

    The shape is the traceless diagonal tensor log(spacing / geometric mean of spacing): transformed as a tensor is, it
    is the shape of the transformed voxel.

    Args:
        mask: (..., X, Y, Z) bool.
        b0: (..., X, Y, Z) in any unit, or None.
        noise, residual: (..., X, Y, Z) maps of `mvnet.data_loaders.dti.fitting.acquisition_maps`, or None; zero where
            unknown.
        b0_scale: the b0 of typical tissue; the median over the mask when None.
        spacing: (..., 3) lengths of the sides of a voxel, in any unit.
        size_ratio: (..., X, Y, Z) of `mvnet.data_loaders.dti.fit.precision.size_noise_ratio`, or None; zero where
            unknown.
    Returns:
        (..., 12, X, Y, Z) in the dtype of the maps (float32 without any).
    """
    given = next((m for m in (b0, noise, residual) if m is not None), None)
    dtype = given.dtype if given is not None else torch.float32
    inside = mask.to(dtype)
    # maps -> planes of SCALARS;  spacing -> traceless log -> Mandel planes
    planes = [inside, *(torch.zeros_like(inside) for _ in range(4))]
    if b0 is not None:
        scale = b0[mask].median() if b0_scale is None else b0_scale
        planes[1] = inside
        planes[2] = _log_ratio(b0, scale) * inside
    if noise is not None:
        planes[3] = _log_ratio(noise, TYPICAL_NOISE) * (noise > 0) * inside
    if residual is not None:
        planes[4] = _log_ratio(residual, 1.0) * (residual > 0) * inside
    sides = torch.as_tensor(spacing, dtype=torch.float64).log()
    shape = torch.cat([sides - sides.mean(-1, keepdim=True), torch.zeros_like(sides)], -1).to(inside)
    size = torch.zeros_like(inside)
    if size_ratio is not None:
        size = _log_ratio(size_ratio, 1.0) * (size_ratio > 0) * inside
    shape = shape[..., None, None, None] * inside.unsqueeze(-4)
    return torch.cat([torch.stack(planes, -4), shape, size.unsqueeze(-4)], -4)


def training_planes(mask: Tensor, maps: PatchMaps) -> Tensor:
    """`feature_planes` of a batch of training patches, without the maps that a sample does not have.

    Args:
        mask: (B, X, Y, Z) bool.
        maps: batched, as torch's DataLoader collates `mvnet.data_loaders.dti.training.pairs.TrainingPair`.
    Returns:
        (B, 12, X, Y, Z)
    """
    known = (maps.b0, maps.noise, maps.residual)
    with_maps = feature_planes(mask, *known, b0_scale=1.0, spacing=maps.spacing, size_ratio=maps.size_ratio)
    return torch.where(maps.available.view(-1, 1, 1, 1, 1), with_maps, feature_planes(mask, spacing=maps.spacing))


def _log_ratio(x: Tensor, reference: float | Tensor) -> Tensor:
    return (x / reference).clamp_min(1e-6).log().clamp(-_LIMIT, _LIMIT)
