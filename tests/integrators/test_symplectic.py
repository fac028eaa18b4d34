"""Splitting: what all parts keep is kept, symmetric compositions come back, parts are frozen at the middle."""

from __future__ import annotations

import pytest
import torch

from mvnet.fields import PairwiseHamiltonianField, SeparableHamiltonian, SkewPotentialField
from mvnet.integrators import METHODS, odeint, step
from mvnet.integrators.symplectic import Splitting
from tests.integrators.problems import HAMILTONIAN

SPLITTING = {name: method for name, method in METHODS.items() if isinstance(method, Splitting)}
J = torch.kron(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.eye(2)).double()


def jacobian(method, field, z, h, args=()):
    return torch.autograd.functional.jacobian(lambda z: step(method, field, 0.1, h, z, args=args), z)


@pytest.mark.parametrize("method", SPLITTING)
def test_the_symplectic_form_is_kept(method):
    m = jacobian(method, HAMILTONIAN.field, HAMILTONIAN.z0[0], 0.4, (HAMILTONIAN.theta,))
    torch.testing.assert_close(m.mT @ J @ m, J, rtol=0, atol=1e-13)


@pytest.mark.parametrize("method", SPLITTING)
@pytest.mark.parametrize("kind", [SkewPotentialField, PairwiseHamiltonianField])
def test_volume_is_kept(method, kind):
    """Shears of a field without divergence: any number of parts, time-dependent."""
    field = kind(3, intervals=2, kind="linear", generator=torch.Generator().manual_seed(0)).double()
    z = torch.tensor([0.3, -1.2, 0.7], dtype=torch.float64)
    assert torch.linalg.det(jacobian(method, field, z, 0.8)) == pytest.approx(1, abs=1e-13)
    plain = torch.linalg.det(jacobian("rkmk4", field, z, 0.8))
    assert abs(plain - 1) > 1e-8


@pytest.mark.parametrize("method", [name for name, m in SPLITTING.items() if "reversible" in m.preserves])
@torch.no_grad()
def test_symmetric_compositions_come_back(method):
    args = (HAMILTONIAN.theta,)
    there = step(method, HAMILTONIAN.field, 0.2, 0.5, HAMILTONIAN.z0, args=args)
    back = step(method, HAMILTONIAN.field, 0.7, -0.5, there, args=args)
    torch.testing.assert_close(back, HAMILTONIAN.z0, rtol=1e-13, atol=1e-13)


@torch.no_grad()
def test_two_parts_give_the_textbook_methods():
    """q' = p, p' = F(t, q): symplectic Euler (22), and Verlet with the force at the middle."""
    field = SeparableHamiltonian(lambda t, p: p.square().sum(-1) / 2, lambda t, q: (1 + t) * q.pow(4).sum(-1) / 4)
    z, h = torch.tensor([0.4, -0.3], dtype=torch.float64), 0.2
    q, p = z
    q1 = q + h * p
    expected = torch.stack((q1, p - h * 1.1 * q1**3))
    torch.testing.assert_close(step("symplectic_euler", field, 0.0, h, z), expected, rtol=1e-15, atol=1e-15)
    middle = q + h / 2 * p
    p1 = p - h * 1.1 * middle**3
    expected = torch.stack((middle + h / 2 * p1, p1))
    torch.testing.assert_close(step("verlet", field, 0.0, h, z), expected, rtol=1e-15, atol=1e-15)


@torch.no_grad()
def test_energy_oscillates_and_does_not_drift():
    """The pendulum over 600 steps of 0.2: the last tenth is no worse than the first; RK4 loses energy steadily."""
    field = SeparableHamiltonian(lambda t, p: p.square().sum(-1) / 2, lambda t, q: -q.cos().sum(-1))
    z0 = torch.tensor([1.0, 0.5], dtype=torch.float64)
    t = 0.2 * torch.arange(601, dtype=torch.float64)
    error = {}
    for method in ("verlet", "rkmk4"):
        states = odeint(field, z0, t, method=method)
        error[method] = (field.energy(t, states) - field.energy(t, z0)).abs()
    first, last = (error["verlet"][part].max() for part in (slice(0, 60), slice(-60, None)))
    assert last < 1.01 * first < 0.01
    assert error["rkmk4"][-1] > 5 * error["rkmk4"][60]


def test_refusals():
    class Nothing(SeparableHamiltonian):
        parts = ()  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    empty = Nothing(lambda t, p: p.sum(-1), lambda t, q: q.sum(-1))
    with pytest.raises(ValueError, match="field: found no parts, expected at least one"):
        step("verlet", empty, 0.0, 0.1, torch.ones(2))
    with pytest.raises(ValueError, match=r"substeps: found .* with sum 0.9, expected sum 1"):
        Splitting(2, (0.4, 0.5))
