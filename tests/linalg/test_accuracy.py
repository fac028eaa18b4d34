"""Accuracy on random spectra of condition 1 to 1e4, equal and nearly equal eigenvalues; the yardstick is LAPACK."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mvnet.linalg import affine_invariant, sym3
from tests.linalg.matrices import KINDS, assemble, moderate, planes, spectra

Spectral = Callable[[Tensor], Tensor]

FUNCTIONS: dict[str, tuple[Spectral, Spectral]] = {
    "log": (sym3.log, torch.log),
    "exp": (sym3.exp, torch.exp),
    "sqrt": (sym3.sqrt, torch.sqrt),
    "invsqrt": (sym3.invsqrt, torch.rsqrt),
    "inverse": (sym3.inverse, torch.reciprocal),
    "power 0.3": (lambda p: sym3.power(p, 0.3), lambda w: w**0.3),
    "power -1.7": (lambda p: sym3.power(p, -1.7), lambda w: w**-1.7),
}


def oracle(m: Tensor, scalar: Spectral) -> Tensor:
    """f(A) through an eigendecomposition in the dtype of A; functions of positive numbers see at least eps |A|."""
    w, v = torch.linalg.eigh(m)
    if scalar is not torch.exp:
        w = torch.maximum(w, torch.finfo(m.dtype).eps * w[..., 2:])
    return (v * scalar(w).unsqueeze(-2)) @ v.mT


def inputs(name: str, kind: str) -> Tensor:
    """(n, 3, 3) float64; for exp the logarithms, so that nothing overflows."""
    values = spectra(kind, 2000)
    return assemble(values.log() if name == "exp" else values)


def relative_error(found: Tensor, expected: Tensor) -> Tensor:
    """Norm of the difference over that of the expected matrix, in float64."""
    expected = expected.double()
    return (found.double() - expected).norm(dim=(-2, -1)) / expected.norm(dim=(-2, -1)).clamp_min(1e-30)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_is_as_accurate_as_lapack(name: str, kind: str):
    """Mean and 99.9th percentile within 4x of eigh in float32, the float64 eigendecomposition as the truth."""
    ours, scalar = FUNCTIONS[name]
    m = inputs(name, kind).float()
    truth = oracle(m.double(), scalar)
    mine = relative_error(sym3.unpack(ours(sym3.pack(m, dim=0)[None]))[0], truth)
    lapack = relative_error(oracle(m, scalar), truth)
    floor = 4 * torch.finfo(torch.float32).eps
    assert mine.mean() <= 4 * lapack.mean() + floor
    assert mine.quantile(0.999) <= 4 * lapack.quantile(0.999) + floor


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64_is_as_accurate_as_lapack(name: str, kind: str):
    """The same in float64, against the eigendecomposition the matrices were assembled from."""
    ours, scalar = FUNCTIONS[name]
    values = spectra(kind, 2000)
    values = values.log() if name == "exp" else values
    m, truth = assemble(values), assemble(scalar(values))
    mine = relative_error(sym3.unpack(ours(sym3.pack(m, dim=0)[None]))[0], truth)
    lapack = relative_error(oracle(m, scalar), truth)
    floor = 4 * torch.finfo(torch.float64).eps
    assert mine.mean() <= 4 * lapack.mean() + floor
    assert mine.quantile(0.999) <= 4 * lapack.quantile(0.999) + floor


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_eigenvalues(kind: str, dtype: torch.dtype):
    """Ascending, with an absolute error of a few roundings of the largest, as LAPACK's."""
    m = assemble(spectra(kind, 2000)).to(dtype)
    found = sym3.eigvals(sym3.pack(m, dim=0), dim=0).T
    assert bool((found.diff(dim=-1) >= 0).all())
    truth = torch.linalg.eigvalsh(m.double())
    error = (found.double() - truth).abs().amax(-1) / truth[:, 2]
    assert float(error.max()) < 16 * torch.finfo(dtype).eps


def lapack_distance(x: Tensor, y: Tensor) -> Tensor:
    """|log eig(L^-1 Y L^-T)| by LAPACK in the dtype of the planes."""
    factor = torch.linalg.cholesky(sym3.unpack(x)[0])
    half = torch.linalg.solve_triangular(factor, sym3.unpack(y)[0], upper=False)
    inner = torch.linalg.solve_triangular(factor, half.mT, upper=False)
    return torch.linalg.eigvalsh(inner).clamp_min(torch.finfo(x.dtype).tiny).log().norm(dim=-1)


@pytest.mark.parametrize("kind", ["moderate", *KINDS])
def test_float32_distance_is_as_accurate_as_lapack(kind: str):
    """Median and 99th percentile of the relative error, pairs of condition up to 1e4 each."""
    points = [moderate(2000, s) if kind == "moderate" else planes(kind, 2000, s) for s in (1, 3)]
    x, y = (p.float() for p in points)
    truth = lapack_distance(x.double(), y.double())
    mine = (affine_invariant.dist(x, y)[0].double() - truth).abs() / truth
    lapack = (lapack_distance(x, y).double() - truth).abs() / truth
    floor = 8 * torch.finfo(torch.float32).eps
    assert mine.median() <= 4 * lapack.median() + floor
    assert mine.quantile(0.99) <= 4 * lapack.quantile(0.99) + floor
