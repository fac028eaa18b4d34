"""What the tests of linalg run over: spectra, spectral functions, and matrices made of them."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.linalg import sym3

SPECTRA = {
    "generic": (0.4, 1.0, 2.5),
    "identity": (1.0, 1.0, 1.0),
    "lower pair": (1.0, 1.0, 2.0),
    "upper pair": (1.0, 2.0, 2.0),
    "nearly a pair": (1.0, 1.0 + 1e-5, 2.0),
    "nearly a triple": (1.0, 1.0 + 1e-6, 1.0 + 3e-6),
    "one percent": (1.0, 1.01, 1.02),
    "condition 100": (0.01, 0.3, 1.0),
    "condition 1e4": (1e-4, 1e-2, 1.0),
    "condition 1e4, lower pair": (1e-4, 1e-4, 1.0),
    "condition 1e4, upper pair": (1e-4, 1.0, 1.0),
    "condition 1e4, nearly a pair": (1e-4, 1.01e-4, 1.0),
}
"""Ascending eigenvalues, equal and nearly equal ones among them."""

POWER = -0.7

FUNCTIONS = {
    "log": (sym3.log, torch.log),
    "exp": (sym3.exp, torch.exp),
    "sqrt": (sym3.sqrt, torch.sqrt),
    "invsqrt": (sym3.invsqrt, torch.rsqrt),
    "inverse": (sym3.inverse, torch.reciprocal),
    "power": (lambda p, dim=1: sym3.power(p, POWER, dim), lambda x: x**POWER),
}
"""Matrix function on planes, and the function of the eigenvalues it applies."""


def matrices(spectrum: tuple[float, ...], count: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Matrices (count, 3, 3) with this spectrum up to rounding in random axes, exactly symmetric."""
    generator = torch.Generator().manual_seed(seed)
    q = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator, dtype=torch.float64))[0]
    a = (q * torch.tensor(spectrum, dtype=torch.float64)) @ q.mT
    return ((a + a.mT) / 2).to(dtype)


def planes(spectrum: tuple[float, ...], count: int = 2, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """The same as Mandel planes (count, 6)."""
    return sym3.pack(matrices(spectrum, count, dtype, seed), 1)


def by_eigh(a: Tensor, function) -> Tensor:
    """Spectral function of symmetric matrices (..., 3, 3) by LAPACK."""
    values, vectors = torch.linalg.eigh(a)
    return (vectors * function(values).unsqueeze(-2)) @ vectors.mT


def random_spd(count: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Positive definite matrices as planes (count, 6), condition below about 50."""
    generator = torch.Generator().manual_seed(seed)
    return sym3.exp(0.5 * torch.randn(count, 6, generator=generator, dtype=dtype))
