"""Sym+(3) in the layout of fields: six Mandel planes along one dim, on the fused kernels of `mvnet.linalg`.

A field (B, 6, D, H, W) of diffusion tensors is a batch (B, D, H, W) of points of this manifold, without a copy:
networks, losses, Frechet means and optimisers use it in place of `SPD(3)`. Mandel's factors sqrt2 make the Euclidean
product of the planes the Frobenius product of the matrices, so that ambient gradients are those of `SPD(3)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import affine_invariant, sym3
from mvnet.manifolds.base import Manifold
from mvnet.manifolds.mean import frechet_mean
from mvnet.manifolds.spd.matrices import SPD

_MATRICES = SPD(3)


class SPDField(Manifold):
    """3x3 SPD matrices as Mandel planes `xx, yy, zz, sqrt2 yz, sqrt2 xz, sqrt2 xy` at `dim`, affine-invariant metric.

    Points and (symmetric) tangent vectors have one shape, 6 at dim; the batch shape is what remains without it.
    Positive dims count from the front, so that arguments must have equally many dims.

    Args:
        dim: dim of the planes; 1 in fields (B, 6, ...), 0 in single volumes (6, ...), -1 for points in the last dim.
    """

    def __init__(self, dim: int = 1):
        self.planes_at = dim

    def __repr__(self) -> str:
        return f"SPDField(dim={self.planes_at})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SPDField) and other.planes_at == self.planes_at

    def __hash__(self) -> int:
        return hash((SPDField, self.planes_at))

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(6,)"""
        return (6,)

    @property
    def dim(self) -> int:
        """6"""
        return 6

    @property
    def retraction_order(self) -> float:
        """2"""
        return 2

    @property
    def expected_shape(self) -> str:
        """The layout in the words of error messages."""
        return f"6 Mandel planes at dim {self.planes_at}"

    # ---- the layout ----

    def batch_shape(self, x: Tensor) -> tuple[int, ...] | None:
        """The shape without `dim`; None where it has not 6 planes."""
        if not -x.ndim <= self.planes_at < x.ndim or x.shape[self.planes_at] != 6:
            return None
        at = self.planes_at % x.ndim
        return (*x.shape[:at], *x.shape[at + 1 :])

    def expand(self, scalars: Tensor) -> Tensor:
        """Numbers (...) with a dim of length 1 in place of the planes."""
        return scalars.unsqueeze(self.planes_at)

    def point_like(self, x: Tensor) -> Tensor:
        """The identity."""
        shape = [1] * x.ndim
        shape[self.planes_at] = 6
        return sym3.pack(torch.eye(3, dtype=x.dtype, device=x.device)).reshape(shape)

    def _matrices(self, *planes: Tensor) -> list[Tensor]:
        """3x3 matrices (..., 3, 3) of the planes."""
        return [sym3.unpack(p, dim=self.planes_at) for p in planes]

    def _planes(self, matrices: Tensor) -> Tensor:
        return sym3.pack(matrices, dim=self.planes_at)

    def _by_matrices(self, method: Callable[..., Tensor], *planes: Tensor) -> Tensor:
        """Apply a method of `SPD(3)`, from points and vectors to one of them: it has no fused kernel."""
        return self._planes(method(*self._matrices(*planes)))

    # ---- the geometry ----

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """L exp(L^-1 v L^-T) L^T with L L^T = x"""
        return affine_invariant.exp(*self._aligned(x, v), dim=self.planes_at)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """L log(L^-1 y L^-T) L^T with L L^T = x"""
        return affine_invariant.log(*self._aligned(x, y), dim=self.planes_at)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """| log(L^-1 y L^-T) |_F with L L^T = x"""
        return affine_invariant.dist(*self._aligned(x, y), dim=self.planes_at)

    def squared_dist(self, x: Tensor, y: Tensor) -> Tensor:
        """dist(x, y)^2"""
        return self.dist(x, y).square()

    def geodesic(self, x: Tensor, y: Tensor, t: Tensor | float) -> Tensor:
        """L M^t L^T with L L^T = x, M = L^-1 y L^-T; one fused kernel for a number t."""
        if isinstance(t, Tensor):
            return self.exp(x, self.expand(t) * self.log(x, y))
        x, y = self._aligned(x, y)
        return affine_invariant.geodesic(x, y, t, dim=self.planes_at)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """tr(x^-1 u x^-1 v)"""
        return _MATRICES.inner(*self._matrices(x, u, v))

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """e v e^T with e = (y x^-1)^(1/2)"""
        return self._by_matrices(_MATRICES.transport, x, y, v)

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """x + v + v x^-1 v / 2"""
        return self._by_matrices(_MATRICES.retract, x, v)

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """x g x"""
        x, g = self._aligned(x, g)
        return sym3.congruence(x, g, dim=self.planes_at)

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """v: six planes are always symmetric."""
        return v.broadcast_to(torch.broadcast_shapes(x.shape, v.shape))

    def project(self, x: Tensor) -> Tensor:
        """As `SPD.project`."""
        return self._by_matrices(_MATRICES.project, x)

    def violation(self, x: Tensor) -> Tensor:
        """0, or inf where an eigenvalue is <= 0 or an entry is not finite."""
        return _MATRICES.violation(*self._matrices(x))

    def tangent_basis(self, x: Tensor) -> Tensor:
        """The unit vectors, the same at every x, counted by a dim before the planes."""
        at = self.planes_at % x.ndim
        shape = [6 if axis in (at, at + 1) else 1 for axis in range(x.ndim + 1)]
        basis = torch.eye(6, dtype=x.dtype, device=x.device).reshape(shape)
        return basis.expand(*x.shape[:at], 6, *x.shape[at:])

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """As `SPD.random_point`; shape is that of the batch, without the planes."""
        return self._planes(_MATRICES.random_point(shape, generator=generator, dtype=dtype, device=device))

    def random_tangent(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """As `SPD.random_tangent`."""
        (points,) = self._matrices(x)
        return self._planes(_MATRICES.random_tangent(points, generator=generator))

    def initial_mean(self, points: Tensor, weights: Tensor) -> Tensor:
        """The log-Euclidean mean of points (N, ..., 6)."""
        return sym3.exp((weights.unsqueeze(-1) * sym3.log(points, dim=-1)).sum(0), dim=-1)

    def mean(self, points: Tensor, weights: Tensor | None = None, axis: int = -1) -> Tensor:
        """Karcher flow; axis counts the dims of the batch, without the planes."""
        if self.batch_shape(points) is None:
            raise MvnetError(f"points: found shape {tuple(points.shape)}, expected {self.expected_shape}")
        mean = frechet_mean(SPDField(-1), points.movedim(self.planes_at, -1), weights, axis)
        return mean.movedim(-1, self.planes_at if self.planes_at < 0 else min(self.planes_at, mean.ndim - 1))

    def _aligned(self, *tensors: Tensor) -> list[Tensor]:
        """Leading dims of length 1 for those that have fewer, where `dim` counts from the end."""
        if self.planes_at >= 0:
            return list(tensors)
        most = max(t.ndim for t in tensors)
        return [t[(None,) * (most - t.ndim)] for t in tensors]
