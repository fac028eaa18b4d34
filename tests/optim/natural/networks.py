"""Small networks and data for the tests of methods that need curvature."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


def network(*sizes: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b, dtype=dtype), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def data(n: int, inputs: int, outputs: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.randn(n, inputs, generator=random, dtype=dtype), torch.randn(n, outputs, generator=random, dtype=dtype)


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def pair(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return model(x), y


def dense(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """J of (outputs, parameters), one backward pass for each output."""
    found = model(x).flatten()
    rows = [torch.autograd.grad(f, list(model.parameters()), retain_graph=True) for f in found]
    return torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
