"""RATTLE and projection: on the constraint, symplectic there, reversible; refusals."""

from __future__ import annotations

import pytest
import torch

from mvnet.integrators import odeint, step
from mvnet.integrators.constrained import constrained_velocity, constraint_defects
from tests.integrators.problems import CONSTRAINED, normal

METHODS = ("rattle", "projection")


class DoublePendulum:
    """Two unit masses on rods of length 1 and 2 in space: two constraints."""

    mass = torch.tensor(1.0, dtype=torch.float64)

    def potential(self, t, q):
        return q[..., 2] + q[..., 5]

    def constraint(self, q):
        first, second = q.chunk(2, dim=-1)
        return torch.stack((first.square().sum(-1) - 1, (second - first).square().sum(-1) - 4), -1)

    def __call__(self, t, z):
        return constrained_velocity(self, t, z)  # pyright: ignore[reportArgumentType]


def test_the_velocity_is_that_of_the_formula_for_the_sphere():
    t, args = torch.tensor(0.3), (CONSTRAINED.theta,)
    ours = constrained_velocity(CONSTRAINED.field, t, CONSTRAINED.z0, *args)
    torch.testing.assert_close(ours, CONSTRAINED.field(t, CONSTRAINED.z0, *args), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_two_rods(method):
    """The constraints hold to rounding; energy stays where RATTLE keeps it, over 200 steps."""
    field = DoublePendulum()
    z0 = torch.tensor([0.6, 0.0, -0.8, 0.6, 2.0, -0.8, 0.0, 0.5, 0.0, 0.4, 0.5, 0.0], dtype=torch.float64)
    t = 0.05 * torch.arange(201 if method == "rattle" else 21, dtype=torch.float64)
    states = odeint(field, z0, t, method=method)
    assert all(float(defect.max()) < 1e-13 for defect in constraint_defects(field, states))  # pyright: ignore[reportArgumentType]
    q, p = states.chunk(2, dim=-1)
    energy = p.square().sum(-1) / 2 + field.potential(t, q)
    assert (energy - energy[0]).abs().max() < 3e-3


@torch.no_grad()
def test_rattle_comes_back():
    args = (CONSTRAINED.theta,)
    there = step("rattle", CONSTRAINED.field, 0.1, 0.3, CONSTRAINED.z0, args=args)
    back = step("rattle", CONSTRAINED.field, 0.4, -0.3, there, args=args)
    torch.testing.assert_close(back, CONSTRAINED.z0, rtol=1e-12, atol=1e-12)


def test_rattle_keeps_the_symplectic_form_of_the_constraint():
    """omega(D u, D v) = omega(u, v) for tangents u, v of {g(q) = 0, G p / m = 0}."""
    x = normal(6, seed=7)

    def end(x):
        return step("rattle", CONSTRAINED.field, 0.0, 0.3, CONSTRAINED.lift(x), args=(CONSTRAINED.theta,))

    before, after = (torch.autograd.functional.jacobian(f, x) for f in (CONSTRAINED.lift, end))
    j = torch.kron(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.eye(3)).double()
    torch.testing.assert_close(after.mT @ j @ after, before.mT @ j @ before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_refusals(method):
    z, args = CONSTRAINED.z0, (CONSTRAINED.theta,)
    q, p = z.chunk(2, dim=-1)
    off = torch.cat((1.1 * q, p), -1)
    with pytest.raises(ValueError, match=r"z0: found \|g\(q\)\| = 0.105, expected 0"):
        odeint(CONSTRAINED.field, off, [0.0, 0.1], args=args, method=method)
    with pytest.raises(ValueError, match=r"z0: found \|G p / m\| = .*, expected 0"):
        odeint(CONSTRAINED.field, torch.cat((q, p + q), -1), [0.0, 0.1], args=args, method=method)
    with pytest.raises(ValueError, match=r"z0: found shape \(5,\)"):
        odeint(CONSTRAINED.field, torch.ones(5), [0.0, 0.1], args=args, method=method)
    with pytest.raises(ValueError, match=r"found a residual .* take smaller steps"):
        odeint(CONSTRAINED.field, torch.cat((q, 40 * p), -1), [0.0, 1.0], args=args, method="rattle")
