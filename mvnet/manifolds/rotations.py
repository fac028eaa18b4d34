"""The rotation group SO(3) as matrices, with its bi-invariant metric.

Convention, right-trivialised like everything here: the tangent vector with axis vector w (radians) at x is
hat(w) x, and

    <hat(u) x, hat(v) x>_x = u . v = tr((hat(u) x)^T hat(v) x) / 2,

half the Frobenius product, so that dist is the rotation angle in radians, at most pi. geomstats measures the
same; pymanopt takes the whole Frobenius product (its distances are sqrt(2) times ours) and keeps x^T v,
left-trivialised, in place of v.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.linalg import so3
from mvnet.linalg.smooth import expand_points, point_sum, safe_sqrt
from mvnet.manifolds.base import Manifold


@dataclass(frozen=True)
class Rotations(Manifold):
    """SO(3): points (..., 3, 3), x x^T = 1, det x = 1; tangent vectors (..., 3, 3) of the form hat(w) x."""

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(3, 3)"""
        return (3, 3)

    @property
    def retraction_order(self) -> float:
        """2"""
        return 2

    @property
    def dim(self) -> int:
        """3"""
        return 3

    def axis_vector(self, x: Tensor, v: Tensor) -> Tensor:
        """w of v = hat(w) x; the inverse of `from_axis_vector`.

        Args:
            x: rotations, shape (..., 3, 3).
            v: tangent vectors at x, shape (..., 3, 3).
        Returns:
            axis vectors, radians, shape (..., 3).
        """
        a = v @ x.mT
        return so3.vee((a - a.mT) / 2)

    def from_axis_vector(self, x: Tensor, w: Tensor) -> Tensor:
        """hat(w) x

        Args:
            x: rotations, shape (..., 3, 3).
            w: axis vectors, radians, shape (..., 3).
        Returns:
            tangent vectors at x, shape (..., 3, 3).
        """
        return so3.hat(w) @ x

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """exp(hat(w)) x"""
        return so3.exp(self.axis_vector(x, v)) @ x

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """hat(w) x, w = log(y x^T); one of the two choices at angle pi."""
        return self.from_axis_vector(x, so3.log(y @ x.mT))

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """|log(y x^T)|, the angle between x and y in radians"""
        return safe_sqrt(so3.log(y @ x.mT).square().sum(-1))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """tr(u^T v) / 2"""
        return point_sum(u * v, 2) / 2

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """hat(exp(w/2) u) y for v = hat(u) x, w = log(y x^T): the bi-invariant connection rotates by half."""
        half = so3.exp(so3.log(y @ x.mT) / 2)
        return self.from_axis_vector(y, (half @ self.axis_vector(x, v).unsqueeze(-1)).squeeze(-1))

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """skew(v x^T) x"""
        return self.from_axis_vector(x, self.axis_vector(x, v))

    def project(self, x: Tensor) -> Tensor:
        """Nearest rotation (orthogonal polar factor of determinant 1)."""
        return so3.project(x)

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """cay(w) x = (1 - hat(w)/2)^-1 (1 + hat(w)/2) x, second order"""
        return so3.cayley(self.axis_vector(x, v)) @ x

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """2 skew(g x^T) x; the factor 2 undoes the metric's 1/2."""
        return 2 * self.to_tangent(x, g)

    def coordinates(self, x: Tensor, v: Tensor) -> Tensor:
        """w of v = hat(w) x, shape (..., 3)"""
        return self.axis_vector(x, v)

    def from_coordinates(self, x: Tensor, c: Tensor) -> Tensor:
        """hat(c) x"""
        return self.from_axis_vector(x, c)

    def violation(self, x: Tensor) -> Tensor:
        """Largest entry of |x x^T - 1|; inf for determinant <= 0."""
        identity = torch.eye(3, dtype=x.dtype, device=x.device)
        residual = (x @ x.mT - identity).abs().amax((-2, -1))
        return torch.where(torch.linalg.det(x) > 0, residual, math.inf)

    def tangent_basis(self, x: Tensor) -> Tensor:
        """hat(e_k) x / sqrt(2)"""
        axes = torch.eye(3, dtype=x.dtype, device=x.device)
        return so3.hat(axes) @ x.detach().unsqueeze(-3) / math.sqrt(2)

    def random_tangent(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """hat(w) x with w standard normal."""
        w = torch.randn(x.shape[:-1], generator=generator, dtype=x.dtype, device=generator.device)
        return self.from_axis_vector(x, w.to(x.device))

    def initial_mean(self, points: Tensor, weights: Tensor) -> Tensor:
        """The chordal mean: the projected mean of the matrices."""
        return self.project((expand_points(weights, 2) * points).sum(0))

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform (Haar): the rotation of a uniform unit quaternion (s, u), 1 + 2 s hat(u) + 2 hat(u)^2."""
        q = torch.randn((*shape, 4), generator=generator, dtype=dtype, device=generator.device)
        q = (q / torch.linalg.vector_norm(q, dim=-1, keepdim=True)).to(device or generator.device)
        u = so3.hat(q[..., 1:])
        return torch.eye(3, dtype=q.dtype, device=q.device) + 2 * q[..., :1, None] * u + 2 * u @ u
