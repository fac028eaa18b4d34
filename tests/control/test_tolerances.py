"""Tolerances follow the gradient: its error stays below kappa of it, training converges, coarse solves come first."""

import pytest
import torch

from mvnet.control import ToleranceControl, l2
from mvnet.errors import MvnetError
from tests.control.problems import F64, half_square, layers, samples

SCALES = torch.logspace(0, 1, 5, dtype=F64)


class Quadratic:
    """E = sum s x^2 / 2, with a gradient that is wrong by a vector of known length, 3 times the tolerance."""

    def __init__(self):
        self.x = torch.nn.Parameter(torch.ones(5, dtype=F64))
        self.generator = torch.Generator().manual_seed(0)
        self.tolerances: list[float] = []

    def __call__(self, tolerance):
        error = torch.randn(5, dtype=F64, generator=self.generator)
        self.x.grad = SCALES * self.x.detach() + 3 * tolerance * error / error.norm()
        self.tolerances.append(tolerance)
        return (SCALES * self.x.detach().square()).sum() / 2


def test_descent_with_controlled_errors_converges_like_the_exact_one():
    problem = Quadratic()
    control = ToleranceControl([problem.x], 1e-1, smallest=1e-14)
    optimizer = torch.optim.SGD([problem.x], 0.1)
    for _ in range(150):
        control(problem)
        exact = SCALES * problem.x.detach()
        assert problem.x.grad is not None
        assert (problem.x.grad - exact).norm() <= 0.25 * exact.norm() + 1e-13  # kappa, up to the estimate's own error
        optimizer.step()
    assert float(problem.x.detach().norm()) < 3e-6  # .9^150 = 1.4e-7 without errors
    assert problem.tolerances[0] == 0.1
    assert problem.tolerances[-1] < 1e-6
    assert control.evaluations == len(problem.tolerances) < 250


def test_a_fixed_tolerance_stalls():
    problem = Quadratic()
    optimizer = torch.optim.SGD([problem.x], 0.1)
    for _ in range(150):
        problem(1e-1)
        optimizer.step()
    assert float(problem.x.detach().norm()) > 1e-2


def test_the_smallest_tolerance_is_a_floor():
    problem = Quadratic()
    control = ToleranceControl([problem.x], 1e-2, smallest=1e-4)
    with torch.no_grad():
        problem.x.zero_()
    for _ in range(12):
        control(problem)
    assert min(problem.tolerances) == control.tolerance == 1e-4


def test_tolerances_of_a_flow():
    """Explicit Euler with 1 / tolerance steps: coarse at first, fine where the gradient is small."""
    field, (x, y) = layers(1, 1.0), samples()
    loss, counts, t = half_square(y), [], torch.zeros((), dtype=F64)

    def closure(tolerance):
        steps = round(1 / tolerance)
        counts.append(steps)
        field.zero_grad()
        z = x
        for _ in range(steps):
            z = z + field(t, z) / steps
        value = loss(z) + 0.05 * l2([field.weight, field.bias])
        value.backward()
        return value

    control = ToleranceControl(field.parameters(), 0.1, smallest=1e-3, largest=0.25, kappa=0.3)
    optimizer = torch.optim.SGD(field.parameters(), 0.5)
    values = []
    for _ in range(60):
        values.append(float(control(closure)))
        optimizer.step()
    assert values[-1] < values[0] - 0.05
    assert counts[0] == 10
    assert counts[-1] > 30


def test_bad_arguments_are_named():
    x = [torch.zeros(2, requires_grad=True)]
    with pytest.raises(MvnetError, match="kappa: found 1"):
        ToleranceControl(x, kappa=1.0)
    with pytest.raises(MvnetError, match="start: found 1"):
        ToleranceControl(x, 1.0)
    with pytest.raises(MvnetError, match="check_every: found 0"):
        ToleranceControl(x, check_every=0)
