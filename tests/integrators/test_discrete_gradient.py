"""Discrete gradients: the defining identity, energy at every step size, and what happens near rest."""

from __future__ import annotations

import pytest
import torch

from mvnet.fields import HamiltonianField, PortHamiltonianField
from mvnet.integrators import METHODS, odeint, step
from mvnet.integrators.discrete_gradient import DiscreteGradient
from tests.integrators.problems import normal

DISCRETE = {name: method for name, method in METHODS.items() if isinstance(method, DiscreteGradient)}


def energy(z):
    q, p = z.chunk(2, dim=-1)
    return p.square().sum(-1) / 2 + q.pow(4).sum(-1) / 4 + q.sum(-1).square() / 2


PLAIN = HamiltonianField(lambda t, z: energy(z))


class Damped:
    """z' = (J - R) grad E with R >= 0."""

    action = METHODS["gonzalez"].actions[0]()  # pyright: ignore[reportAttributeAccessIssue]

    def energy(self, t, z):
        return energy(z)

    def structure(self, t, z, v):
        q, p = v.chunk(2, dim=-1)
        return torch.cat((p - 0.1 * q, -q - 0.4 * (1 + z[..., :1] ** 2) * p), -1)

    def __call__(self, t, z):
        return self.structure(t, z, PLAIN.gradient(t, z))


@pytest.mark.parametrize("method", DISCRETE)
def test_the_identity_that_defines_them(method):
    """<DE(z, z + d), d> = E(z + d) - E(z), and DE(z, z) = grad E(z)."""
    z, d = normal(2, 6, 4, seed=0)
    g = DISCRETE[method].gradient(energy, z, d)
    torch.testing.assert_close((g * d).sum(-1), energy(z + d) - energy(z), rtol=1e-12, atol=1e-13)
    still = DISCRETE[method].gradient(energy, z, torch.zeros_like(d))
    torch.testing.assert_close(still, PLAIN.gradient(torch.tensor(0.0), z), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("method", DISCRETE)
@torch.no_grad()
def test_energy_is_conserved_at_every_step_size(method):
    z0 = 0.7 * normal(3, 4, seed=1)
    for h in (0.05, 0.5):
        states = odeint(PLAIN, z0, h * torch.arange(11, dtype=torch.float64), method=method)
        assert (energy(states) - energy(z0)).abs().max() < 1e-13
    long = odeint(PLAIN, z0.float(), 0.5 * torch.arange(11.0), method=method)
    assert (energy(long) - energy(z0.float())).abs().max() < 1e-5


@pytest.mark.parametrize("method", DISCRETE)
@torch.no_grad()
def test_energy_falls_where_the_field_dissipates_it(method):
    """Also at steps of 5, and down to rest, where differences of energies are rounding."""
    z0 = normal(3, 4, seed=2)
    for h, n in ((0.2, 10), (5.0, 30)):
        states = odeint(Damped(), z0, h * torch.arange(n + 1, dtype=torch.float64), method=method)
        assert (energy(states).diff(dim=0) < 1e-14).all()
    assert (energy(states)[-1] < energy(states)[0] - 0.1).all()


@torch.no_grad()
def test_port_hamiltonian_fields_are_passive():
    field = PortHamiltonianField(4, generator=torch.Generator().manual_seed(3)).double()
    z0, t = normal(2, 4, seed=4), 2.0 * torch.arange(6, dtype=torch.float64)
    states = odeint(field, z0, t, method="gonzalez")
    assert (field.energy(t[0], states).diff(dim=0) < 1e-13).all()


@torch.no_grad()
def test_a_quadratic_energy_gives_the_midpoint_rule():
    field = HamiltonianField(lambda t, z: (z * torch.tensor([2.0, 0.5], dtype=z.dtype) * z).sum(-1))
    z = torch.tensor([[0.3, -1.0]], dtype=torch.float64)
    expected = step("implicit_midpoint", field, 0.0, 0.4, z)
    for method in ("gonzalez", "mean_value"):
        torch.testing.assert_close(step(method, field, 0.0, 0.4, z), expected, rtol=1e-13, atol=1e-14)
