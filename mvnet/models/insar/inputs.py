"""Inputs of the network for interferograms: real and imaginary planes, the planes of `SCALARS`, and the noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LOG_LOOKS = math.log(30)


def interferogram_planes(z: Tensor, valid: Tensor) -> Tensor:
    """Real and imaginary planes.

    Args:
        z: (..., H, W) complex.
        valid: (..., H, W) bool.
    Returns:
        (..., 2, H, W), zero where not valid.
    """
    # z -> z, 0 where not valid -> (Re z, Im z)
    z = torch.where(valid, z, torch.zeros_like(z))
    return torch.stack([z.real, z.imag], -3)


def scalar_planes(valid: Tensor, coherence: Tensor | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """Validity, whether a coherence is known, and the coherence, zero where not.

    Args:
        valid: (..., H, W) bool.
        coherence: (..., H, W) in [0, 1], nan where unknown; or None.
        dtype: dtype of the result.
    Returns:
        (..., 3, H, W) of `mvnet.models.insar.network.SCALARS`.
    """
    # valid, coherence -> (valid, whether a coherence is known, the coherence or 0)
    inside = valid.to(dtype)
    if coherence is None:
        return torch.stack([inside, torch.zeros_like(inside), torch.zeros_like(inside)], -3)
    known = valid & coherence.isfinite()
    given = torch.where(known, coherence, torch.zeros_like(coherence)).to(dtype)
    return torch.stack([inside, known.to(dtype), given], -3)


def noise_features(correlation: Tensor, looks: Tensor) -> Tensor:
    """What is known of the noise, as `mvnet.models.insar.network.noise_type` orders it.

    Args:
        correlation: (..., 2, L), along rows and along columns, lag 1 first.
        looks: (...), NaN where unknown.
    Returns:
        (..., 4 L + 2): towards the neighbours above, left, right and below at every distance; whether the looks are
        known; log(looks) / log(30), 0 where unknown.
    """
    rows, columns = correlation.unbind(-2)
    towards = torch.stack([rows, columns, columns, rows], -1).flatten(-2)
    known = looks.isfinite()
    log_looks = torch.where(known, looks, 1).log() / _LOG_LOOKS
    return torch.cat([towards, known[..., None].to(towards), log_looks[..., None].to(towards)], -1)
