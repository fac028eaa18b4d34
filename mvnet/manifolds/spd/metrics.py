"""The two metrics of `SPD`, each a stateless class of functions on matrices of shape (..., n, n).

A new metric is one class here and one line in METRICS.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.linalg import affine_invariant as planes
from mvnet.linalg import sym3
from mvnet.linalg.smooth import expand_points, point_sum, safe_sqrt
from mvnet.manifolds.spd import _spectral


def symmetric_part(a: Tensor) -> Tensor:
    """(A + A^T) / 2

    Args:
        a: shape (..., n, n).
    Returns:
        same shape.
    """
    return (a + a.mT) / 2


def log_euclidean_mean(points: Tensor, weights: Tensor) -> Tensor:
    """exp(sum_i w_i log x_i)

    Args:
        points: SPD matrices, shape (N, ..., n, n).
        weights: shape (N, ...), of sum 1 over the first dim.
    Returns:
        shape (..., n, n).
    """
    return _spectral.exp((expand_points(weights, 2) * _spectral.log(points)).sum(0))


class AffineInvariant:
    """<u, v>_x = tr(x^-1 u x^-1 v), paper section 2.3, with the methods of `Manifold`.

    Every a in GL(n) acts by isometries x -> a x a^T, and so does x -> x^-1. Any l with l l^T = x may replace
    the square root of x in the textbook formulas; here it is the Cholesky factor.
    """

    retraction_order = 2
    closed_form_mean = None

    @staticmethod
    def _whiten(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """l and l^-1 y l^-T with l l^T = x."""
        l = torch.linalg.cholesky(symmetric_part(x))  # noqa: E741
        half = torch.linalg.solve_triangular(l, y, upper=False)
        return l, symmetric_part(torch.linalg.solve_triangular(l, half.mT, upper=False))

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """l exp(l^-1 v l^-T) l^T"""
        l, w = self._whiten(x, v)  # noqa: E741
        return symmetric_part(l @ _spectral.exp(w) @ l.mT)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """l log(l^-1 y l^-T) l^T"""
        l, w = self._whiten(x, y)  # noqa: E741
        return symmetric_part(l @ _spectral.log(w) @ l.mT)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """| log(l^-1 y l^-T) |_F"""
        return safe_sqrt(_spectral.log(self._whiten(x, y)[1]).square().sum((-2, -1)))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """tr(x^-1 u x^-1 v)"""
        return point_sum(self._whiten(x, u)[1] * self._whiten(x, v)[1], 2)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """e v e^T with e = (y x^-1)^(1/2) = l (l^-1 y l^-T)^(1/2) l^-1"""
        l, w = self._whiten(x, y)  # noqa: E741
        root = l @ _spectral.sqrt(w)
        return symmetric_part(root @ self._whiten(x, v)[1] @ root.mT)

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """x sym(g) x"""
        return symmetric_part(x @ symmetric_part(g) @ x)

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """x + v + v x^-1 v / 2 = (x + (x + v) x^-1 (x + v)) / 2, second order, always positive-definite"""
        l, w = self._whiten(x, v)  # noqa: E741
        identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
        return symmetric_part(l @ (identity + w + w @ w / 2) @ l.mT)

    def from_standard(self, x: Tensor, s: Tensor) -> Tensor:
        """l s l^T: an isometry from symmetric s with the Frobenius product to the tangent vectors at x.

        Args:
            x: SPD matrices, shape (..., n, n).
            s: symmetric matrices, same shape.
        Returns:
            tangent vectors at x, same shape.
        """
        l = torch.linalg.cholesky(symmetric_part(x))  # noqa: E741
        return symmetric_part(l @ s @ l.mT)


class AffineInvariant3(AffineInvariant):
    """The same metric on 3x3 matrices through the fused kernels on component planes."""

    @staticmethod
    def _planes(*matrices: Tensor) -> list[Tensor]:
        ndim = max(m.ndim for m in matrices)
        return [sym3.pack(m[(None,) * (ndim - m.ndim)], dim=0) for m in matrices]  # the kernels broadcast

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """l exp(l^-1 v l^-T) l^T"""
        return sym3.unpack(planes.exp(*self._planes(x, v), dim=0), dim=0)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """l log(l^-1 y l^-T) l^T"""
        return sym3.unpack(planes.log(*self._planes(x, y), dim=0), dim=0)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """| log(l^-1 y l^-T) |_F"""
        return planes.dist(*self._planes(x, y), dim=0)


class LogEuclidean:
    """<u, v>_x = <D log(x)[u], D log(x)[v]>_F, with the methods of `Manifold`.

    The metric is flat, log x being a global chart; rotations, inversion and scaling are isometries.
    Source: Arsigny, Fillard, Pennec and Ayache, Log-Euclidean metrics (2006).
    """

    retraction_order = float("inf")

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """exp(log x + D log(x)[v])"""
        return _spectral.exp(_spectral.log(x) + _spectral.differential(_spectral.log, x, v))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """D exp(log x)[log y - log x]"""
        at = _spectral.log(x)
        return _spectral.differential(_spectral.exp, at, _spectral.log(y) - at)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """| log x - log y |_F"""
        return safe_sqrt((_spectral.log(x) - _spectral.log(y)).square().sum((-2, -1)))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """<D log(x)[u], D log(x)[v]>_F"""
        return point_sum(_spectral.differential(_spectral.log, x, u) * _spectral.differential(_spectral.log, x, v), 2)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """D exp(log y)[D log(x)[v]]"""
        flat = _spectral.differential(_spectral.log, x, v)
        return _spectral.differential(_spectral.exp, _spectral.log(y), flat)

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """D exp(log x)[D exp(log x)[sym(g)]]"""
        at = _spectral.log(x)
        return _spectral.differential(_spectral.exp, at, _spectral.differential(_spectral.exp, at, g))

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """exp(x, v)"""
        return self.exp(x, v)

    def from_standard(self, x: Tensor, s: Tensor) -> Tensor:
        """D exp(log x)[s], an isometry from symmetric s with the Frobenius product to the tangent vectors at x.

        Args:
            x: SPD matrices, shape (..., n, n).
            s: symmetric matrices, same shape.
        Returns:
            tangent vectors at x, same shape.
        """
        return _spectral.differential(_spectral.exp, _spectral.log(x), s)

    closed_form_mean = staticmethod(log_euclidean_mean)


def affine_invariant(n: int) -> AffineInvariant:
    """The affine-invariant metric, on fused kernels for n = 3.

    Args:
        n: matrix size.
    Returns:
        the metric on matrices (..., n, n).
    """
    return AffineInvariant3() if n == 3 else AffineInvariant()


METRICS = {"affine-invariant": affine_invariant, "log-euclidean": lambda n: LogEuclidean()}
