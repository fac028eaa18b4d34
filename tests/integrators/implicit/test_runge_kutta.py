"""Implicit Runge-Kutta: order on a curved problem, the theorem's gradient, and what each keeps."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from mvnet.fields import ActingField, GradientFlow
from mvnet.integrators import METHODS, odeint, step
from mvnet.integrators.implicit.anderson import Anderson
from mvnet.integrators.implicit.newton import Newton
from mvnet.integrators.implicit.runge_kutta import ImplicitRungeKutta
from tests.integrators.flows import FLOWS
from tests.integrators.problems import HAMILTONIAN, SPHERE, normal

IMPLICIT = {name: method for name, method in METHODS.items() if isinstance(method, ImplicitRungeKutta)}
ROTATIONS, EUCLIDEAN = FLOWS["rotations"], FLOWS["euclidean"]


def one_step(method: ImplicitRungeKutta, field, z: Tensor, h: float, t: float = 0.0) -> Tensor:
    acting = ActingField.of(field, z)
    return method.step(
        acting, torch.tensor(t, dtype=z.dtype.to_real()), torch.tensor(h, dtype=z.dtype.to_real()), z, ()
    ).z


@pytest.mark.parametrize("method", IMPLICIT)
@torch.no_grad()
def test_order(method):
    """On rotations, nominal order within 0.1."""
    n = 8 if IMPLICIT[method].order >= 5 else 16
    times = [torch.linspace(0, 1, k + 1, dtype=torch.float64) for k in (n, 2 * n)]
    ends = [odeint(ROTATIONS.xi, ROTATIONS.z0, t, action=ROTATIONS.action, method=method, save="last") for t in times]
    errors = [float((end - ROTATIONS.solution).norm()) for end in ends]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(IMPLICIT[method].order, abs=0.1)
    assert ROTATIONS.defect(ends[0]) < 1e-14


@pytest.mark.parametrize("method", IMPLICIT)
def test_gradient(method):
    """Against finite differences, with respect to start, parameters and times."""

    def end(z0, theta, t):
        field = ROTATIONS.field
        return odeint(lambda s, z: field(s, z, theta), z0, t, action=ROTATIONS.action, method=method, save="last")

    inputs = (ROTATIONS.z0[:1], ROTATIONS.theta, torch.tensor([0.0, 0.3, 0.5], dtype=torch.float64))
    inputs = tuple(x.clone().requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(end, inputs, fast_mode=True, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("solver", [Newton(), Newton(dense=0), Anderson()], ids=["dense", "krylov", "anderson"])
def test_the_gradient_is_that_of_the_iteration_written_out(solver):
    """Sixty fixed-point iterations recorded by autograd give it too, to rounding."""
    z0, theta = EUCLIDEAN.z0, EUCLIDEAN.theta.clone().requires_grad_()
    method, h = replace(IMPLICIT["gauss4"], solver=solver), 0.1
    tableau = method.tableau
    end = one_step(method, lambda t, z: EUCLIDEAN.field(t, z, theta), z0, h)
    k = [torch.zeros_like(z0)] * 2
    for _ in range(60):
        stages = [z0 + sum(a * x for a, x in zip(row, k, strict=True)) for row in tableau.a]
        times = [torch.tensor(c * h, dtype=torch.float64) for c in tableau.c]
        k = [h * EUCLIDEAN.field(t, y, theta) for t, y in zip(times, stages, strict=True)]
    written = z0 + sum(b * x for b, x in zip(tableau.b, k, strict=True))
    torch.testing.assert_close(end, written, rtol=1e-14, atol=1e-14)
    weights = normal(*z0.shape, seed=1)
    ours, theirs = (torch.autograd.grad((weights * x).sum(), theta)[0] for x in (end, written))
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-14)


def test_a_second_derivative_is_refused():
    theta = EUCLIDEAN.theta.clone().requires_grad_()
    end = step("implicit_midpoint", lambda t, z: EUCLIDEAN.field(t, z, theta), 0.0, 0.1, EUCLIDEAN.z0)
    with pytest.raises(ValueError, match="create_graph: found True, expected False"):
        torch.autograd.grad(end.sum(), theta, create_graph=True)


@pytest.mark.parametrize("method", IMPLICIT)
@torch.no_grad()
def test_distances_do_not_grow_at_any_step_size(method):
    """B-stability on -A^T sigma(A z + b), up to what the equations are solved to."""
    field = GradientFlow(4, hidden=6, scale=3.0, generator=torch.Generator().manual_seed(0)).double()
    z = 2 * normal(2, 8, 4, seed=2)
    for h in (0.05, 1.0, 50.0):
        x, y = step(method, field, 0.0, h, z)
        assert ((x - y).norm(dim=-1) / (z[0] - z[1]).norm(dim=-1)).max() <= 1 + 1e-12


@pytest.mark.parametrize("method", [name for name, m in IMPLICIT.items() if "symplectic" in m.preserves])
def test_quadratic_invariants_and_the_symplectic_form_are_kept(method):
    with torch.no_grad():
        m = step(method, lambda t, z: SPHERE.field(t, z, SPHERE.theta), 0.0, 0.7, SPHERE.z0)
    torch.testing.assert_close(m.norm(dim=-1), SPHERE.z0.norm(dim=-1), rtol=1e-14, atol=0)

    z = HAMILTONIAN.z0[0].clone().requires_grad_()
    end = step(method, lambda t, z: HAMILTONIAN.field(t, z, HAMILTONIAN.theta), 0.0, 0.4, z)
    m = torch.stack([torch.autograd.grad(x, z, retain_graph=True)[0] for x in end])
    j = torch.kron(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.eye(2)).double()
    torch.testing.assert_close(m.mT @ j @ m, j, rtol=0, atol=1e-13)


@pytest.mark.parametrize("method", [name for name, m in IMPLICIT.items() if "reversible" in m.preserves])
@torch.no_grad()
def test_symmetric_methods_come_back(method):
    there = step(method, EUCLIDEAN.xi, 0.2, 0.5, EUCLIDEAN.z0)
    torch.testing.assert_close(step(method, EUCLIDEAN.xi, 0.7, -0.5, there), EUCLIDEAN.z0, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("method", ["radau_iia5", "lobatto_iiic4"])
@torch.no_grad()
def test_stiff_equations(method):
    """Van der Pol, mu = 50, against scipy's Radau; explicit RK4 has no number to give on these steps."""

    def field(t, z):
        x, y = z.unbind(-1)
        return torch.stack((y, 50 * (1 - x.square()) * y - x), -1)

    z0 = torch.tensor([2.0, 0.0], dtype=torch.float64)
    t = torch.linspace(0, 20, 81, dtype=torch.float64)
    solved = solve_ivp(
        lambda t, y: field(t, torch.from_numpy(y)).numpy(), (0, 20), z0.numpy(), method="Radau", rtol=1e-10, atol=1e-12
    )
    end = odeint(field, z0, t, method=method, save="last")
    torch.testing.assert_close(end, torch.from_numpy(solved.y[:, -1]), rtol=2e-4, atol=1e-6)
    assert not odeint(field, z0, t, method="rkmk4", save="last").abs().max() < 1e3


@torch.no_grad()
def test_large_states_by_krylov_spaces():
    """The heat equation on 300 points: what the dense solve gives, and what a matrix exponential nearly gives."""
    z0 = torch.linspace(0, math.pi, 302, dtype=torch.float64)[1:-1].sin()

    ends = [
        one_step(replace(IMPLICIT["gauss4"], solver=Newton(dense=n)), lambda t, z: _laplace(z), z0, 0.1)
        for n in (0, 1000)
    ]
    torch.testing.assert_close(*ends, rtol=1e-11, atol=1e-12)
    decay = 4 * (301 / math.pi) ** 2 * math.sin(math.pi / 602) ** 2
    torch.testing.assert_close(ends[0], math.exp(-0.1 * decay) * z0, rtol=1e-6, atol=0)


def _laplace(z: Tensor) -> Tensor:
    padded = torch.nn.functional.pad(z, (1, 1))
    return (padded[2:] - 2 * z + padded[:-2]) * (301 / math.pi) ** 2


@torch.no_grad()
def test_single_precision_and_complex_states():
    single = step("gauss4", ROTATIONS.xi, 0.0, 0.2, ROTATIONS.z0, ROTATIONS.action)
    end = step(
        "gauss4",
        lambda t, z: ROTATIONS.field(t, z, ROTATIONS.theta.float()),
        0.0,
        0.2,
        ROTATIONS.z0.float(),
        ROTATIONS.action,
    )
    assert end.dtype == torch.float32
    torch.testing.assert_close(end.double(), single, rtol=0, atol=2e-6)
    z0 = torch.tensor([1.0 + 0.5j], dtype=torch.complex128)
    wave = step("implicit_midpoint", lambda t, z: 3j * z, 0.0, 1.0, z0)
    torch.testing.assert_close(wave, z0 * (1 + 1.5j) / (1 - 1.5j), rtol=1e-14, atol=1e-14)


def test_refusals():
    """A step without a solution, and a field without numbers: named with the time, residual and what to do."""
    one = torch.ones(1, dtype=torch.float64)
    message = r"step at t = 0.5: found a residual of .* after \d+ iterations, expected at most .*: take smaller steps"
    with pytest.raises(ValueError, match=message):
        step("implicit_euler", lambda t, z: z.square() + 1, 0.5, 3.0, one)
    with pytest.raises(ValueError, match="found values of the field that are not finite"):
        step("gauss4", lambda t, z: z / 0, 0.0, 0.1, one)
