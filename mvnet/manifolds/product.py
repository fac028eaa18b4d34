"""Products of manifolds with the sum metric: different factors (Product), or k copies of one (Power)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.manifolds.base import Manifold
from mvnet.manifolds.mean import prepare


@dataclass(frozen=True, repr=False)
class Product(Manifold):
    """M_1 x ... x M_k; a point is one flat vector, shape (..., size), the concatenation of the factors' points.

    `pack` and `unpack` convert between that vector and the tuple of the factors' points. The metric is the
    sum of theirs.
    """

    factors: tuple[Manifold, ...]

    def __init__(self, *factors: Manifold) -> None:
        if not factors:
            raise MvnetError("factors: found none, expected at least one manifold")
        object.__setattr__(self, "factors", tuple(factors))

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.factors))})"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of entries of each factor's point in the flat vector."""
        return tuple(math.prod(factor.point_shape) for factor in self.factors)

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(size,)"""
        return (sum(self.sizes),)

    @property
    def dim(self) -> int:
        """Sum of the factors' dimensions."""
        return sum(factor.dim for factor in self.factors)

    @property
    def retraction_order(self) -> float:
        """Smallest of the factors' orders."""
        return min(factor.retraction_order for factor in self.factors)

    def pack(self, *parts: Tensor) -> Tensor:
        """Factors' points (..., *point_shape_i) -> (..., size); batch shapes broadcast."""
        flat = [p.reshape(*p.shape[: p.ndim - f.point_ndim], -1) for p, f in zip(parts, self.factors, strict=True)]
        batch = torch.broadcast_shapes(*(p.shape[:-1] for p in flat))
        return torch.cat([p.broadcast_to(*batch, p.shape[-1]) for p in flat], -1)

    def unpack(self, x: Tensor) -> tuple[Tensor, ...]:
        """The factors' points.

        Args:
            x: shape (..., size).
        Returns:
            shapes (..., *point_shape_i).
        """
        parts = x.split(self.sizes, -1)
        return tuple(p.reshape(p.shape[:-1] + f.point_shape) for p, f in zip(parts, self.factors, strict=True))

    def _map(self, method: str, *arguments: Tensor) -> list[Tensor]:
        parts = zip(*(self.unpack(a) for a in arguments), strict=True)
        return [getattr(f, method)(*p) for f, p in zip(self.factors, parts, strict=True)]

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Factor by factor."""
        return self.pack(*self._map("exp", x, v))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Factor by factor."""
        return self.pack(*self._map("log", x, y))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Sum of the factors' inner products"""
        return torch.stack(self._map("inner", x, u, v)).sum(0)

    def squared_dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Sum of the factors' squared distances"""
        return torch.stack(self._map("squared_dist", x, y)).sum(0)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Factor by factor."""
        return self.pack(*self._map("transport", x, y, v))

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Factor by factor."""
        return self.pack(*self._map("to_tangent", x, v))

    def project(self, x: Tensor) -> Tensor:
        """Factor by factor."""
        return self.pack(*self._map("project", x))

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """Factor by factor."""
        return self.pack(*self._map("retract", x, v))

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """Factor by factor."""
        return self.pack(*self._map("riemannian_gradient", x, g))

    def violation(self, x: Tensor) -> Tensor:
        """Largest of the factors' violations"""
        return torch.stack(self._map("violation", x)).amax(0)

    def random_tangent(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """Factor by factor."""
        parts = zip(self.factors, self.unpack(x), strict=True)
        return self.pack(*(f.random_tangent(p, generator=generator) for f, p in parts))

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Factor by factor."""
        return self.pack(
            *(f.random_point(shape, generator=generator, dtype=dtype, device=device) for f in self.factors)
        )

    def mean(self, points: Tensor, weights: Tensor | None = None, axis: int = -1) -> Tensor:
        """The factors' means: the sum metric separates."""
        points, weights = prepare(self, points, weights, axis)
        parts = zip(self.factors, self.unpack(points), strict=True)
        return self.pack(*(f.mean(p, weights, 0) for f, p in parts))


@dataclass(frozen=True)
class Power(Manifold):
    """k copies of one manifold, points (..., k, *base.point_shape), metric the sum over the copies."""

    base: Manifold
    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise MvnetError(f"k: found {self.k}, expected at least 1 copy")

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(k, *base.point_shape)"""
        return (self.k, *self.base.point_shape)

    @property
    def dim(self) -> int:
        """k base.dim"""
        return self.k * self.base.dim

    @property
    def retraction_order(self) -> float:
        """The order of the base."""
        return self.base.retraction_order

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Copy by copy."""
        return self.base.exp(x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Copy by copy."""
        return self.base.log(x, y)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Sum over the copies"""
        return self.base.inner(x, u, v).sum(-1)

    def squared_dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Sum over the copies"""
        return self.base.squared_dist(x, y).sum(-1)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Copy by copy."""
        return self.base.transport(x, y, v)

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Copy by copy."""
        return self.base.to_tangent(x, v)

    def project(self, x: Tensor) -> Tensor:
        """Copy by copy."""
        return self.base.project(x)

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """Copy by copy."""
        return self.base.retract(x, v)

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """Copy by copy."""
        return self.base.riemannian_gradient(x, g)

    def violation(self, x: Tensor) -> Tensor:
        """Largest violation of the copies"""
        return self.base.violation(x).amax(-1)

    def random_tangent(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """Copy by copy."""
        return self.base.random_tangent(x, generator=generator)

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Copy by copy."""
        return self.base.random_point((*shape, self.k), generator=generator, dtype=dtype, device=device)

    def mean(self, points: Tensor, weights: Tensor | None = None, axis: int = -1) -> Tensor:
        """Copy by copy: the sum metric separates."""
        points, weights = prepare(self, points, weights, axis)
        return self.base.mean(points, weights.unsqueeze(-1), 0)
