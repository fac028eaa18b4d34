"""Parameters in time, and activations."""

from __future__ import annotations

import pytest
import torch

from mvnet.errors import MvnetError
from mvnet.fields import ACTIVATIONS, Activation, GradientFlow, LayerField, TimeGrid
from mvnet.integrators import odeint
from tests.fields.cases import generator, normal


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("intervals", [1, 7, 20, 999])
def test_constant(intervals, dtype):
    """Value k at the left border of interval k and inside, the last one at the end; before and after, the nearest."""
    grid = TimeGrid(intervals, 0.7)
    values = torch.arange(intervals, dtype=dtype)
    borders = grid.times(dtype=dtype)
    for times in (borders[:-1], borders[:-1] + 0.35 / intervals):
        assert (grid.at(times, values)[0] == values).all()
        assert [grid.at(t, values)[0].item() for t in times] == values.tolist()
    for time, expected in ((-1.0, 0), (0.7, intervals - 1), (9.0, intervals - 1)):
        assert grid.at(torch.tensor(time, dtype=dtype), values)[0] == expected


def test_linear():
    """Interpolation; its derivative is the slope."""
    grid = TimeGrid(3, 6.0, "linear")
    values = torch.tensor([1.0, 3.0, 2.0, 2.0])
    t = torch.tensor([-1.0, 0.0, 1.0, 2.0, 3.5, 6.0, 8.0], requires_grad=True)
    (found,) = grid.at(t, values)
    torch.testing.assert_close(found, torch.tensor([1.0, 1.0, 2.0, 3.0, 2.25, 2.0, 2.0]))
    torch.testing.assert_close(torch.stack([grid.at(s, values)[0] for s in t.detach()]), found)
    (slope,) = torch.autograd.grad(found.sum(), t)
    torch.testing.assert_close(slope[[2, 4, 6]], torch.tensor([1.0, -0.5, 0.0]))


def test_a_network_is_one_field():
    """Explicit Euler on the borders is the ResNet (6), layer by layer."""
    field = LayerField(3, intervals=5, duration=2.0, generator=generator(0)).double()
    z = normal(4, 3, seed=1)
    states = odeint(field, z, field.grid.times(dtype=z.dtype), method="lie_euler")
    for k in range(5):
        z = z + 0.4 * torch.tanh(z @ field.weight[k].T + field.bias[k])
        torch.testing.assert_close(states[k + 1], z, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    """gamma' = sigma, slopes in their range and close to its ends, no overflow far out."""
    sigma = ACTIVATIONS[name]
    s = torch.linspace(-30, 30, 6001, dtype=torch.float64) + 1e-3
    torch.testing.assert_close(torch.func.grad(lambda x: sigma.antiderivative(x).sum())(s), sigma(s))
    slope = torch.func.grad(lambda x: sigma(x).sum())(s)
    low, high = sigma.slopes
    assert slope.min() >= low and slope.max() <= high
    assert slope.min() < low + 2e-3 and slope.max() > high - 1e-4
    assert sigma.monotone == (low >= 0) and sigma.nonnegative == bool((sigma(s) >= 0).all())
    assert sigma.antiderivative(torch.tensor([-1e4, 1e4])).isfinite().all()


def test_an_activation_of_ones_own():
    cubic = Activation(lambda s: s**3, lambda s: s**4 / 4, (0.0, torch.inf))
    field = GradientFlow(2, sigma=cubic, generator=generator(0)).double()
    z = normal(2, seed=1)
    gradient = torch.func.grad(lambda y: field.energy(torch.tensor(0.0), y))(z)
    torch.testing.assert_close(field(torch.tensor(0.0), z), -gradient)
    with pytest.raises(MvnetError, match=r"sigma: found 'sin' with slopes in \(-1.0, 1.0\), expected a monotone one"):
        GradientFlow(2, sigma="sin")
