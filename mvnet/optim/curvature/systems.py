"""The linear system of a damped natural gradient, (G + decay + lambda) d = -g, in three forms.

Each is set up once and solved for any lambda, as a step that is taken back is tried again with a larger one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from mvnet.linalg.conjugate_gradients import conjugate_gradients
from mvnet.optim.curvature.products import GaussNewton

_log = logging.getLogger(__name__)

Solve = Callable[[float], Tensor]
"""lambda -> d, (P,)."""


def solve_iteratively(point: GaussNewton, gradient: Tensor, decay: float, iterations: int, tolerance: float) -> Solve:
    """The natural gradient by conjugate gradients: for many outputs and many parameters.

    Args:
        point: where.
        gradient: (P,), of the loss with its weight decay.
        decay: of the weights.
        iterations, tolerance: of `conjugate_gradients`.
    Returns:
        lambda -> -(G + decay + lambda)^-1 gradient, nearly; where G has negative curvature, the last direction of
        descent before it, which the log says.
    Source: Martens, Deep learning via Hessian-free optimization (2010), with the Gauss-Newton matrix.
    """

    def solve(damping: float) -> Tensor:
        shift = damping + decay
        found = conjugate_gradients(
            lambda v: point(v).add_(v, alpha=shift), -gradient, iterations=iterations, tolerance=tolerance
        )
        if found.negative:
            _log.warning(
                "conjugate gradients met negative curvature at product %d; the last good direction is taken",
                found.products,
            )
        return found.x

    return solve


def solve_primal(point: GaussNewton, jacobian: Tensor, gradient: Tensor, decay: float = 0.0) -> Solve:
    """The natural gradient from G itself.

    Args:
        point: where.
        jacobian: J, (M, P).
        gradient: (P,), of the loss with its weight decay.
        decay: of the weights.
    Returns:
        lambda -> -(G + decay + lambda)^-1 gradient, (P,); of least norm where the matrix is singular.
    """
    matrix = point.measure(jacobian.T) @ jacobian
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    along = vectors.mT @ gradient
    noise = len(values) * torch.finfo(values.dtype).eps * values.abs().max()

    def solve(damping: float) -> Tensor:
        shifted = values + (damping + decay)
        safe = torch.where(shifted.abs() > noise, shifted, torch.inf)
        return -(vectors @ (along / safe))

    return solve


def solve_dual(point: GaussNewton, jacobian: Tensor, residual: Tensor, decay: float, theta: Tensor) -> Solve:
    """The natural gradient from a system with one row for each output.

        d = -J^T (H K + mu)^-1 r - decay / mu (theta - J^T (H K + mu)^-1 H J theta),    K = J J^T, mu = decay + lambda

    Args:
        point: where.
        jacobian: J, (M, P).
        residual: r = dl/df, shape of the outputs.
        decay: of the weights.
        theta: parameters, (P,).
    Returns:
        lambda -> -(G + mu)^-1 (J^T r + decay theta), (P,).
    """
    matrix = point.measure(jacobian @ jacobian.T).T
    right = residual.reshape(-1, 1).to(matrix.dtype)
    if decay:
        right = torch.cat([right, point.measure((jacobian @ theta)[None]).T], 1)
    unit = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)

    def solve(damping: float) -> Tensor:
        mu = decay + damping
        found = torch.linalg.solve_ex(matrix + mu * unit, right)[0]
        back = jacobian.T @ found
        return -back[:, 0] if not decay else -back[:, 0] - decay / mu * (theta - back[:, 1])

    return solve
