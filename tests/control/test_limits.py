"""Nested grids: prolongation keeps functions of time, minima satisfy their conditions, rates are observed."""

import pytest
import torch

from mvnet.control import TotalVariation, h1, l1, l2, total_variation
from mvnet.control.limits import deep_limit, l2_distance, prolong, proximal_minimum, rates, smooth_minimum
from mvnet.errors import MvnetError
from mvnet.integrators import odeint
from mvnet.optim import L1
from tests.control.problems import F64, half_square, layers, samples


def tracking(theta):
    """min over theta of (K / T) sum |theta_{k+1} - theta_k|^2 ... + int |theta - exp|^2, a convex problem on [0, 1]."""
    (x,) = theta
    t = torch.arange(len(x), dtype=F64) / len(x)
    return l2([x - (2 * t).exp()]) + 0.05 * h1(x)


def test_prolongation_keeps_the_function_of_time():
    field, (z, _) = layers(5, 2.0), samples()
    finer = layers(15, 2.0)
    with torch.no_grad():
        for fine, coarse in zip(finer.parameters(), field.parameters(), strict=True):
            fine.copy_(prolong(coarse, 3))
    for t in torch.linspace(0, 1.99, 40, dtype=F64):
        torch.testing.assert_close(finer(t, z), field(t, z))
    times = finer.grid.times(dtype=F64)
    torch.testing.assert_close(*(odeint(f, z, times, method="lie_euler").detach() for f in (finer, field)))
    assert float(l2_distance(list(field.parameters()), list(finer.parameters()), 2.0).detach()) == 0


def test_smooth_prolongation_joins_values_by_lines():
    found = prolong(torch.tensor([[0.0], [3.0], [9.0]]), 3, smooth=True)
    assert found.flatten().tolist() == [0, 1, 2, 3, 5, 7, 9, 9, 9]


def test_distance_of_functions_on_nested_grids():
    """theta = 1 on [0, 2] against theta = t at left ends: 2 (1 + 1/4 + 0 + 1/4) / 4."""
    found = l2_distance([torch.ones(2)], [torch.tensor([0.0, 0.5, 1.0, 1.5])], 2.0)
    assert float(found) == pytest.approx((2 * 1.5 / 4) ** 0.5)


def test_rates_of_a_known_sequence():
    assert rates([5, 10, 20, 60], [8.0, 2.0, 2.0 / 9]) == pytest.approx([2, 3.1699], abs=1e-4)


def test_convex_problem_converges_with_rate_one():
    limit = deep_limit(lambda theta: smooth_minimum(tracking, theta), [torch.zeros(10, dtype=F64)], [10, 20, 40, 80])
    assert max(m.residual for m in limit.minima) < 1e-6
    assert limit.value_rates[-1] == pytest.approx(1, abs=0.1)
    assert limit.parameter_rates[-1] == pytest.approx(1, abs=0.1)


def test_proximal_minimum_with_total_variation():
    """0 in grad E + strength * subdifferential: the gradient summed over time is a dual certificate."""
    x = torch.randn(20, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
    weights = torch.linspace(0.2, 2, 20, dtype=F64)[:, None]

    def objective(theta):
        return (weights * (theta[0] - x).square()).sum() / 2

    found = proximal_minimum(
        objective, [torch.zeros_like(x)], TotalVariation(0.3), lambda theta: 0.3 * total_variation(theta)
    )
    z = found.theta[0]
    u, jumps = (weights * (z - x)).cumsum(0), z.diff(dim=0)
    assert found.residual < 1e-9
    assert float(u[-1].abs().max()) < 1e-8
    assert float(u.abs().max()) < 0.3 + 1e-8
    assert float((u[:-1] * jumps - 0.3 * jumps.abs()).abs().max()) < 1e-8
    assert found.value == pytest.approx(float(objective([z])) + 0.3 * float(total_variation(z)), rel=1e-14)


def test_proximal_minimum_of_a_network_falls_and_is_sparse():
    (x, y), (weight, bias) = samples(), (p.detach() for p in layers(5, 2.0).parameters())

    def data(theta):
        a, b = theta
        z = x
        for k in range(len(a)):
            z = z + 2 / len(a) * (z @ a[k].T + b[k]).tanh()
        return half_square(y)(z)

    def penalty(theta):
        return 0.02 * (l1(theta[:1], 5) + l1(theta[1:], 5))

    found = proximal_minimum(data, [weight, bias], L1(0.02), penalty, iterations=300)
    assert found.value < float(data([weight, bias]) + penalty([weight, bias]))
    assert (found.theta[0] == 0).any()
    assert found.residual < 1e-3


def test_bad_grids_are_named():
    with pytest.raises(MvnetError, match=r"counts: found \[4, 6\]"):
        deep_limit(lambda theta: smooth_minimum(tracking, theta), [torch.zeros(4)], [4, 6])
    with pytest.raises(MvnetError, match=r"start: found \[3\] layers, expected 4"):
        deep_limit(lambda theta: smooth_minimum(tracking, theta), [torch.zeros(3)], [4, 8])
    with pytest.raises(MvnetError, match="factor: found 0"):
        prolong(torch.zeros(4), 0)
