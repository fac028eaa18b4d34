"""Orthonormal columns: the polar factor, and cheap ways back to it from nearby."""

from __future__ import annotations

import torch
from torch import Tensor

_WELL_CONDITIONED = 100.0  # Y^T Y up to here, a single Cholesky factorisation leaves a few rounding units
_TINY = 1e-30


def polar(a: Tensor, determinant: bool = False) -> Tensor:
    """The nearest matrix with orthonormal columns, U V^T for a = U diag(s) V^T.

    Its first derivatives are exact, also at repeated singular values:

        U^T dP V = (E - E^T) / (s_i + s_j),  E = U^T da V;   (1 - U U^T) dP V = (1 - U U^T) da V / s_j

    Args:
        a: shape (..., n, p), n >= p.
        determinant: whether the determinant of a square matrix must be 1: then the last direction turns its sign.
    Returns:
        the same shape.
    """
    with torch.no_grad():
        u, s, vh = torch.linalg.svd(a, full_matrices=False)
        if determinant:
            sign = torch.linalg.det(u @ vh).sign()
            s = torch.cat((s[..., :-1], s[..., -1:] * sign.unsqueeze(-1)), -1)
            u = torch.cat((u[..., :-1], u[..., -1:] * sign[..., None, None]), -1)
        value = u @ vh
        scale = s[..., :1].abs().clamp(min=_TINY) * torch.finfo(a.dtype).eps
        pairs = _away_from_zero(s.unsqueeze(-1) + s.unsqueeze(-2), scale.unsqueeze(-1))
        single = _away_from_zero(s, scale).unsqueeze(-2)
    if not (a.requires_grad and torch.is_grad_enabled()):
        return value
    change = (a - a.detach()) @ vh.mT  # zero, with the derivative of a V
    e = u.mT @ change
    return value + (u @ ((e - e.mT) / pairs) + (change - u @ e) / single) @ vh


def _away_from_zero(x: Tensor, scale: Tensor) -> Tensor:
    return torch.where(x.abs() > scale, x, torch.where(x < 0, -scale, scale))


def cholesky_qr(y: Tensor) -> Tensor:
    """The factor Q of y = Q R, R with a positive diagonal, by Cholesky of y^T y; for y = x + v, v tangent at x.

    There y^T y = 1 + v^T v, whose eigenvalues are at least 1: the factorisation never fails. Two cases are told apart
    by the norm of y^T y - 1: below the root of the rounding unit one step of Newton's iteration for the polar factor
    is exact, and for large steps a second pass removes the rounding errors of the first.

    Args:
        y: shape (..., n, p).
    Returns:
        the same shape, orthonormal columns.
    """
    gram = y.mT @ y
    excess = gram.detach().diagonal(dim1=-2, dim2=-1).sum(-1) - gram.shape[-1]
    size = float(excess.max()) if y.numel() else 0.0
    # |y^T y - 1| <= tr(v^T v): the error of Newton's step is 3/8 of its square
    if abs(size) < torch.finfo(y.dtype).eps ** 0.5:
        return polar_step(y, gram)
    q = _cholesky_pass(y, gram)
    return _cholesky_pass(q, q.mT @ q) if not size < _WELL_CONDITIONED else q


def _cholesky_pass(y: Tensor, gram: Tensor) -> Tensor:
    """y R^-1 with R^T R = y^T y."""
    lower = torch.linalg.cholesky_ex(gram)[0]
    return torch.linalg.solve_triangular(lower.mT, y, upper=True, left=False)


def polar_step(y: Tensor, gram: Tensor | None = None) -> Tensor:
    """y (3 - y^T y) / 2: the polar factor of y up to 3/8 of |y^T y - 1|^2.

    Args:
        y: shape (..., n, p).
        gram: y^T y, where it is known.
    Returns:
        the same shape.
    """
    return 1.5 * y - 0.5 * (y @ (y.mT @ y if gram is None else gram))
