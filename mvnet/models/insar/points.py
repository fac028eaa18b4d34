"""Scattered points, such as persistent scatterers: what the network leaves is averaged over the nearest ones.

A point of which few neighbours hold data gets the circular mean of the denoised phases in the smallest disc around it
that holds enough points. Where these disagree, fringes are denser than points, and the network's phase stays.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

RADII = (5, 7, 9, 11, 13)
"""Of the discs, pixels."""

REACH = RADII[-1]
"""Pixels around a point that its mean depends on."""

_ENOUGH = 12  # points in a disc
_SPARSE = 0.11  # share of the pixels of the largest disc, up to which they are points
_AGREEING = 0.8  # resultant length of phases that may be averaged


def average_points(phase: Tensor, valid: Tensor) -> Tensor:
    """The phase, averaged where data are sparse.

    Args:
        phase: (h, w) radians, denoised.
        valid: (h, w) bool.
    Returns:
        (h, w) in (-pi, pi] where averaged, as it was elsewhere.
    """
    if valid.all():  # as most tiles are; the sums over the largest disc are not for nothing
        return phase
    discs = [_disc(radius, phase) for radius in RADII]
    inside = valid.to(phase)[None, None]
    share = _sums(inside, discs[-1]) / _sums(torch.ones_like(inside), discs[-1])
    sparse = valid & (share[0, 0] <= _SPARSE)
    if not sparse.any():
        return phase
    planes = torch.cat([inside * phase.cos(), inside * phase.sin(), inside])
    total = torch.zeros_like(planes)
    for disc in discs:  # the first with enough points, or the largest
        total = torch.where(total[2:] >= _ENOUGH, total, _sums(planes, disc))
    real, imaginary, count = total[:, 0]
    agree = torch.hypot(real, imaginary) >= _AGREEING * count
    return torch.where(sparse & agree, torch.atan2(imaginary, real), phase)


def _disc(radius: int, like: Tensor) -> Tensor:
    """1 within the radius, (2 radius + 1, 2 radius + 1)."""
    line = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device).square()
    return (line[:, None] + line <= radius**2).to(like)


def _sums(planes: Tensor, disc: Tensor) -> Tensor:
    """Sums of (C, 1, h, w) over the disc around every pixel, zeros outside."""
    return F.conv2d(planes, disc[None, None], padding=disc.shape[0] // 2)
