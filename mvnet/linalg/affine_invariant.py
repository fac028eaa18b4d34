"""Affine-invariant geometry on Mandel planes (interim version)."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.linalg import sym3


def log(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    h, w = sym3.sqrt(x, dim), sym3.invsqrt(x, dim)
    return sym3.congruence(h, sym3.log(sym3.congruence(w, y, dim), dim), dim)


def exp(x: Tensor, v: Tensor, dim: int = 1) -> Tensor:
    h, w = sym3.sqrt(x, dim), sym3.invsqrt(x, dim)
    return sym3.congruence(h, sym3.exp(sym3.congruence(w, v, dim), dim), dim)


def dist(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    s = sym3.log(sym3.congruence(sym3.invsqrt(x, dim), y, dim), dim)
    q = (s * s).sum(dim)
    return torch.where(q > 0, torch.where(q > 0, q, 1.0).sqrt(), 0.0)


def geodesic(x: Tensor, y: Tensor, t: float | Tensor, dim: int = 1) -> Tensor:
    return exp(x, t * log(x, y, dim), dim)
