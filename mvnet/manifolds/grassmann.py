"""The Grassmann manifold of p-dimensional subspaces of R^n, Gr(n, p) = O(n) / (O(p) x O(n - p)).

A subspace is given by any of its orthonormal bases x, an n x p matrix; x and x q, q in O(p), are one point. Tangent
vectors at x are horizontal, x^T v = 0, and turn along when the basis does: v q at x q stands for v at x. Geodesics,
`exp_x(v) = x V cos(S) V^T + U sin(S) V^T` with v = U S V^T, and transports are those of `mvnet.manifolds.stiefel` with
A = 0; distances are the norm of the principal angles.

Source: paper 6.2.1; Edelman, Arias and Smith (1998), section 2.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.linalg.polar import polar_step
from mvnet.linalg.smooth import point_sum
from mvnet.manifolds._shooting import shoot
from mvnet.manifolds.stiefel import Frames, rotate


@dataclass(frozen=True)
class Grassmann(Frames):
    """Subspaces, given by orthonormal bases of shape (..., n, p); distances are in radians.

    `log` is unique where all principal angles are below pi / 2.

    Args:
        n: dimension of the space.
        p: dimension of the subspaces, at most n.
    """

    @property
    def dim(self) -> int:
        """p (n - p)"""
        return self.p * (self.n - self.p)

    @property
    def retraction_order(self) -> float:
        """2"""
        return 2

    def carry(self, x: Tensor, v: Tensor, *vectors: Tensor) -> tuple[Tensor, ...]:
        """x V cos(S) V^T + U sin(S) V^T, v = U S V^T, and exp(Omega) u."""
        x, v, *vectors = torch.broadcast_tensors(x, v, *vectors)  # type: ignore[assignment]
        y, *carried = rotate(x, None, v, *vectors)
        return polar_step(y), *carried

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """U diag(a) V^T: principal angles a, x^T y = V cos(a) Z^T, (1 - x x^T) y = U sin(a) Z^T."""
        x, y = torch.broadcast_tensors(x, y)
        with torch.no_grad():
            v, cosine, zh = torch.linalg.svd(x.mT @ y)
            sines = self.to_tangent(x, y) @ zh.mT
            sine = torch.linalg.vector_norm(sines, dim=-2)
            angle = torch.atan2(sine, cosine)
            factor = torch.where(sine > 0, angle / torch.where(sine > 0, sine, 1.0), 1.0)
            start = (sines * factor.unsqueeze(-2)) @ v.mT
            turn = zh.mT @ v.mT  # the basis y q of the subspace of y at which the geodesic arrives
        return shoot(_land, self.to_tangent, x, y @ turn, start)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """tr(u^T v)"""
        return point_sum(u * v, 2)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """exp(Omega) v along the geodesic of `log`, turned to the basis y."""
        end, carried = self.carry(x, self.log(x, y), v)
        return self.to_tangent(y, carried @ (end.mT @ y))

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """v - x x^T v"""
        return v - x @ (x.mT @ v)

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """g - x x^T g"""
        return self.to_tangent(x, g)


def _land(x: Tensor, v: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """exp_x(v), and z -> the horizontal part at x of exp(-Omega) z."""

    def back(z: Tensor) -> Tensor:
        returned = rotate(x, None, -v, z)[1]
        return returned - x @ (x.mT @ returned)

    return rotate(x, None, v)[0], back
