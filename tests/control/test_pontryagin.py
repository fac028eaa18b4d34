"""Pontryagin's system: signs, conserved quantities, and gradients equal to those of autograd."""

from dataclasses import dataclass

import pytest
import torch

from mvnet.control import PontryaginField, adjoint, hamiltonian, trajectory
from mvnet.errors import MvnetError
from mvnet.fields import EnergyField
from mvnet.integrators import odeint
from mvnet.integrators.tableaus import EULER, HEUN, KUTTA3, MIDPOINT, RK4
from tests.control.problems import F64, half_square, layers, samples

METHODS = {"lie_euler": EULER, "lie_midpoint": MIDPOINT, "rkmk2": HEUN, "rkmk3": KUTTA3, "rkmk4": RK4}


@dataclass(frozen=True)
class Implicit:
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]


IMPLICIT_MIDPOINT = Implicit(((0.5,),), (1.0,), (0.5,))
LOBATTO = Implicit(((0.5, -0.5), (0.5, 0.5)), (0.5, 0.5), (0.0, 1.0))


def relative(found, expected):
    return float((found - expected).norm() / expected.norm())


def test_the_system_is_the_gradient_of_its_hamiltonian():
    field, (z, p) = layers(), samples()
    t = torch.tensor(0.4, dtype=F64)
    z.requires_grad_()
    p.requires_grad_()
    dz, dp = torch.autograd.grad(hamiltonian(field, t, z, p).sum(), (z, p))
    torch.testing.assert_close(field(t, z), dp)
    torch.testing.assert_close(adjoint(field, t, z, p), -dz)
    lifted = PontryaginField(field)
    assert isinstance(lifted, EnergyField)
    zp = torch.cat([z, p], -1)
    torch.testing.assert_close(lifted(t, zp), lifted.structure(t, zp, torch.cat([dz, dp], -1)))


def test_a_field_without_states_has_no_adjoint():
    z = torch.ones(3, 2, dtype=F64)
    assert not adjoint(lambda t, z, *_: torch.ones(3, 2, dtype=F64), torch.tensor(0.0), z, z).any()


def test_the_hamiltonian_is_conserved_where_time_does_not_enter():
    field, (z, p) = layers(intervals=1), samples()
    lifted = PontryaginField(field)
    start, t = torch.cat([z, p], -1), torch.linspace(0, 2, 101, dtype=F64)
    drifts = [lifted.energy(t[0], odeint(lifted, start, t[::every])).detach() for every in (4, 2)]
    coarse, fine = (float((h - h[0]).abs().max()) for h in drifts)
    assert fine < 1e-7
    assert coarse / fine == pytest.approx(16, rel=0.2)


def test_the_continuous_costate_is_the_derivative_of_the_loss():
    """Theorem 3.1: (27) is the limit of the discrete gradients; with the printed sign of (12) it is not."""
    field, (x, y) = layers(intervals=1), samples()
    t = torch.linspace(0, 2, 41, dtype=F64)
    path = trajectory(field, x, t, half_square(y), tableau=RK4)
    lifted = PontryaginField(field)
    back = odeint(lifted, torch.cat([path.states[-1], path.costates[-1]], -1), t.flip(0), save="last")
    assert relative(back[:, 2:].detach(), path.costates[0]) < 1e-6
    wrong = odeint(lambda t, p, *_: adjoint(field, t, x, -p), path.costates[-1], t.flip(0), save="last")
    assert relative(wrong.detach(), path.costates[0]) > 0.1


@pytest.mark.parametrize("name", METHODS)
def test_discrete_adjoint_is_the_gradient(name):
    field, (x, y) = layers(), samples()
    x.requires_grad_()
    end = odeint(field, x, field.grid.times(dtype=F64), method=name, save="last")
    expected = torch.autograd.grad(half_square(y)(end), (x, *field.parameters()))
    path = trajectory(field, x, field.grid.times(dtype=F64), half_square(y), tableau=METHODS[name])
    torch.testing.assert_close(path.states[-1], end.detach(), rtol=0, atol=1e-14)
    for found, wanted in zip((path.costates[0], *path.gradients), expected, strict=True):
        assert relative(found, wanted) < 1e-14


def test_float32_follows_with_its_accuracy():
    field, (x, y) = layers(dtype=torch.float32), samples(dtype=torch.float32)
    exact, (x64, y64) = layers(), samples()
    found = trajectory(field, x, field.grid.times(), half_square(y), tableau=RK4).gradients
    wanted = trajectory(exact, x64, exact.grid.times(dtype=F64), half_square(y64), tableau=RK4).gradients
    assert max(relative(f.double(), w) for f, w in zip(found, wanted, strict=True)) < 2e-6


@pytest.mark.parametrize("tableau", [IMPLICIT_MIDPOINT, LOBATTO], ids=["midpoint", "Lobatto IIIC"])
def test_discrete_adjoint_of_implicit_methods(tableau):
    """Against differences of the loss along a direction."""
    field, (x, y) = layers(), samples()
    times = field.grid.times(dtype=F64)
    weight = field.weight
    direction = torch.randn(weight.shape, dtype=F64, generator=torch.Generator().manual_seed(3))
    slope = (
        trajectory(field, x, times, half_square(y), tableau=tableau, inputs=[weight]).gradients[0] * direction
    ).sum()
    values = []
    for s in (1e-5, -1e-5):
        with torch.no_grad():
            weight += s * direction
        values.append(trajectory(field, x, times, half_square(y), tableau=tableau, inputs=()).loss)
        with torch.no_grad():
            weight -= s * direction
    assert float(slope) == pytest.approx(float(values[0] - values[1]) / 2e-5, rel=1e-8)


def test_gradient_of_the_hamiltonian_is_that_of_the_loss():
    """(30): dL / dtheta_k = h d_theta H(z_k, p_{k+1}, theta_k), summed over the samples."""
    field, (x, y) = layers(), samples()
    times = field.grid.times(dtype=F64)
    path = trajectory(field, x, times, half_square(y))
    t = times[:-1].reshape(-1, 1, 1)
    total = (times.diff()[:, None] * hamiltonian(field, t, path.states[:-1], path.costates[1:])).sum()
    for found, wanted in zip(torch.autograd.grad(total, list(field.parameters())), path.gradients, strict=True):
        assert relative(found, wanted) < 1e-14


def test_costates_and_tangents_keep_their_product():
    """<p_k, v_k> is the same for every k, v the derivative of the states along a direction."""
    field, (x, y) = layers(), samples()
    times = field.grid.times(dtype=F64)
    path = trajectory(field, x, times, half_square(y), tableau=RK4)
    v = torch.randn(x.shape, dtype=F64, generator=torch.Generator().manual_seed(2))
    tangents = torch.func.jvp(lambda z: odeint(field, z, times), (x,), (v,))[1]
    products = (path.costates * tangents).sum((1, 2))
    torch.testing.assert_close(products, products[:1].expand_as(products), rtol=1e-12, atol=0)


def test_stages_that_do_not_converge_are_an_error():
    z, t = torch.ones(2, 1, dtype=F64), torch.tensor([0.0, 1.0], dtype=F64)
    with pytest.raises(MvnetError, match="tableau: found stages that still change"):
        trajectory(lambda t, z, *_: 50 * z, z, t, torch.sum, tableau=IMPLICIT_MIDPOINT)
