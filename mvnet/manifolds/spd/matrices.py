"""Symmetric positive-definite matrices Sym+(n); n = 3: the values of a diffusion tensor image, paper 2.3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.manifolds.base import Manifold
from mvnet.manifolds.mean import prepare
from mvnet.manifolds.spd import _spectral
from mvnet.manifolds.spd.metrics import (
    METRICS,
    AffineInvariant,
    LogEuclidean,
    log_euclidean_mean,
    symmetric_part,
)


@dataclass(frozen=True)
class SPD(Manifold):
    """n x n SPD matrices, points and (symmetric) tangent vectors of shape (..., n, n).

    Args:
        n: matrix size; 3 runs on the closed-form kernels of `mvnet.linalg`, any other on eigh.
        metric: "affine-invariant" (tr(x^-1 u x^-1 v)) or "log-euclidean"; distances are in log units.
    """

    n: int = 3
    metric: str = "affine-invariant"

    def __post_init__(self) -> None:
        if self.n < 1:
            raise MvnetError(f"n: found {self.n}, expected a matrix size of at least 1")
        if self.metric not in METRICS:
            raise MvnetError(f"metric: found {self.metric!r}, expected one of {', '.join(map(repr, METRICS))}")

    @property
    def _metric(self) -> AffineInvariant | LogEuclidean:
        return METRICS[self.metric](self.n)

    @property
    def retraction_order(self) -> float:
        """2, or inf for the log-Euclidean metric."""
        return self._metric.retraction_order

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(n, n)"""
        return (self.n, self.n)

    @property
    def dim(self) -> int:
        """n (n + 1) / 2"""
        return self.n * (self.n + 1) // 2

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """`exp` of the metric."""
        return self._metric.exp(x, v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """`log` of the metric."""
        return self._metric.log(x, y)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """`dist` of the metric."""
        return self._metric.dist(x, y)

    def squared_dist(self, x: Tensor, y: Tensor) -> Tensor:
        """dist(x, y)^2"""
        return self._metric.dist(x, y).square()

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """`inner` of the metric."""
        return self._metric.inner(x, u, v)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """`transport` of the metric."""
        return self._metric.transport(x, y, v)

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """`retract` of the metric."""
        return self._metric.retract(x, v)

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """`riemannian_gradient` of the metric."""
        return self._metric.riemannian_gradient(x, g)

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """The symmetric part of v"""
        return symmetric_part(v).broadcast_to(torch.broadcast_shapes(x.shape, v.shape))

    def project(self, x: Tensor) -> Tensor:
        """Symmetric part with eigenvalues of at least 64 rounding units of the largest one (of 1 for x = 0).

        Sym+(n) is open, so there is no nearest point; the floor keeps logarithms finite. The gradient is
        that of the symmetric part.

        Args:
            x: shape (..., n, n).
        Returns:
            SPD matrices, same shape.
        """
        s = symmetric_part(x)
        values, vectors = torch.linalg.eigh(s.detach())
        largest = values.abs().amax(-1, keepdim=True)
        floor = 64 * torch.finfo(x.dtype).eps * torch.where(largest > 0, largest, 1.0)
        lift = symmetric_part((vectors * (floor - values).clamp(min=0).unsqueeze(-2)) @ vectors.mT)
        return s + lift

    def violation(self, x: Tensor) -> Tensor:
        """Asymmetry over the largest entry; inf where an eigenvalue is <= 0 or an entry is not finite."""
        finite = x.isfinite().all(-1).all(-1)
        safe = torch.where(finite[..., None, None], x, 0.0)
        positive = torch.linalg.eigvalsh(symmetric_part(safe))[..., 0] > 0
        largest = safe.abs().amax((-2, -1))
        asymmetry = (safe - safe.mT).abs().amax((-2, -1)) / torch.where(positive, largest, 1.0)
        return torch.where(positive & finite, asymmetry, math.inf)

    def tangent_basis(self, x: Tensor) -> Tensor:
        """E_ii and (E_ij + E_ji) / sqrt(2), the same at every x"""
        return _mandel_basis(self.n, x).broadcast_to(*x.shape[:-2], self.dim, self.n, self.n)

    def random_tangent(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """Standard normal in an orthonormal basis of the metric at x."""
        return self._metric.from_standard(x, self._normal(x.shape[:-2], generator, x.dtype).to(x.device))

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """exp of a standard normal symmetric matrix, divided by sqrt(n) so that eigenvalues stay O(1)."""
        s = self._normal(tuple(shape), generator, dtype).to(device or generator.device)
        return _spectral.exp(s / math.sqrt(self.n))

    def initial_mean(self, points: Tensor, weights: Tensor) -> Tensor:
        """The log-Euclidean mean."""
        return log_euclidean_mean(points, weights)

    def mean(self, points: Tensor, weights: Tensor | None = None, axis: int = -1) -> Tensor:
        """Frechet mean of the metric: closed form for log-Euclidean, Karcher flow for affine-invariant.

        Args:
            points, weights, axis: as in `Manifold.mean`.
        Returns:
            SPD matrices.
        """
        closed_form = self._metric.closed_form_mean
        if closed_form is None:
            return super().mean(points, weights, axis)
        return closed_form(*prepare(self, points, weights, axis))

    def _normal(self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype | None) -> Tensor:
        coefficients = torch.randn((*shape, self.dim, 1, 1), generator=generator, dtype=dtype, device=generator.device)
        return (coefficients * _mandel_basis(self.n, coefficients)).sum(-3)


def _mandel_basis(n: int, like: Tensor) -> Tensor:
    """Frobenius-orthonormal basis of the symmetric matrices, shape (n (n + 1) / 2, n, n)."""
    i, j = torch.triu_indices(n, n, device=like.device)
    k = torch.arange(len(i), device=like.device)
    basis = like.new_zeros(len(i), n, n)
    scale = torch.where(i == j, like.new_tensor(1.0), like.new_tensor(0.5).sqrt())
    basis[k, i, j] = scale
    basis[k, j, i] = scale
    return basis
