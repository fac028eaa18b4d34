"""The circle S^1 as angles in radians in (-pi, pi], the values of an interferogram (paper section 2.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.manifolds.base import Manifold
from mvnet.manifolds.mean import prepare


def wrap(angle: Tensor) -> Tensor:
    """The same angle in (-pi, pi]; derivative 1.

    wrap(a) = a - 2 pi ceil((a - pi) / (2 pi))

    Args:
        angle: radians, any shape.
    Returns:
        radians, same shape.
    """
    turns = torch.ceil((angle.detach() - math.pi) / (2 * math.pi))
    wrapped = angle - 2 * math.pi * turns
    # rounding of large angles can leave the interval by an ulp: both ends are pi
    out_of_range = wrapped.detach().abs() >= math.pi
    return torch.where(out_of_range, wrapped - wrapped.detach() + math.pi, wrapped)


@dataclass(frozen=True)
class Circle(Manifold):
    """Angles in (-pi, pi], points and tangent vectors of shape (...), metric u v, distance in radians."""

    @property
    def point_shape(self) -> tuple[int, ...]:
        """()"""
        return ()

    @property
    def dim(self) -> int:
        """1"""
        return 1

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """wrap(x + v)"""
        return wrap(x + v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """wrap(y - x); +pi for opposite points."""
        return wrap(y - x)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """u v"""
        return u * v

    def norm(self, x: Tensor, v: Tensor) -> Tensor:
        """|v|"""
        return v.abs()

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """v"""
        return v.broadcast_to(torch.broadcast_shapes(x.shape, y.shape, v.shape))

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """v"""
        return v.broadcast_to(torch.broadcast_shapes(x.shape, v.shape))

    def project(self, x: Tensor) -> Tensor:
        """wrap(x)"""
        return wrap(x)

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """g"""
        return g

    def violation(self, x: Tensor) -> Tensor:
        """Excess of |x| over pi, radians."""
        return (x.abs() - math.pi).clamp(min=0)

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform in (-pi, pi]."""
        drawn = torch.rand(tuple(shape), generator=generator, dtype=dtype, device=generator.device)
        return (math.pi - 2 * math.pi * drawn).to(device or generator.device)

    def mean(self, points: Tensor, weights: Tensor | None = None, axis: int = -1) -> Tensor:
        """Global minimiser of sum_i w_i wrap(x_i - m)^2, exactly, by sorting.

        With x_1 <= ... <= x_N and sum w = 1, the minimiser is one of the N means m_k of the angles of which
        the k lowest are raised by 2 pi, and the one of least variance about itself:
            m_k = sum_i w_i x_i + 2 pi W_k,   variance_k = sum_i w_i x_i^2 + sum_{i <= k} w_i (4 pi x_i + 4
            pi^2) - m_k^2,
        W_k = w_1 + ... + w_k.

        Args:
            points, weights, axis: as in `Manifold.mean`.
        Returns:
            radians in (-pi, pi].
        Source: Hotz and Huckemann, Intrinsic means on the circle (2015), section 3.
        """
        points, weights = prepare(self, points, weights, axis)
        order = points.detach().argsort(0)
        x, w = points.gather(0, order), weights.gather(0, order)
        with torch.no_grad():
            means = (w * x).sum(0) + 2 * math.pi * (w.cumsum(0) - w)  # k = 0, ..., N - 1
            lift = w * (4 * math.pi * x + 4 * math.pi**2)
            variance = (w * x.square()).sum(0) + (lift.cumsum(0) - lift) - means.square()
            k = variance.argmin(0, keepdim=True)
            rank = torch.arange(len(x), device=x.device).reshape(-1, *(1,) * (x.ndim - 1))
        lifted = torch.where(rank < k, x + 2 * math.pi, x)
        return wrap((w * lifted).sum(0))
