"""What the Hamiltonian fields are beside the battery: functions of one's own, the extended phase space, the forms."""

from __future__ import annotations

import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields import (
    EnergyField,
    ExtendedHamiltonian,
    GradientFlow,
    HamiltonianField,
    SecondOrderHamiltonian,
    SeparableHamiltonian,
    SplitField,
    TwoLayerHamiltonian,
)
from mvnet.fields.extended import ExtendedPart
from mvnet.integrators import odeint
from tests.fields.cases import DTYPE, TIME, make, normal


def swing(t: Tensor, q: Tensor, length: Tensor) -> Tensor:
    """A pendulum whose weight changes."""
    return -((1 + t) * q.cos() * length).sum(-1)


def test_functions_of_ones_own():
    """Separable or not, with further inputs, and gradients of gradients."""
    separable = SeparableHamiltonian(lambda t, p, length: p.square().sum(-1) / 2, swing)
    joint = HamiltonianField(lambda t, z, length: z[..., 1] ** 2 / 2 + swing(t, z[..., :1], length))
    z, length = normal(5, 2, seed=1), torch.tensor(0.7, dtype=DTYPE)
    expected = torch.stack((z[:, 1], -(1 + TIME) * 0.7 * z[:, 0].sin()), -1)
    for field in (separable, joint):
        assert isinstance(field, EnergyField)
        torch.testing.assert_close(field(TIME, z, length), expected)
        inputs = tuple(x.clone().requires_grad_() for x in (TIME, z, length))
        assert torch.autograd.gradcheck(field, inputs) and torch.autograd.gradgradcheck(field, inputs)
    assert isinstance(separable, SplitField) and not isinstance(joint, SplitField)


def test_a_plain_simulation_keeps_no_graph():
    """Where nothing requires a gradient, neither do the states; where a further input does, they do."""
    field = HamiltonianField(lambda t, z, *args: z.square().sum(-1) / 2 * (args[0] if args else 1))
    z, weight = normal(2, seed=1), torch.ones((), dtype=DTYPE, requires_grad=True)
    assert not field(TIME, z).requires_grad and field(TIME, z, weight).requires_grad
    assert not HamiltonianField(lambda t, z: torch.zeros(z.shape[:-1]))(TIME, z).any()


def test_the_forms_of_the_paper():
    """The Hamiltonian and the second-order form are those printed, with gamma' = sigma."""
    z = normal(5, 4, seed=1)
    q, p = z[:, :2], z[:, 2:]
    two = make("two_layer_hamiltonian", intervals=1, kind="constant")
    assert isinstance(two, TwoLayerHamiltonian)
    (a1, b1), (a2, b2) = ((part.weight[0], part.bias[0]) for part in (two.kinetic, two.potential))  # pyright: ignore
    rates = torch.atan(p @ a1.T + b1) @ a1, -torch.tanh(q @ a2.T + b2) @ a2
    torch.testing.assert_close(two(TIME, z), torch.cat(rates, -1))
    second = make("second_order_hamiltonian", intervals=1, kind="constant")
    assert isinstance(second, SecondOrderHamiltonian)
    a, b = second.potential.weight[0], second.potential.bias[0]  # pyright: ignore
    torch.testing.assert_close(second(TIME, z), torch.cat((p, -torch.tanh(q @ a.T + b) @ a), -1))


def test_signs_of_the_forms():
    """i_f omega_H = 0 with -J in the matrix of omega_H; with J, as printed, it is twice the gradient."""
    field = HamiltonianField(lambda t, z: (z.sin() * torch.tensor([1.0, 2.0])).sum(-1))
    z = torch.tensor([0.3, -1.1])
    f, g = torch.cat((field(TIME, z), torch.ones(1))), field.gradient(TIME, z)
    j = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])

    def matrix(block: Tensor) -> Tensor:
        return torch.cat((torch.cat((block, -g[:, None]), 1), torch.cat((g, torch.zeros(1)))[None]))

    torch.testing.assert_close(f @ matrix(-j), torch.zeros(3))
    torch.testing.assert_close(f @ matrix(j), torch.cat((2 * g, torch.zeros(1))))


@pytest.mark.parametrize("name", ["ridge_hamiltonian", "two_layer_hamiltonian", "second_order_hamiltonian"])
def test_extended_phase_space(name):
    """(20): autonomous, K is kept, and without p_t it is the field itself."""
    field = make(name)
    extended = ExtendedHamiltonian(field)
    z = normal(3, 4, seed=1)
    y = extended.extend(TIME, z)
    assert extended.energy(TIME, y).abs().max() < 1e-14
    time, state, p_t = extended.split(y)
    assert torch.equal(state, z) and (time == TIME).all() and p_t.shape == (3, 1)
    rate = extended(torch.tensor(77.0), y)
    torch.testing.assert_close(extended.split(rate)[1], field(TIME, z), rtol=1e-12, atol=1e-12)
    gradient = torch.func.grad(lambda w: extended.energy(TIME, w).sum())(y)
    assert (gradient * rate).sum(-1).abs().max() < 1e-13
    change = torch.func.jacrev(lambda t: field.energy(t, z))(TIME)
    torch.testing.assert_close(rate[:, -1], -change)


@pytest.mark.parametrize("name", ["ridge_hamiltonian", "second_order_hamiltonian"])
@pytest.mark.parametrize("method", ["lie_euler", "rkmk2", "rkmk4"])
def test_methods_commute_with_the_projection(name, method):
    """phi . mu = mu . phi: the solutions of both agree, step by step."""
    field = make(name)
    extended, z = ExtendedHamiltonian(field), normal(3, 4, seed=1)
    times = torch.linspace(0, 1, 7, dtype=DTYPE)
    plain = odeint(field, z, times, method=method)
    states = odeint(extended, extended.extend(times[0], z), times, method=method)
    torch.testing.assert_close(extended.split(states)[1], plain, rtol=1e-12, atol=1e-12)


def test_the_energy_of_the_extension_is_kept():
    """By the exact flow, while H changes."""
    extended = ExtendedHamiltonian(make("ridge_hamiltonian", intervals=1))
    y0 = extended.extend(torch.zeros((), dtype=DTYPE), normal(4, seed=1))

    def slope(t, y):
        return extended(torch.tensor(t), torch.from_numpy(y)).detach().numpy()

    end = torch.from_numpy(
        solve_ivp(slope, (0, 0.9), y0.detach().numpy(), method="DOP853", rtol=1e-11, atol=1e-11).y[:, -1]
    )
    assert extended.energy(TIME, end).abs() < 1e-9
    assert (end[-1] - y0[-1]).abs() > 0.1


def test_parts_of_the_extension():
    """Clock, drift, kick: they sum to the field; half a clock, the rest, half a clock freezes time in the middle."""
    field = make("two_layer_hamiltonian")
    assert isinstance(field, SeparableHamiltonian)
    extended, z = ExtendedHamiltonian(field), normal(3, 4, seed=1)
    y, h = extended.extend(TIME, z), torch.tensor(0.2, dtype=DTYPE)
    torch.testing.assert_close(sum(part(TIME, y) for part in extended.parts), extended(TIME, y))
    clock, drift, kick = extended.parts
    assert isinstance(drift, ExtendedPart)
    y = clock.flow(TIME, h / 2, y)
    for part, step in ((drift, h / 2), (kick, h), (drift, h / 2)):
        y = part.flow(TIME, step, y)
    y = clock.flow(TIME, h / 2, y)
    first, second = field.parts
    for part, step in ((first, h / 2), (second, h), (first, h / 2)):
        z = part.flow(TIME + h / 2, step, z)
    torch.testing.assert_close(extended.split(y)[1], z)
    torch.testing.assert_close(extended.split(y)[0], (TIME + h).expand(3, 1))


def test_bad_input():
    with pytest.raises(MvnetError, match="features: found 3, expected an even number"):
        SecondOrderHamiltonian(3)
    with pytest.raises(MvnetError, match=r"y: found shape \(3,\), expected \(\.\.\., 2n \+ 2\)"):
        ExtendedHamiltonian(make("ridge_hamiltonian")).split(torch.zeros(3))
    with pytest.raises(MvnetError, match="field: found GradientFlow, expected a SeparableHamiltonian"):
        _ = ExtendedHamiltonian(GradientFlow(2)).parts
