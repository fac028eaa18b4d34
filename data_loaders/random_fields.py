"""Seeded random numbers and smooth random fields, the same on every device."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def normal(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Standard normal float32 numbers, drawn where the generator lives and moved to `device`."""
    return torch.randn(shape, generator=generator, device=generator.device).to(device)


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """One number in [low, high)."""
    return low + (high - low) * torch.rand((), generator=generator, device=generator.device).item()


def log_uniform(low: float, high: float, generator: torch.Generator) -> float:
    """One number in [low, high) whose logarithm is uniform: low (high / low)^u."""
    return low * math.exp(uniform(0, math.log(high / low), generator))


def smooth_field(
    channels: int,
    shape: tuple[int, int, int],
    correlation: float,
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    """Smooth random fields of mean 0 and variance about 1.

    Normal numbers on a grid of pitch `correlation` voxels, interpolated by quadratic B-splines: one
    convolution of a coarse grid per axis. The variance is restored by the analytic mean of the squared
    weights.

    Returns:
        (channels, *shape)
    """
    field = normal((channels, *(int(n / correlation) + 4 for n in shape)), generator, device)
    for n in shape:  # each turn consumes the first axis and appends the fine one
        field = field.movedim(1, -1)
        field = field @ _spline_matrix(n, field.shape[-1], correlation, device).T
    return field


def _spline_matrix(n: int, knots: int, pitch: float, device: torch.device) -> Tensor:
    """(n, knots) quadratic B-spline weights at voxel centres, rows of unit norm."""
    position = 1 + (torch.arange(n, device=device) + 0.5) / pitch
    distance = (position.unsqueeze(1) - torch.arange(knots, device=device)).abs()
    near, far = 0.75 - distance.square(), 0.5 * (1.5 - distance).clamp_min(0).square()
    return F.normalize(torch.where(distance < 0.5, near, far), dim=1)
