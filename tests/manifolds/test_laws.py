"""The laws every manifold keeps: one battery over cases.py, float64 unless a law says more."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from mvnet.linalg.smooth import expand_points, point_sum
from mvnet.manifolds import Manifold

from .cases import CASES, IDS, Case, chart, generator, nearby, special_points, unit_tangent

EXACT: dict[str, Any] = dict(rtol=1e-9, atol=1e-11)
# float32: about 1e3 rounding units at condition numbers up to 1e2
SINGLE: dict[str, Any] = dict(rtol=2e-4, atol=2e-5)
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])

pytestmark = pytest.mark.parametrize("case", CASES, ids=IDS)


def draw(case: Case, count: int = 4, dtype=torch.float64):
    """x, y, z: batches of points within distance 1 of each x, and a generator for more."""
    g = generator(len(case.manifold.point_shape) + case.manifold.dim)
    x = case.manifold.random_point((count,), generator=g, dtype=dtype)
    return x, nearby(case.manifold, x, g), nearby(case.manifold, x, g, 0.7), g


@DTYPES
def test_random_points_and_exp_are_on_the_manifold(case, dtype):
    m = case.manifold
    x, y, _, _ = draw(case, dtype=dtype)
    assert x.shape == (4, *m.point_shape) and x.dtype == y.dtype == dtype
    m.check_point(x)
    m.check_point(y, "y")


@DTYPES
def test_exp_inverts_log_and_log_inverts_exp(case, dtype):
    m, tolerance = case.manifold, EXACT if dtype == torch.float64 else SINGLE
    x, y, _, g = draw(case, dtype=dtype)
    v = unit_tangent(m, x, g)
    assert_close(case.same(m.exp(x, m.log(x, y))), case.same(y), **tolerance)
    assert_close(m.log(x, m.exp(x, v)), v, **tolerance)
    assert m.dist(x, y).dtype == dtype


def test_dist_is_the_norm_of_log_symmetric_and_a_metric(case):
    m = case.manifold
    x, y, z, _ = draw(case)
    d = m.dist(x, y)
    assert d.shape == (4,)
    assert_close(d, torch.ones_like(d), **EXACT)
    assert_close(d, m.norm(x, m.log(x, y)), **EXACT)
    assert_close(d, m.dist(y, x), **EXACT)
    assert_close(d.square(), m.squared_dist(x, y), **EXACT)
    assert (m.dist(x, z) + m.dist(z, y) >= d - 1e-12).all()
    assert (m.dist(x, x) < 1e-6).all()


def test_inner_is_a_positive_symmetric_bilinear_form(case):
    m = case.manifold
    x, _, _, g = draw(case)
    u, v, w = (m.random_tangent(x, generator=g) for _ in range(3))
    assert_close(m.inner(x, u, v), m.inner(x, v, u), **EXACT)
    assert_close(m.inner(x, 2 * u - w, v), 2 * m.inner(x, u, v) - m.inner(x, w, v), **EXACT)
    assert (m.inner(x, u, u) > 0).all()


def test_geodesic_midpoint_is_equidistant_and_speed_is_constant(case):
    m = case.manifold
    x, y, _, _ = draw(case)
    middle = m.geodesic(x, y, 0.5)
    assert_close(m.dist(x, middle), m.dist(x, y) / 2, **EXACT)
    assert_close(m.dist(middle, y), m.dist(x, y) / 2, **EXACT)
    t = torch.tensor([[0.0], [0.25], [1.0]], dtype=x.dtype)
    assert_close(m.dist(x, m.geodesic(x, y, t)), t * m.dist(x, y), rtol=1e-9, atol=1e-7)


def test_transport_is_a_linear_isometry_that_carries_the_geodesic(case):
    m = case.manifold
    x, y, _, g = draw(case)
    u, v = (m.random_tangent(x, generator=g) for _ in range(2))
    pu, pv = m.transport(x, y, u), m.transport(x, y, v)
    assert_close(m.to_tangent(y, pu), pu, **EXACT)
    assert_close(m.inner(y, pu, pv), m.inner(x, u, v), **EXACT)
    assert_close(m.transport(x, y, 3 * u - v), 3 * pu - pv, **EXACT)
    assert_close(m.transport(y, x, pu), u, **EXACT)
    assert_close(m.transport(x, y, m.log(x, y)), -m.log(y, x), **EXACT)
    assert_close(m.transport(x, x, u), u, **EXACT)


def test_transport_is_parallel(case):
    """On a symmetric space the reflection through the midpoint turns and transports x's geodesics; on others in the
    limit of small distances (pole ladder)."""
    m = case.manifold
    x, y, _, g = draw(case)
    u = unit_tangent(m, x, g, 0.3)
    reflect = lambda c, p: m.exp(c, -m.log(c, p))  # noqa: E731

    def error(h: float) -> Any:
        end = m.geodesic(x, y, h)
        ladder = -m.log(end, reflect(m.geodesic(x, y, h / 2), m.exp(x, h * u))) / h
        return (ladder - m.transport(x, end, u)).abs().max().item()

    assert error(1.0) < 1e-9 if case.symmetric else math.log2(error(0.2) / error(0.1)) > 1.8


def test_projections_are_idempotent(case):
    m = case.manifold
    x, _, _, g = draw(case)
    ambient = torch.randn(x.shape, generator=g, dtype=x.dtype)
    v = m.to_tangent(x, ambient)
    assert_close(m.to_tangent(x, v), v, **EXACT)
    normal = point_sum((ambient - v) * m.to_tangent(x, ambient.flip(0)), m.point_ndim)
    assert_close(normal, torch.zeros_like(normal), **EXACT)
    p = m.project(3 * ambient)
    m.check_point(p)
    assert_close(m.project(p), p, **EXACT)
    assert_close(m.project(x), x, **EXACT)


def test_tangent_basis_is_ambient_orthonormal_and_tangent(case):
    m = case.manifold
    x, _, _, _ = draw(case)
    basis = m.tangent_basis(x)
    assert basis.shape == (4, m.dim, *m.point_shape)
    flat = basis.reshape(4, m.dim, -1)
    assert_close(flat @ flat.mT, torch.eye(m.dim, dtype=x.dtype).expand(4, -1, -1), **EXACT)
    at = x.unsqueeze(1)
    assert_close(m.to_tangent(at, basis), basis, **EXACT)


def test_riemannian_gradient_represents_the_derivative(case):
    """<grad f, v>_x = d/dt f(exp(x, t v)) for a smooth f; the base class's generic formula agrees."""
    m = case.manifold
    x, _, _, g = draw(case)
    direction = torch.randn(m.point_shape, generator=g, dtype=x.dtype)
    f = lambda p: (p * direction).sum().sin() + p.pow(2).sum()  # noqa: E731
    v = m.random_tangent(x, generator=g)
    t = torch.zeros((), dtype=x.dtype, requires_grad=True)
    leaf = x.clone().requires_grad_()
    (g_ambient,) = torch.autograd.grad(f(leaf), leaf)
    (slope,) = torch.autograd.grad(f(m.exp(x, t * v)), t)
    gradient = m.riemannian_gradient(x, g_ambient)
    assert_close(m.to_tangent(x, gradient), gradient, **EXACT)
    assert_close(m.inner(x, gradient, v).sum(), slope, **EXACT)
    assert_close(Manifold.riemannian_gradient(m, x, g_ambient), gradient, **EXACT)


def test_retraction_agrees_with_exp_to_its_order(case):
    m = case.manifold
    x, _, _, g = draw(case)
    v = unit_tangent(m, x, g)
    m.check_point(m.retract(x, v))
    errors = [m.dist(m.exp(x, h * v), m.retract(x, h * v)).max().item() for h in (0.02, 0.01)]
    if m.retraction_order == math.inf:
        assert max(errors) < 1e-7
    elif max(errors) > 1e-7:
        assert math.log2(errors[0] / errors[1]) > m.retraction_order + 0.8


def test_mean_of_a_pair_is_the_weighted_midpoint(case):
    m = case.manifold
    x, y, _, _ = draw(case)
    pair = torch.stack([x, y])
    same = case.same
    assert_close(same(m.mean(pair, axis=0)), same(m.geodesic(x, y, 0.5)), rtol=1e-7, atol=1e-8)
    weights = torch.tensor([[3.0], [1.0]], dtype=x.dtype)
    assert_close(same(m.mean(pair, weights, axis=0)), same(m.geodesic(x, y, 0.25)), rtol=1e-7, atol=1e-8)


def test_mean_has_zero_gradient_and_does_not_see_order_or_axis(case):
    m = case.manifold
    x, _, _, g = draw(case, 2)
    points = nearby(m, x.unsqueeze(1).expand(2, 7, *m.point_shape).contiguous(), g, 0.8)
    weights = torch.rand(7, generator=g, dtype=x.dtype)
    mean = m.mean(points, weights)
    assert mean.shape == x.shape
    m.check_point(mean, "mean", atol=1e-9)
    v = (expand_points(weights / weights.sum(), m.point_ndim) * m.log(mean.unsqueeze(1), points)).sum(1)
    assert (m.norm(mean, v) < 2e-10).all()
    again = m.mean(points.flip(1).movedim(1, 0), 5 * weights.flip(0).unsqueeze(1), axis=0)
    assert_close(case.same(mean), case.same(again), rtol=1e-8, atol=1e-9)
    assert_close(case.same(m.mean(x.unsqueeze(1))), case.same(x), rtol=1e-8, atol=1e-9)


def test_mean_differentiates(case):
    if not case.closed:
        pytest.skip("made of the derivatives of the logarithm, which the next test checks")
    m = case.manifold
    x, _, _, g = draw(case, 1)
    points = nearby(m, x.expand(3, *m.point_shape).contiguous(), g, 0.5)
    a = torch.zeros(3, m.dim, dtype=x.dtype, requires_grad=True)
    w = torch.tensor([0.2, 0.5, 0.4], dtype=x.dtype, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a, w: case.same(m.mean(chart(m, points, a), w)), (a, w), eps=1e-5, atol=1e-5, rtol=1e-4, fast_mode=True
    )


def test_derivatives_match_finite_differences_also_where_points_coincide(case):
    m = case.manifold
    special = special_points(case)
    x, y, _, g = draw(case, 1)
    bases = [(x[0], y[0]), *((s, s) for s in special), (special[0], nearby(m, special[0], g))]
    for p, q in bases:
        ab = torch.zeros(2, m.dim, dtype=x.dtype, requires_grad=True)
        v = unit_tangent(m, p, g)

        def outputs(ab, p=p, q=q, v=v):
            x, y = chart(m, p, ab[0]), chart(m, q, ab[1])
            found = m.squared_dist(x, y), m.log(x, y), m.transport(x, y, m.to_tangent(x, v))
            return torch.cat([t.reshape(-1) for t in found])

        assert torch.autograd.gradcheck(outputs, ab, atol=2e-5, rtol=1e-4, fast_mode=True)


@DTYPES
def test_gradients_are_finite_everywhere(case, dtype):
    m = case.manifold
    special = special_points(case, dtype)
    x, y, _, _ = draw(case, dtype=dtype)
    pairs = [(x, x), (x, y), *((s, s) for s in special)]
    for p, q in pairs:
        zero = torch.zeros_like(p)
        stay = lambda x, _, zero=zero: m.exp(x, zero)  # noqa: E731
        for function in (m.dist, m.squared_dist, m.log, stay, lambda x, _: m.project(x)):
            leaves = [p.clone().requires_grad_(), q.clone().requires_grad_()]
            out = function(*leaves)
            assert out.isfinite().all()
            for gradient in torch.autograd.grad(out.sum(), leaves, allow_unused=True):
                assert gradient is None or gradient.isfinite().all()
        v = zero.clone().requires_grad_()
        (gradient,) = torch.autograd.grad((m.exp(p, v).sum() + m.norm(p, v).sum()), v)
        assert gradient.isfinite().all()


def test_broadcasting(case):
    m = case.manifold
    x, y, _, _ = draw(case)
    one = x[0]
    grid = m.log(one, y.unsqueeze(1).expand(4, 2, *m.point_shape))
    assert grid.shape == (4, 2, *m.point_shape)
    assert_close(grid[2, 1], m.log(one, y[2]), **EXACT)
    assert m.dist(x.unsqueeze(1), y).shape == (4, 4)
    assert m.transport(one, y, m.log(one, y[1])).shape == y.shape
    assert m.exp(x, torch.zeros_like(one)).shape == x.shape


def test_wrong_shapes_and_points_off_the_manifold_are_named(case):
    m = case.manifold
    x, _, _, _ = draw(case)
    with pytest.raises(ValueError, match=r"^points: "):
        m.check_point(torch.full_like(x, math.nan), "points")
    if m.point_ndim:
        with pytest.raises(ValueError, match=r"^x: found shape"):
            m.check_point(x[..., :-1])
        with pytest.raises(ValueError, match=r"^points: found shape"):
            m.mean(x[..., :-1])
    with pytest.raises(ValueError, match=r"^weights: "):
        m.mean(x, -torch.ones(4, dtype=x.dtype))
    with pytest.raises(ValueError, match=r"^weights: found shape"):
        m.mean(x, torch.ones(3, dtype=x.dtype))
    with pytest.raises(ValueError, match=r"^axis: "):
        m.mean(x, axis=1)
