"""General 3x3 matrices in nine row-major component planes (interim version)."""

from __future__ import annotations

import torch
from torch import Tensor


def to_matrix(x: Tensor, dim: int = 1) -> Tensor:
    if x.shape[dim] != 9:
        raise ValueError(f"x: expected 9 component planes at dim {dim}, found shape {tuple(x.shape)}")
    return x.movedim(dim, -1).unflatten(-1, (3, 3))


def from_matrix(m: Tensor, dim: int = 1) -> Tensor:
    if m.shape[-2:] != (3, 3):
        raise ValueError(f"m: expected (..., 3, 3), found shape {tuple(m.shape)}")
    return m.flatten(-2).movedim(-1, dim)


def matmul(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    return from_matrix(to_matrix(x, dim) @ to_matrix(y, dim), dim)


def bracket(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    return matmul(x, y, dim) - matmul(y, x, dim)


def exp(x: Tensor, dim: int = 1) -> Tensor:
    return from_matrix(torch.linalg.matrix_exp(to_matrix(x, dim)), dim)


def inverse(x: Tensor, dim: int = 1) -> Tensor:
    return from_matrix(torch.linalg.inv(to_matrix(x, dim)), dim)


def cayley(x: Tensor, dim: int = 1) -> Tensor:
    m = to_matrix(x, dim)
    i = torch.eye(3, dtype=m.dtype, device=m.device)
    return from_matrix(torch.linalg.solve(i - m / 2, i + m / 2), dim)
