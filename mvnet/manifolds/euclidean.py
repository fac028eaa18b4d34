"""Flat space of tensors of a given shape, metric sum(u * v)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.linalg.smooth import expand_points, point_sum
from mvnet.manifolds.base import Manifold
from mvnet.manifolds.mean import prepare


@dataclass(frozen=True)
class Euclidean(Manifold):
    """R^shape; points have shape (..., *shape), the default () being real numbers."""

    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", (self.shape,) if isinstance(self.shape, int) else tuple(self.shape))

    @property
    def point_shape(self) -> tuple[int, ...]:
        """`shape`"""
        return self.shape

    @property
    def dim(self) -> int:
        """Product of the entries of `shape`."""
        return math.prod(self.shape)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """x + v"""
        return x + v

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """y - x"""
        return y - x

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """sum(u * v)"""
        return point_sum(u * v, self.point_ndim)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """v"""
        return v.broadcast_to(torch.broadcast_shapes(x.shape, y.shape, v.shape))

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """v"""
        return v.broadcast_to(torch.broadcast_shapes(x.shape, v.shape))

    def project(self, x: Tensor) -> Tensor:
        """x"""
        return x

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """g"""
        return g

    def violation(self, x: Tensor) -> Tensor:
        """0 where finite, inf elsewhere."""
        finite = point_sum((~x.isfinite()).to(x.dtype), self.point_ndim) == 0
        return torch.where(finite, 0.0, math.inf).to(x.dtype)

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Standard normal."""
        drawn = torch.randn((*shape, *self.shape), generator=generator, dtype=dtype, device=generator.device)
        return drawn.to(device or generator.device)

    def mean(self, points: Tensor, weights: Tensor | None = None, axis: int = -1) -> Tensor:
        """sum_i w_i x_i"""
        points, weights = prepare(self, points, weights, axis)
        return (expand_points(weights, self.point_ndim) * points).sum(0)
