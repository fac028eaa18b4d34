"""Small problems that the tests share."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.fields import LayerField

F64 = torch.float64


def layers(intervals: int = 6, duration: float = 2.0, seed: int = 0, dtype: torch.dtype = F64) -> LayerField:
    """A residual network in two dimensions with random biases."""
    generator = torch.Generator().manual_seed(seed)
    field = LayerField(2, intervals=intervals, duration=duration, generator=generator)
    with torch.no_grad():
        field.bias.add_(0.3 * torch.randn(field.bias.shape, generator=generator))
    return field.to(dtype)


def samples(n: int = 12, seed: int = 1, dtype: torch.dtype = F64) -> tuple[Tensor, Tensor]:
    """Points of a disc and of a ring around it, and targets (1, 0) and (-1, 0)."""
    generator = torch.Generator().manual_seed(seed)
    angle = 6.283 * torch.rand(n, generator=generator, dtype=F64)
    inner = torch.arange(n) % 2 == 0
    radius = torch.where(inner, 0.4, 0.9) * (0.8 + 0.2 * torch.rand(n, generator=generator, dtype=F64))
    x = radius[:, None] * torch.stack([angle.cos(), angle.sin()], -1)
    y = torch.where(inner[:, None], torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0]))
    return x.to(dtype), y.to(dtype)


def half_square(y: Tensor):
    """Mean of |z - y|^2 / 2."""
    return lambda z: (z - y).square().sum(-1).mean() / 2
