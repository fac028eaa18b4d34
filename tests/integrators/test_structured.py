"""One battery over every method that asks something of the field: order, gradients, precision, refusals."""

from __future__ import annotations

import math

import pytest
import torch

from mvnet.fields import ConstrainedField, EnergyField, Field, GradientField, SplitField
from mvnet.integrators import METHODS, odeint
from tests.integrators.flows import LIE_GROUP
from tests.integrators.problems import GRADIENT, STRUCTURED, Problem

IMPLICIT = [name for name, method in METHODS.items() if method.kind == "implicit"]


def solve(method: str, problem: Problem, n: int) -> torch.Tensor:
    t = torch.linspace(0, 1, n + 1, dtype=problem.z0.dtype)
    return odeint(problem.field, problem.z0, t, args=(problem.theta,), method=method, save="last")


def test_fields_are_of_the_kind_that_methods_take():
    for name, problem in STRUCTURED.items():
        assert isinstance(problem.field, METHODS[name].takes)


@pytest.mark.parametrize("method", STRUCTURED)
def test_order(method):
    """The error falls as h^order, nominal order within 0.1."""
    problem, n = STRUCTURED[method], STRUCTURED[method].fine
    with torch.no_grad():
        errors = [float((solve(method, problem, k) - problem.solution).norm()) for k in (n, 2 * n)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(METHODS[method].order, abs=0.1)


@pytest.mark.parametrize("method", STRUCTURED)
def test_gradient(method):
    """Against finite differences, with respect to start, parameters and times; of implicit methods by the theorem."""
    problem = STRUCTURED[method]

    def end(z0, theta, t):
        return odeint(problem.field, problem.lift(z0), t, args=(theta,), method=method, save="last")

    times = [0.0, 0.3] if problem is GRADIENT else [0.0, 0.2, 0.3]
    inputs = (problem.z0[:1], problem.theta, torch.tensor(times, dtype=torch.float64))
    inputs = tuple(x.clone().requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(end, inputs, fast_mode=True, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", STRUCTURED)
def test_single_precision(method):
    """Stays single, and within 100 rounding units of the double-precision run."""
    problem = STRUCTURED[method]
    single = Problem(problem.field, problem.lift(problem.z0.float()), problem.theta.float(), problem.velocity)
    with torch.no_grad():
        end = solve(method, single, 2)
        assert end.dtype == torch.float32
        double = solve(method, problem, 2)
    assert (end.double() - double).abs().max() < 100 * torch.finfo(torch.float32).eps * double.abs().max()


@pytest.mark.parametrize("method", [name for name in STRUCTURED if METHODS[name].takes is not Field])
def test_a_field_that_lacks_what_the_method_needs_is_refused(method):
    with pytest.raises(ValueError, match=f"field: found .*function.*{METHODS[method].takes.__name__}"):
        odeint(lambda t, z: z, torch.ones(1, 4), [0.0, 1.0], method=method)


def test_what_methods_ask_for():
    kinds = {EnergyField, SplitField, ConstrainedField, GradientField, Field}
    assert {method.takes for method in METHODS.values()} <= kinds


def test_every_method_is_in_a_battery():
    here = {"lie_group", "implicit", "magnus", "symplectic", "discrete_gradient", "constrained", "proximal"}
    names = {name for name, method in METHODS.items() if method.kind in here}
    assert names == {*LIE_GROUP, *IMPLICIT, *STRUCTURED}
