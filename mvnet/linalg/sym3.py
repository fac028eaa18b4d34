"""Symmetric 3x3 matrices in component planes (interim version)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_R2 = math.sqrt(2.0)


def _check(p: Tensor, dim: int, n: int = 6, name: str = "p") -> None:
    if p.shape[dim] != n:
        raise ValueError(f"{name}: expected {n} component planes at dim {dim}, found shape {tuple(p.shape)}")


def pack(matrices: Tensor, dim: int = -1) -> Tensor:
    """(..., 3, 3) symmetric -> 6 Mandel components at dim of the result."""
    m = matrices
    if m.shape[-2:] != (3, 3):
        raise ValueError(f"matrices: expected (..., 3, 3), found shape {tuple(m.shape)}")
    h = _R2 / 2
    return torch.stack(
        (
            m[..., 0, 0],
            m[..., 1, 1],
            m[..., 2, 2],
            h * (m[..., 1, 2] + m[..., 2, 1]),
            h * (m[..., 0, 2] + m[..., 2, 0]),
            h * (m[..., 0, 1] + m[..., 1, 0]),
        ),
        dim,
    )


def unpack(planes: Tensor, dim: int = 1) -> Tensor:
    """6 Mandel components at dim -> (..., 3, 3)."""
    _check(planes, dim, name="planes")
    a, b, c, d, e, f = planes.unbind(dim)
    d, e, f = d / _R2, e / _R2, f / _R2
    return torch.stack((a, f, e, f, b, d, e, d, c), -1).unflatten(-1, (3, 3))


class _Spectral(torch.autograd.Function):
    @staticmethod
    def forward(ctx, m, fun, slope):
        lam, q = torch.linalg.eigh(m)
        ctx.save_for_backward(lam, q)
        ctx.slope = slope
        return (q * fun(lam).unsqueeze(-2)) @ q.mT

    @staticmethod
    def backward(ctx, g):  # pyright: ignore
        lam, q = ctx.saved_tensors
        g = 0.5 * (g + g.mT)
        s = ctx.slope(lam.unsqueeze(-1), lam.unsqueeze(-2))
        return q @ (s * (q.mT @ g @ q)) @ q.mT, None, None


def _log_slope(a, b):
    lo, hi = torch.minimum(a, b), torch.maximum(a, b)
    x = ((hi - lo) / lo).clamp_min(1e-30)
    return torch.log1p(x) / x / lo


def _exp_slope(a, b):
    lo, hi = torch.minimum(a, b), torch.maximum(a, b)
    x = (hi - lo).clamp_min(1e-30)
    return -torch.exp(hi) * torch.expm1(-x) / x


def _apply(p, dim, fun, slope):
    return pack(_Spectral.apply(unpack(p, dim), fun, slope), dim if dim >= 0 else dim)  # pyright: ignore


def eigvals(p: Tensor, dim: int = 1) -> Tensor:
    return torch.linalg.eigvalsh(unpack(p, dim)).movedim(-1, dim)


def log(p: Tensor, dim: int = 1) -> Tensor:
    return _apply(p, dim, torch.log, _log_slope)


def exp(p: Tensor, dim: int = 1) -> Tensor:
    return _apply(p, dim, torch.exp, _exp_slope)


def sqrt(p: Tensor, dim: int = 1) -> Tensor:
    return _apply(p, dim, torch.sqrt, lambda a, b: 1 / (a.sqrt() + b.sqrt()))


def invsqrt(p: Tensor, dim: int = 1) -> Tensor:
    return _apply(p, dim, torch.rsqrt, lambda a, b: -1 / (a.sqrt() + b.sqrt()) / (a * b).sqrt())


def power(p: Tensor, a: float, dim: int = 1) -> Tensor:
    return exp(a * log(p, dim), dim)


def inverse(p: Tensor, dim: int = 1) -> Tensor:
    return pack(torch.linalg.inv(unpack(p, dim)), dim)


def det(p: Tensor, dim: int = 1) -> Tensor:
    a, b, c, d, e, f = p.unbind(dim)
    return a * (b * c - d * d / 2) + e * (d * f / _R2 - b * e / 1) / 2 + f * (d * e / _R2 - c * f) / 2


def trace(p: Tensor, dim: int = 1) -> Tensor:
    return p.narrow(dim, 0, 3).sum(dim)


def congruence(a: Tensor, p: Tensor, dim: int = 1) -> Tensor:
    """A P A^T; a 9 row-major planes or 6 Mandel planes."""
    n = a.shape[dim]
    if n not in (6, 9):
        raise ValueError(f"a: expected 6 or 9 component planes at dim {dim}, found shape {tuple(a.shape)}")
    m = unpack(a, dim) if n == 6 else a.movedim(dim, -1).unflatten(-1, (3, 3))
    return pack(m @ unpack(p, dim) @ m.mT, dim)
