"""Affine-invariant log, exp, distance and geodesic in planes: definitions, laws, derivatives."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from mvnet.linalg import affine_invariant as ai
from mvnet.linalg import sym3
from tests.linalg.cases import SPECTRA, by_eigh, planes, random_spd

OPERATIONS = {
    "log": ai.log,
    "exp": lambda x, y: ai.exp(x, y - 1.5 * x),
    "dist": ai.dist,
    "geodesic": lambda x, y: ai.geodesic(x, y, 0.3),
}


def definition(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """log_X(Y) and dist(X, Y) from square roots by eigh, on (..., 3, 3)."""
    root, inverse = by_eigh(x, torch.sqrt), by_eigh(x, torch.rsqrt)
    s = inverse @ y @ inverse
    s = by_eigh((s + s.mT) / 2, torch.log)
    return root @ s @ root, s.norm(dim=(-1, -2))


@pytest.mark.parametrize("first", SPECTRA)
@pytest.mark.parametrize("second", ["generic", "lower pair", "condition 100"])
def test_float32_is_as_accurate_as_the_definition_by_eigh(first: str, second: str) -> None:
    x, y = planes(SPECTRA[first], 1000, torch.float32), planes(SPECTRA[second], 1000, torch.float32, seed=1)
    truth, length = definition(sym3.unpack(x).double(), sym3.unpack(y).double())
    mine = sym3.unpack(ai.log(x, y)), ai.dist(x, y)
    lapack = definition(sym3.unpack(x), sym3.unpack(y))
    for found, other, true in zip(mine, lapack, (truth, length), strict=True):
        e, f = ((t.double() - true).flatten(1 if true.dim() > 1 else 0) for t in (found, other))
        scale = true.flatten(1).norm(dim=1).mean() if true.dim() > 1 else true.mean()
        assert e.square().mean().sqrt() <= 4 * max(f.square().mean().sqrt(), 1e-7 * scale)


def test_laws() -> None:
    x, y = random_spd(50, 1), random_spd(50, 2)
    a = torch.randn(1, 9, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    v = ai.log(x, y)
    torch.testing.assert_close(ai.exp(x, v), y)
    torch.testing.assert_close(ai.geodesic(x, y, 0.25), ai.exp(x, 0.25 * v))
    torch.testing.assert_close(ai.geodesic(x, y, torch.full((50, 1), 0.25).double()), ai.exp(x, 0.25 * v))
    torch.testing.assert_close(ai.geodesic(x, y, 1.0), y)
    torch.testing.assert_close(ai.dist(x, y), ai.dist(y, x))
    moved = sym3.congruence(a, x), sym3.congruence(a, y)
    torch.testing.assert_close(ai.dist(*moved), ai.dist(x, y))
    torch.testing.assert_close(ai.log(*moved), sym3.congruence(a, v))
    torch.testing.assert_close(ai.dist(x[:1], y), ai.dist(x[:1].expand_as(y), y))
    inverted = sym3.inverse(x), sym3.inverse(y)
    torch.testing.assert_close(ai.dist(*inverted), ai.dist(x, y))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_close_points_keep_their_digits(dtype: torch.dtype) -> None:
    x = random_spd(200, 1, dtype)
    assert (ai.dist(x, x) == 0).all()
    assert (ai.log(x, x) == 0).all()
    y = x * (1 + 64 * torch.finfo(dtype).eps)
    if dtype == torch.float32:  # the truth in float64, from the rounded y
        length = ai.dist(x.double(), y.double())
        assert ((ai.dist(x, y) - length).abs() <= 0.02 * length).all()


@pytest.mark.parametrize("name", OPERATIONS)
def test_first_and_second_derivatives(name: str) -> None:
    x, y = random_spd(1, 1).requires_grad_(), random_spd(1, 2).requires_grad_()
    assert gradcheck(OPERATIONS[name], (x, y))
    assert gradgradcheck(OPERATIONS[name], (x, y), fast_mode=True)
    z = (1.7 * x).detach().requires_grad_()  # all eigenvalues of X^-1 Z are equal
    assert gradcheck(OPERATIONS[name], (x, z))
    assert gradgradcheck(OPERATIONS[name], (x, z), fast_mode=True)


def test_time_has_a_derivative() -> None:
    x, y = random_spd(2, 1), random_spd(2, 2)
    t = torch.tensor([[0.3], [0.8]], dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda t: ai.geodesic(x, y, t), (t,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_where_points_meet(dtype: torch.dtype) -> None:
    x = torch.cat([random_spd(3, 1, dtype), sym3.pack(torch.eye(3, dtype=dtype).expand(2, 3, 3), 1)]).requires_grad_()
    y = x.detach().clone().requires_grad_()
    for g in torch.autograd.grad(ai.dist(x, y).sum(), (x, y)):
        assert (g == 0).all()
    for operation in (ai.dist, ai.log, ai.exp, lambda x, y: ai.geodesic(x, y, 0.5)):
        first = torch.autograd.grad(operation(x, y).sum(), (x, y), create_graph=True)
        second = torch.autograd.grad(torch.stack([g.sum() for g in first]).sum(), (x, y), allow_unused=True)
        assert all(g.isfinite().all() for g in (*first, *second) if g is not None)


def test_only_the_wanted_gradient() -> None:
    x, y = random_spd(3, 1), random_spd(3, 2).requires_grad_()
    (g,) = torch.autograd.grad(ai.dist(x, y).square().sum(), y, create_graph=True)
    # half the squared distance has the gradient -log_Y(X) in the metric, hence Y^-1 (-2 log_Y(X)) Y^-1 in components
    expected = -2 * sym3.congruence(sym3.inverse(y), ai.log(y, x))
    torch.testing.assert_close(g, expected)
    assert torch.autograd.grad(g.sum(), y)[0].isfinite().all()


def test_errors_name_the_argument() -> None:
    x = random_spd(3, 1)
    with pytest.raises(ValueError, match=r"x: found shape \(3, 6\), expected 6 component planes at dim 0"):
        ai.dist(x, x, dim=0)
    with pytest.raises(ValueError, match=r"v: found shape .*expected 6 component planes"):
        ai.exp(x, x[:, :5])
    with pytest.raises(ValueError, match="broadcast outside dim 1"):
        ai.log(x, x[:2])
