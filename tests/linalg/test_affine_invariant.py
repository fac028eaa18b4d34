"""Affine-invariant geometry on planes: textbook formulas through eigendecompositions as the oracle."""

import pytest
import torch
from torch import Tensor

from mvnet.linalg import affine_invariant, gl3, sym3
from tests.linalg.matrices import KINDS, generator, moderate, planes


def spectral(m: Tensor, function) -> Tensor:
    w, v = torch.linalg.eigh(m)
    return (v * function(w).unsqueeze(-2)) @ v.mT


def textbook_log(x: Tensor, y: Tensor) -> Tensor:
    """X^1/2 log(X^-1/2 Y X^-1/2) X^1/2"""
    root, inverse = spectral(x, torch.sqrt), spectral(x, torch.rsqrt)
    inner = inverse @ y @ inverse
    return root @ spectral((inner + inner.mT) / 2, torch.log) @ root


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    return moderate(50, 1), moderate(50, 2)


def test_log_and_distance_equal_the_textbook(pair):
    x, y = pair
    v = affine_invariant.log(x, y)
    mx, my = sym3.unpack(x)[0], sym3.unpack(y)[0]
    torch.testing.assert_close(sym3.unpack(v)[0], textbook_log(mx, my), rtol=1e-9, atol=1e-11)
    inverse = spectral(mx, torch.rsqrt)
    expected = torch.linalg.eigvalsh(inverse @ my @ inverse).log().norm(dim=-1)
    torch.testing.assert_close(affine_invariant.dist(x, y)[0], expected)


def test_exp_inverts_log_and_geodesic_ends_where_it_should(pair):
    x, y = pair
    torch.testing.assert_close(affine_invariant.exp(x, affine_invariant.log(x, y)), y)
    torch.testing.assert_close(affine_invariant.geodesic(x, y, 0.0), x)
    torch.testing.assert_close(affine_invariant.geodesic(x, y, 1.0), y)
    middle = affine_invariant.geodesic(x, y, 0.5)
    torch.testing.assert_close(affine_invariant.dist(x, middle), affine_invariant.dist(x, y) / 2)


def test_distance_is_invariant_under_congruence_and_inversion(pair):
    x, y = pair
    a = gl3.from_matrix(torch.randn(50, 3, 3, generator=generator(3), dtype=torch.float64), dim=0)[None]
    expected = affine_invariant.dist(x, y)
    moved = affine_invariant.dist(sym3.congruence(a, x), sym3.congruence(a, y))
    torch.testing.assert_close(moved, expected, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(affine_invariant.dist(sym3.inverse(x), sym3.inverse(y)), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distance_and_gradient_at_coincident_points(kind: str, dtype: torch.dtype):
    x = planes(kind, 32).to(dtype).requires_grad_()
    distance = affine_invariant.dist(x, x.detach().clone())
    assert float(distance.detach().abs().max()) == 0
    (gradient,) = torch.autograd.grad(distance.sum(), x)
    assert bool(gradient.isfinite().all())
    (gradient,) = torch.autograd.grad(affine_invariant.dist(x, x.detach().clone()).square().sum(), x)
    assert float(gradient.abs().max()) == 0


@pytest.mark.parametrize("function", [affine_invariant.dist, affine_invariant.log, affine_invariant.exp])
def test_derivatives(function):
    x, y = moderate(2, 4).requires_grad_(), moderate(2, 5).requires_grad_()
    assert torch.autograd.gradcheck(function, (x, y))
    assert torch.autograd.gradgradcheck(function, (x, y))


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


def test_one_point_broadcasts_against_many(pair):
    x, y = pair
    one = affine_invariant.dist(x[..., :1], y)
    many = affine_invariant.dist(x[..., :1].expand_as(y), y)
    torch.testing.assert_close(one, many)
