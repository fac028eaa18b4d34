"""Inverses by iteration and how exact they say they are; estimates of log-determinants; their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mvnet.errors import MvnetError
from mvnet.invertible import Exact, Residual, Roulette, Series, attach_gradient, contraction, solve

from .cases import draws

METHODS = ("banach", "anderson")


def linear(c: float, n: int = 16, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """A symmetric matrix of norm c with eigenvalues of both signs: iterations converge at the rate c, no faster."""
    q = torch.linalg.qr(torch.randn(n, n, generator=draws(seed), dtype=torch.float64))[0]
    values = torch.linspace(-c, c, n, dtype=torch.float64)
    return (q @ torch.diag(values) @ q.mT).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("c", [0.7, 0.9, 0.97, 0.99])
def test_error_of_the_inverse_is_within_its_bound(c, method, dtype):
    """For the worst linear maps: error <= max(tolerance, 16 eps max|x| / (1 - c)), and the reported bound is one."""
    eps = torch.finfo(dtype).eps
    for sign in (1, -1):
        a = sign * linear(c)
        x = torch.randn(20, 16, generator=draws(1), dtype=torch.float64)
        z = (x @ (torch.eye(16) + a)).to(dtype)
        truth = torch.linalg.solve(torch.eye(16) + a.to(dtype).double(), z.double(), left=False)
        matrix = a.to(dtype)
        for tolerance in (1e-3, 1e-6):
            found = solve(lambda v, m=matrix, z=z: z - v @ m, z, c, tolerance, method)
            error = (found.x.double() - truth).abs().amax(1)
            rounding = 16 * eps * float(x.abs().max()) / (1 - c)
            assert float(error.max()) <= max(tolerance, rounding)
            assert bool((error <= found.bound).all())


def test_anderson_needs_fewer_evaluations():
    a, z = linear(0.9), torch.randn(20, 16, generator=draws(), dtype=torch.float64)
    counts = {m: solve(lambda v: z - v @ a, z, 0.9, 1e-6, m).evaluations for m in METHODS}
    assert counts["anderson"] < 0.5 * counts["banach"]


def test_iteration_ends_where_rounding_does():
    """A tolerance below rounding: float32 comes to rest and says so."""
    a, z = linear(0.9, dtype=torch.float32), torch.randn(4, 16, generator=draws())
    for method in METHODS:
        found = solve(lambda v: z - v @ a, z, 0.9, 1e-12, method)
        assert found.evaluations < 400 and not bool(found.reached.any())
        assert float(found.bound.max()) < 2e-4
    start = solve(lambda v: z - v @ a, found.x, 0.9, 1e-4)
    assert start.evaluations <= 2, "a good start is used"


def test_arguments_of_the_iteration():
    with pytest.raises(MvnetError, match="contraction: found 1"):
        solve(lambda v: v, torch.zeros(1, 2), 1.0)
    with pytest.raises(MvnetError, match="method, tolerance: found 'newton'"):
        solve(lambda v: v, torch.zeros(1, 2), 0.5, method="newton")
    with pytest.raises(MvnetError, match="contraction: found a network of unknown"):
        Residual(nn.LSTM(2, 2))
    with pytest.raises(MvnetError, match="contraction: found"):
        Residual(nn.Linear(2, 2), contraction=1.2)


def test_an_inverse_that_stalls_is_an_error():
    """The network is no contraction, whatever was said of it."""
    layer = Residual(nn.Linear(2, 2), contraction=0.5, method="banach")
    with torch.no_grad():
        layer.network.weight.copy_(2 * torch.eye(2))  # pyright: ignore
    with pytest.raises(MvnetError, match=r"z: found an inverse that stalls at residual .*, bound .*, expected"):
        layer.inverse(torch.ones(1, 2))


def test_gradients_reach_what_the_map_closes_over():
    """x = a sin x + t: derivatives by a parameter and by a tensor of the closure, which is not dropped."""
    a = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    closed = torch.tensor([[0.7]], dtype=torch.float64, requires_grad=True)

    def function(a, closed):
        def phi(x):
            return a * torch.sin(x) + closed

        point = solve(phi, torch.zeros(1, 1, dtype=torch.float64), 0.5, 1e-14).x
        return attach_gradient(phi, point, 0.5, 1e-14)

    assert torch.autograd.gradcheck(function, (a, closed))


def estimates(estimator, a: torch.Tensor, calls: int, batch: int) -> torch.Tensor:
    """Draws of log det(1 + a); the samples of a batch have signs of their own."""
    x = torch.zeros(batch, len(a), dtype=torch.float64)
    with torch.no_grad():
        return torch.cat([estimator(lambda v: v @ a, x)[1] for _ in range(calls)])


def test_roulette_is_unbiased_where_the_series_is_not():
    """c .9, d 64: within 3 standard errors of slogdet, deviation at most 1.3 times that of 25 terms, <= 12 products."""
    a = linear(0.9, 64)
    truth = float(torch.linalg.slogdet(torch.eye(64) + a).logabsdet)
    generator = draws(5)
    roulette = Roulette(0.9, generator=generator)
    assert roulette.mean_products <= 12
    found, reference = estimates(roulette, a, 1000, 1), estimates(Series(25, generator), a, 1, 4000)
    assert abs(float(found.mean()) - truth) < 3 * float(found.std()) / math.sqrt(1000)
    assert float(found.std()) < 1.3 * float(reference.std())
    few = estimates(Series(5, generator), a, 1, 4000)
    assert abs(float(few.mean()) - truth) > 10 * float(few.std()) / math.sqrt(4000)


def test_series_for_an_error():
    a = linear(0.8, 6)
    truth = float(torch.linalg.slogdet(torch.eye(6) + a).logabsdet)
    series = Series.for_error(0.8, 6, 1e-4)
    every = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 6)
    powers = sum(((-1) ** (k + 1) / k * torch.linalg.matrix_power(a, k) for k in range(1, series.terms + 1)), 0 * a)
    assert float(torch.einsum("bi,ij,bj->b", every, powers, every).mean()) == pytest.approx(truth, abs=1e-4)
    with pytest.raises(MvnetError, match="rate: found 0"):
        Roulette(0.9, rate=0.5)


def test_gradient_of_the_estimate():
    """Mean over all sign vectors of the estimated gradient against that of the exact determinant."""
    torch.manual_seed(0)
    network = contraction(3, 6, 2, 0.5, "sandwich").double()
    x = torch.randn(4, 3, generator=draws(), dtype=torch.float64).requires_grad_()
    leaves = [x, *network.parameters()]
    exact = torch.autograd.grad(Exact()(network, x)[1].sum(), leaves, allow_unused=True)
    exact = tuple(torch.zeros_like(p) if g is None else g for p, g in zip(leaves, exact, strict=True))
    many = x.detach().repeat(1000, 1).requires_grad_()
    drawn = torch.autograd.grad(
        Series(30, draws(1))(network, many)[1].sum() / 1000, [many, *leaves[1:]], allow_unused=True
    )
    total = [torch.zeros_like(p) if g is None else g for p, g in zip(leaves, drawn, strict=True)]
    total[0] = drawn[0].view(1000, 4, 3).sum(0)
    for a, b in zip(exact, total, strict=True):
        assert float((a - b).norm()) < 0.15 * float(a.norm()) + 1e-3


@pytest.mark.parametrize("estimator", [Exact(), Series(20), Roulette(0.7)], ids=lambda e: type(e).__name__)
def test_estimators_without_gradients_keep_nothing(estimator):
    network = contraction(3, 6, 1, 0.7, "sandwich")
    x = torch.randn(2, 3, generator=draws())
    with torch.no_grad():
        value, change = estimator(network, x)
    assert not value.requires_grad and not change.requires_grad and change.shape == (2,)
    torch.testing.assert_close(value, network(x).detach())


def test_a_deep_residual_flow_inverts():
    torch.manual_seed(0)
    layers = [Residual(contraction(2, 16, 2, 0.9, "frequency")) for _ in range(4)]
    x = torch.randn(10, 2, generator=draws())
    z = x
    for layer in layers:
        z = layer(z)[0]
    for layer in reversed(layers):
        z = layer.inverse(z)[0]
    assert float((z - x).detach().abs().max()) < 1e-4
