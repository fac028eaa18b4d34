"""One-sided constants: exact where that is said, above otherwise, and what the paper says of them."""

from __future__ import annotations

import pytest
import torch

from mvnet.errors import MvnetError
from mvnet.fields import DampedSkewField, GradientFlow, LayerField, TwoMatrixField, estimate_one_sided, largest_growth
from mvnet.fields import bounds as bounds_module
from mvnet.fields.bounds import growth_in_time
from mvnet.integrators import step
from tests.fields.cases import DTYPE, TIME, generator, normal


def layer(d: int, seed: int = 0, **options) -> LayerField:
    return LayerField(d, generator=generator(seed), **options).double()


def test_attained():
    """A z + b takes every value, so the supremum over D is that of a Jacobian: slope 1 at 0, slope 0 far out."""
    field = layer(4, intervals=3)
    bound = field.one_sided_bound()
    found = []
    for k, weight in enumerate(field.weight.detach()):
        signs = torch.cartesian_prod(*[torch.tensor([0.0, 40.0], dtype=DTYPE)] * 4)
        points = torch.linalg.solve(weight, signs.T).T
        found.append(estimate_one_sided(field, points, [(k + 0.5) / 3], steps=0))
    torch.testing.assert_close(torch.stack(found).amax(), bound, rtol=1e-12, atol=0)


def test_ascent_climbs():
    field = layer(4)
    points = normal(20, 4, seed=3)
    first, last = (estimate_one_sided(field, points, steps=n) for n in (0, 60))
    assert first < last <= field.one_sided_bound() + 1e-12
    assert last > 0.97 * field.one_sided_bound()


@pytest.mark.parametrize("slopes", [(0.0, 1.0), (0.1, 1.0), (-1.0, 1.0), (0.0, 0.25)])
def test_bounds_for_many_rows(monkeypatch, slopes):
    """Above the exact value, and not by much."""
    for seed in range(5):
        left, right, fixed = (
            normal(3, 4, 8, seed=seed),
            normal(3, 8, 4, seed=seed + 10),
            normal(3, 4, 4, seed=seed + 20),
        )
        for factors in ((left, right, fixed), (None, normal(3, 8, 8, seed=seed), None)):
            exact = largest_growth(factors[0], factors[1], slopes, factors[2])
            with monkeypatch.context() as patch:
                patch.setattr(bounds_module, "EXACT", 0)
                above = largest_growth(factors[0], factors[1], slopes, factors[2])
            assert exact <= above <= 3 * exact.abs()


def test_skew_symmetric_weights():
    """|A|_inf / 2 bounds nu, which is positive: the linear flow is an isometry, the nonlinear one does not contract."""
    for d in (3, 8, 20):
        field = DampedSkewField(d, damping=0.0, generator=generator(d)).double()
        a = field.matrix(field.weight)
        assert 0 < field.one_sided_bound() <= a.abs().sum(-1).amax() / 2 + 1e-12
        linear = DampedSkewField(d, damping=0.0, sigma="identity", generator=generator(d)).double()
        assert linear.one_sided_bound().abs() < 1e-12


def test_damping_need_not_help():
    """With tanh, whose slope vanishes far out, nu >= 0 for every gamma; the linear field has nu = -gamma."""
    for damping in (0.0, 1.0, 10.0):
        field = DampedSkewField(3, damping=damping, generator=generator(0)).double()
        assert field.one_sided_bound() >= 0
        linear = DampedSkewField(3, damping=damping, sigma="identity", generator=generator(0)).double()
        torch.testing.assert_close(linear.one_sided_bound(), torch.tensor(-damping, dtype=DTYPE))
    with pytest.raises(MvnetError, match=r"damping: found -1\.0, expected a number of at least 0"):
        DampedSkewField(3, damping=-1.0)


def test_lipschitz_bound():
    """Paper eq. (13)"""
    field = layer(3, intervals=4)
    jacobians = torch.func.vmap(torch.func.jacrev(lambda z: field(TIME, z)))(normal(200, 3, seed=1))
    assert torch.linalg.matrix_norm(jacobians, 2).amax() <= field.lipschitz_bound()


@pytest.mark.parametrize("sigma", ["tanh", "leaky_relu", "identity"])
@pytest.mark.parametrize("hidden", [2, 3, 6])
def test_theorem_2_1(sigma, hidden):
    """-mu_*^2 <= nu <= 0, both ends attained by linear functions, and mu_* = 0 with fewer rows than columns."""
    field = GradientFlow(3, hidden=hidden, intervals=3, sigma=sigma, generator=generator(0)).double()
    bound, least = field.one_sided_bound(), field.least_one_sided_bound()
    nu = estimate_one_sided(field, 3 * normal(50, 3, seed=1), [0.1, 0.5, 0.9], steps=20)
    assert least - 1e-12 <= nu <= bound + 1e-12 <= 1e-12
    if sigma == "identity":
        torch.testing.assert_close(torch.stack((nu, bound)), least.expand(2), rtol=1e-10, atol=1e-10)
    if hidden == 2:
        assert least == 0


def test_cocoercivity_and_the_step_bound():
    """Euler's step contracts up to the bound; at twice the bound it does not, though nu <= 0."""
    field = GradientFlow(3, hidden=5, intervals=4, generator=generator(0)).double()
    x, y = normal(500, 3, seed=1), normal(500, 3, seed=2)
    h, beta = field.step_bound(), field.cocoercivity()
    torch.testing.assert_close(h, 2 * beta)
    for k in range(4):
        t = torch.tensor((k + 0.5) / 4, dtype=DTYPE)
        for scale in (1e-3, 1.0, 100.0):
            z = x + scale * y
            difference = field(t, z) - field(t, x)
            inner = (difference * (z - x)).sum(-1)
            assert (inner <= -beta * difference.square().sum(-1) + 1e-12 * scale).all()
            after = step("lie_euler", field, t, h, z) - step("lie_euler", field, t, h, x)
            assert (after.norm(dim=-1) <= (z - x).norm(dim=-1) * (1 + 1e-12)).all()
    # where all slopes are 1, along the largest singular vector
    k = int(torch.linalg.matrix_norm(field.potential.weight, 2).argmax())
    linear = GradientFlow(3, hidden=5, intervals=4, sigma="identity", generator=generator(0)).double()
    v = torch.linalg.svd(field.potential.weight[k]).Vh[0]
    t, zero = torch.tensor((k + 0.5) / 4, dtype=DTYPE), torch.zeros(3, dtype=DTYPE)
    ratios = [
        (step("lie_euler", linear, t, c * h, v) - step("lie_euler", linear, t, c * h, zero)).norm() for c in (1, 2)
    ]
    torch.testing.assert_close(torch.stack(ratios), torch.tensor([1.0, 3.0], dtype=DTYPE))


def test_the_inclusion():
    """The resolvent is non-expansive; with A1 = A2^T and a step up to the bound, so is the layer of the source."""
    flow = GradientFlow(3, sigma="relu", generator=generator(0)).double()
    field = TwoMatrixField(3, generator=generator(0)).double()
    with torch.no_grad():
        field.inner_weight.copy_(flow.potential.weight)
        field.outer_weight.copy_(flow.potential.weight.mT)
        field.inner_bias.copy_(flow.potential.bias)
    assert field.one_sided_bound() <= 1e-12
    x, y = normal(500, 3, seed=1), normal(500, 3, seed=2)
    torch.testing.assert_close(field(TIME, x), flow(TIME, x))
    h = flow.step_bound()
    after = field.resolvent(x + h * field(TIME, x)) - field.resolvent(y + h * field(TIME, y))
    assert (after.norm(dim=-1) <= (x - y).norm(dim=-1) * (1 + 1e-12)).all()
    positive = TwoMatrixField(3, positive=True, generator=generator(0))
    assert (positive.outer_matrix() > 0).all()


def test_between_two_values():
    """L(t) D R(t) with both factors joined by lines is not convex in t: the mixed product counts."""
    left, right = normal(2, 3, 4, seed=0), normal(2, 4, 3, seed=1)
    bound = growth_in_time(left, right, (0.0, 1.0), linear=True)
    for s in torch.linspace(0, 1, 21, dtype=DTYPE):
        between = largest_growth((1 - s) * left[0] + s * left[1], (1 - s) * right[0] + s * right[1], (0.0, 1.0))
        assert between <= bound + 1e-12
