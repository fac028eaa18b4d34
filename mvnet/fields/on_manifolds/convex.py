"""Geodesically convex functions on Sym+(n) with its affine-invariant metric, and where they fall fastest.

A descent is an element xi of gl(n): xi P + P xi^T = -grad g(P), see `mvnet.manifolds.actions.Congruence`.

| function       | g(P)                          | xi                              | parameter              |
|----------------|-------------------------------|---------------------------------|------------------------|
| `Distance`     | sqrt(1 + d(P, Q)^2) - 1       | log(Q P^-1) / (2 sqrt(1 + d^2)) | Q = exp(S)             |
| `Busemann`     | lim d(P, U exp(t L) U^T) - t  | M L M^-1 / 2, P = M M^T         | U, L falling, |L| = 1  |
| `Trace`        | tr(P A)                       | -P A / 2                        | A = W W^T              |
| `InverseTrace` | tr(P^-1 B)                    | B P^-1 / 2                      | B = W W^T              |
| `LogDet`       | log det P                     | -I / 2                          | none                   |

In the row of `Busemann`, U is a rotation, L diagonal, M = U N with N upper triangular; g = 2 sum_i L_i log C_ii with
C C^T = U^T P^-1 U.
Source: Bridson, Haefliger, Metric Spaces of Non-Positive Curvature (1999), chapters II.2, II.8 and II.10.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.fields.in_time import TimeGrid, draw
from mvnet.manifolds.spd import SPD
from mvnet.manifolds.spd.metrics import symmetric_part


class Descent(NamedTuple):
    """Values of m functions at every point, (..., m), and their descents, (..., m, n, n)."""

    value: Tensor
    xi: Tensor


class ConvexFunctions(nn.Module, ABC):
    """m functions of one kind, with parameters in time.

    Args:
        size: n.
        count: m.
        grid: in time.
        scale: standard deviation of the initial parameters.
        generator: source of the initial values; torch's global generator when None.
    """

    def __init__(
        self,
        size: int,
        count: int,
        grid: TimeGrid,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.size, self.count, self.grid = size, count, grid
        self.free = draw((grid.count, count, *self.free_shape(size)), scale, generator)

    def free_shape(self, size: int) -> tuple[int, ...]:
        """Shape of the parameters of one function.

        Args:
            size: n.
        Returns:
            (n, n), unless a subclass says otherwise.
        """
        return (size, size)

    def forward(self, t: Tensor, p: Tensor) -> Descent:
        """Values and descents.

        Args:
            t: time, a scalar tensor, or one time for each point.
            p: points (..., n, n).
        Returns:
            shapes (..., m) and (..., m, n, n).
        """
        (free,) = self.grid.at(t, self.free, batch=p.ndim - 2)
        return self.evaluate(free, p[..., None, :, :])

    @abstractmethod
    def evaluate(self, free: Tensor, p: Tensor) -> Descent:
        """Values and descents, from the parameters at one time.

        Args:
            free: parameters (..., m, *free_shape).
            p: points (..., 1, n, n).
        Returns:
            shapes (..., m) and (..., m, n, n).
        """


class Distance(ConvexFunctions):
    """sqrt(1 + d(P, Q)^2) - 1: the distance to a learned point, smooth there."""

    def evaluate(self, free: Tensor, p: Tensor) -> Descent:
        """xi = log(Q P^-1) / (2 sqrt(1 + d^2))"""
        space = SPD(self.size)
        q = torch.matrix_exp(symmetric_part(free))
        p, q = torch.broadcast_tensors(p, q)
        toward = space.log(p, q)
        root = torch.sqrt(1 + space.inner(p, toward, toward))
        xi = torch.linalg.solve(p, toward, left=False) / (2 * root[..., None, None])
        return Descent(root - 1, xi)


class Busemann(ConvexFunctions):
    """lim d(P, U exp(t L) U^T) - t: the distance to a point at infinity; it falls at unit speed."""

    def free_shape(self, size: int) -> tuple[int, ...]:
        """(n, n + 1): a matrix whose skew part is log U, and a column for L."""
        return (size, size + 1)

    def evaluate(self, free: Tensor, p: Tensor) -> Descent:
        """xi = M L M^-1 / 2"""
        skew = free[..., :-1]
        u = torch.matrix_exp(skew - skew.mT)
        # rates fall strictly: sums of positive steps from the last entry up, then shifted
        rates = F.softplus(free[..., -1]).flip(-1).cumsum(-1).flip(-1)
        rates = rates - free[..., :1, -1].sigmoid() * rates[..., :1]
        rates = rates / rates.norm(dim=-1, keepdim=True)
        c = torch.linalg.cholesky(symmetric_part(u.mT @ torch.linalg.inv(p) @ u))
        value = 2 * (rates * c.diagonal(dim1=-2, dim2=-1).log()).sum(-1)
        # U^T P^-1 U = C C^T, so P = M M^T with M = U C^-T, and M L M^-1 = U C^-T L C^T U^T
        inner = torch.linalg.solve_triangular(c.mT, rates[..., None] * c.mT, upper=True)
        return Descent(value, u @ inner @ u.mT / 2)


class Trace(ConvexFunctions):
    """tr(P A), A = W W^T"""

    def evaluate(self, free: Tensor, p: Tensor) -> Descent:
        """xi = -P A / 2"""
        xi = -p @ (free @ free.mT) / 2
        return Descent(-2 * xi.diagonal(dim1=-2, dim2=-1).sum(-1), xi)


class InverseTrace(ConvexFunctions):
    """tr(P^-1 B), B = W W^T"""

    def evaluate(self, free: Tensor, p: Tensor) -> Descent:
        """xi = B P^-1 / 2"""
        xi = torch.linalg.solve(p, free @ free.mT, left=False) / 2
        return Descent(2 * xi.diagonal(dim1=-2, dim2=-1).sum(-1), xi)


class LogDet(ConvexFunctions):
    """log det P: along geodesics it is linear."""

    def free_shape(self, size: int) -> tuple[int, ...]:
        """(0): nothing to learn"""
        return (0,)

    def evaluate(self, free: Tensor, p: Tensor) -> Descent:
        """xi = -I / 2"""
        value = 2 * torch.linalg.cholesky(p).diagonal(dim1=-2, dim2=-1).log().sum(-1)
        shape = (*torch.broadcast_shapes(free.shape[:-1], p.shape[:-2]), self.size, self.size)
        identity = torch.eye(self.size, dtype=p.dtype, device=p.device)
        return Descent(value.expand(shape[:-2]), (-identity / 2).expand(shape))


CONVEX: dict[str, type[ConvexFunctions]] = {
    "distance": Distance,
    "busemann": Busemann,
    "trace": Trace,
    "inverse_trace": InverseTrace,
    "log_det": LogDet,
}
"""Name -> kind of function."""
