"""POINT_SETS: name -> two classes of points, for networks that are flows of the plane or of space (paper Figure 1)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

SIZE = 2.0
"""Coordinates lie within about [-SIZE, SIZE]."""


def _ball(count: int, dimension: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Uniform in the part of the unit ball between two radii."""
    direction = torch.nn.functional.normalize(torch.randn(count, dimension, generator=generator), dim=-1)
    volume = torch.rand(count, 1, generator=generator)
    return (low**dimension + (high**dimension - low**dimension) * volume) ** (1 / dimension) * direction


def _nested(count: int, dimension: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A ball (class 0) and the shell around it (class 1), with a gap between them."""
    inside = count // 2
    parts = _ball(inside, dimension, 0.0, 0.5, generator), _ball(count - inside, dimension, 0.6, 1.0, generator)
    return SIZE * torch.cat(parts), (torch.arange(count) >= inside).long()


def donut(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A disc in a ring."""
    return _nested(count, 2, generator)


def squares(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A square cut in four, opposite quarters of one class; no gap between them."""
    points = 2 * torch.rand(count, 2, generator=generator) - 1
    return SIZE * points, (points.prod(-1) > 0).long()


def spiral(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two arms of one turn each, slightly blurred."""
    labels = torch.arange(count) % 2
    turn = torch.rand(count, generator=generator)
    angle = 2 * math.pi * turn + math.pi * labels
    arm = (0.1 + 0.9 * turn)[:, None] * torch.stack((angle.cos(), angle.sin()), -1)
    return SIZE * (arm + 0.03 * torch.randn(count, 2, generator=generator)), labels


def shell(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A ball in a shell, in space."""
    return _nested(count, 3, generator)


POINT_SETS: dict[str, Callable[[int, torch.Generator], tuple[Tensor, Tensor]]] = {
    "donut": donut,
    "squares": squares,
    "spiral": spiral,
    "shell": shell,
}
"""(count, generator) -> points (count, d) and classes 0 or 1 (count)."""
