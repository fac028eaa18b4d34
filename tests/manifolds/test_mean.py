"""The Frechet mean: how fast, how far, how robust, and what its gradient is."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch.testing import assert_close

from mvnet.linalg.smooth import expand_points
from mvnet.manifolds import SPD, Circle, Euclidean, Power, Rotations, Sphere, karcher_flow

from .cases import generator

F64 = torch.float64


def cloud(m, count: int, spread: float, seed: int = 0):
    """count points exp(c, spread * v), v standard normal of norm about 1."""
    g = generator(seed)
    c = m.random_point((), generator=g, dtype=F64)
    v = m.random_tangent(c.expand(count, *c.shape).contiguous(), generator=g)
    return m.exp(c, spread * v / m.dim**0.5)


def test_ten_thousand_tensors_reach_1e_9_in_at_most_12_iterations():
    m = SPD(3)
    result = karcher_flow(m, cloud(m, 10_000, 1.0), tol=1e-9)
    assert result.iterations <= 12
    assert result.gradient_norm <= 1e-9


@pytest.mark.parametrize("m", [SPD(3), SPD(4), Rotations(), Sphere(4)], ids=str)
@pytest.mark.parametrize("spread", [0.01, 0.5, 2.0, 8.0])
def test_widely_spread_points_do_not_make_it_diverge(m, spread):
    result = karcher_flow(m, cloud(m, 200, spread))
    assert result.gradient_norm < 1e-8
    m.check_point(result.mean, atol=1e-9)


def test_the_gradient_norm_is_that_of_the_definition():
    m = SPD(3)
    x = cloud(m, 50, 1.0)
    start = m.initial_mean(x, torch.full((50,), 0.02, dtype=F64))
    result = karcher_flow(m, x, max_iterations=0)
    assert result.iterations == 0
    assert_close(result.mean, start)
    assert_close(result.gradient_norm, m.norm(start, m.log(start, x).mean(0)))


def test_mean_minimises_the_sum_of_squared_distances():
    g = generator(1)
    for m in (SPD(3), Rotations(), Sphere(3), Circle(), SPD(2, "log-euclidean")):
        x = cloud(m, 9, 0.8, seed=3)
        w = torch.rand(9, generator=g, dtype=F64)
        mean = m.mean(x, w)
        cost = lambda p: (w * m.squared_dist(p, x)).sum()  # noqa: B023, E731
        for _ in range(20):
            assert cost(m.exp(mean, 1e-3 * m.random_tangent(mean, generator=g))) > cost(mean)


def test_circle_mean_is_the_global_minimiser():
    m, grid = Circle(), torch.linspace(-math.pi, math.pi, 20_001, dtype=F64)
    for seed in range(10):
        g = generator(seed)
        x, w = m.random_point((6,), generator=g, dtype=F64), torch.rand(6, generator=g, dtype=F64)
        cost = lambda p: (w * m.squared_dist(p.unsqueeze(-1), x)).sum(-1)  # noqa: B023, E731
        mean = m.mean(x, w)
        assert -math.pi < mean <= math.pi
        assert cost(mean) <= cost(grid).min() + 1e-12
    assert_close(m.mean(torch.tensor([math.pi - 0.1, -math.pi + 0.3], dtype=F64)).item(), -math.pi + 0.1)


def test_batches_and_broadcast_weights():
    m = SPD(3)
    x = m.random_point((5, 4), generator=generator(0), dtype=F64)
    together = m.mean(x, axis=0)
    assert together.shape == (4, 3, 3)
    for k in range(4):
        assert_close(together[k], m.mean(x[:, k]), rtol=1e-8, atol=1e-8)
    # three sets of weights over the same five points
    w = torch.rand(3, 5, generator=generator(1), dtype=F64)
    several = m.mean(x[:, 0], w)
    assert several.shape == (3, 3, 3)
    assert_close(several[1], m.mean(x[:, 0], w[1]), rtol=1e-8, atol=1e-8)
    one_hot = torch.eye(5, dtype=F64)
    assert_close(m.mean(x[:, 0], one_hot), x[:, 0], rtol=1e-8, atol=1e-8)
    power = Power(SPD(3), 4)
    assert_close(power.mean(x, w[0]), m.mean(x, w[0].unsqueeze(-1), axis=0), rtol=1e-8, atol=1e-8)


def test_single_precision_converges_without_a_warning():
    g = generator(2)
    for m in (SPD(3), Rotations(), Sphere(3)):
        x = m.random_point((100,), generator=g)
        x = m.exp(x[:1], 0.3 * m.random_tangent(x[:1].expand_as(x).contiguous(), generator=g))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            mean = m.mean(x)
        assert mean.dtype == torch.float32
        assert m.norm(mean, m.log(mean, x).mean(0)) < 1e-4


def test_implicit_gradient_equals_unrolled_iterations():
    """Plain Karcher steps with autograd through all of them give the same derivative."""
    for m in (SPD(3), SPD(2), Rotations(), Sphere(3)):
        x = cloud(m, 5, 0.3, seed=4).requires_grad_()
        w = torch.tensor([0.1, 0.3, 0.2, 0.25, 0.15], dtype=F64, requires_grad=True)
        probe = torch.randn(m.point_shape, generator=generator(5), dtype=F64)
        y = m.initial_mean(x, w / w.sum())
        for _ in range(12):
            y = m.exp(y, (expand_points(w / w.sum(), m.point_ndim) * m.log(y, x)).sum(0))
        unrolled = torch.autograd.grad((probe * y).sum(), (x, w))
        implicit = torch.autograd.grad((probe * m.mean(x, w)).sum(), (x, w))
        # ambient gradients may differ by a normal part: compare along the manifold
        for a, b in (
            (m.to_tangent(x, implicit[0]), m.to_tangent(x, unrolled[0])),
            (implicit[1], unrolled[1]),
        ):
            assert_close(a, b, rtol=1e-6, atol=1e-8)


def test_gradient_is_finite_where_all_points_coincide():
    for m, p in ((SPD(3), torch.eye(3)), (Rotations(), torch.eye(3)), (Sphere(3), torch.eye(3)[0])):
        x = p.to(F64).expand(4, *p.shape).contiguous().requires_grad_()
        (gradient,) = torch.autograd.grad(m.mean(x).sum(), x)
        assert gradient.isfinite().all()
    with pytest.raises(RuntimeError, match="first derivatives only"):
        x = cloud(SPD(3), 3, 0.5).requires_grad_()
        torch.autograd.grad(SPD(3).mean(x).sum(), x, create_graph=True)


def test_a_mean_that_does_not_converge_warns(monkeypatch):
    from mvnet.manifolds import mean as module

    m = SPD(3)
    x = cloud(m, 20, 3.0)
    flow = module.karcher_flow
    monkeypatch.setattr(module, "karcher_flow", lambda *a: flow(*a, max_iterations=1))
    with pytest.warns(RuntimeWarning, match="gradient norm"):
        m.mean(x)


def test_euclidean_and_log_euclidean_means_are_linear_in_their_charts():
    x = torch.randn(6, 2, generator=generator(7), dtype=F64)
    assert_close(Euclidean((2,)).mean(x), x.mean(0))
    m = SPD(3, "log-euclidean")
    p = m.random_point((6,), generator=generator(8), dtype=F64)
    identity = torch.eye(3, dtype=F64)
    assert_close(m.log(identity, m.mean(p)), m.log(identity, p).mean(0))
