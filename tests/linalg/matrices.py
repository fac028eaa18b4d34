"""Symmetric positive definite test matrices with a known eigendecomposition, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.linalg import so3, sym3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rotations(n: int, seed: int = 0) -> Tensor:
    """(n, 3, 3) orthogonal to rounding, far from any structure."""
    return so3.project(torch.randn(n, 3, 3, generator=generator(seed), dtype=torch.float64))


def spectra(kind: str, n: int, seed: int = 1) -> Tensor:
    """(n, 3) positive eigenvalues with condition 1 to 1e4, some of them (nearly) repeated."""
    random = generator(seed)
    values = 10 ** (4 * torch.rand(n, 3, generator=random, dtype=torch.float64) - 2)
    gap = {"distinct": None, "double": 0.0, "near double": 1e-6, "nearer double": 1e-11}.get(kind, 0.0)
    if kind in ("double", "near double", "nearer double"):
        assert gap is not None
        values[:, 1] = values[:, 0] * (1 + gap)
    elif kind == "triple":
        values[:] = values[:, :1]
    elif kind == "near triple":
        values = values[:, :1] * (1 + 1e-7 * torch.randn(n, 3, generator=random, dtype=torch.float64))
    return values


KINDS = ("distinct", "double", "near double", "nearer double", "triple", "near triple")


def assemble(values: Tensor, seed: int = 2) -> Tensor:
    """Q diag(values) Q^T, (n, 3, 3) and symmetric to the last bit."""
    q = rotations(len(values), seed)
    m = (q * values.unsqueeze(-2)) @ q.mT
    return (m + m.mT) / 2


def planes(kind: str = "distinct", n: int = 64, seed: int = 1) -> Tensor:
    """(1, 6, n) Mandel planes."""
    return sym3.pack(assemble(spectra(kind, n, seed), seed + 1), dim=0).unsqueeze(0)


def moderate(n: int, seed: int = 0) -> Tensor:
    """(1, 6, n) with eigenvalues near 1: where finite differences have digits."""
    return sym3.exp(0.5 * torch.randn(1, 6, n, generator=generator(seed), dtype=torch.float64))
