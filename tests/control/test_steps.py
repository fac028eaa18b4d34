"""Steps stay on the simplex, exactly; the projection is the nearest point."""

import pytest
import torch
from scipy.optimize import minimize

from mvnet.control import RescaledField, SimplexSteps
from mvnet.errors import MvnetError
from mvnet.fields import LayerField
from mvnet.integrators import odeint
from tests.control.problems import F64, layers, samples


def test_steps_start_equal_and_sum_to_the_total():
    steps = SimplexSteps(8, 5.0, dtype=F64)
    torch.testing.assert_close(steps(), torch.full((8,), 0.625, dtype=F64))
    assert steps.idle_layers() == []
    assert steps.active_layers() == list(range(8))


@pytest.mark.parametrize("seed", range(4))
def test_projection_is_the_nearest_point(seed):
    """Against a minimisation that knows nothing of sorting."""
    steps = SimplexSteps(7, 3.0, dtype=F64)
    raw = torch.randn(7, dtype=F64, generator=torch.Generator().manual_seed(seed)) * 2
    with torch.no_grad():
        steps.raw.copy_(raw)
    steps.project_()
    found = minimize(
        lambda h: ((h - raw.numpy()) ** 2).sum() / 2,
        [3 / 7] * 7,
        jac=lambda h: h - raw.numpy(),
        bounds=[(0, None)] * 7,
        constraints={"type": "eq", "fun": lambda h: h.sum() - 3},
        method="SLSQP",
        options={"ftol": 1e-16},
    )
    torch.testing.assert_close(steps().detach(), torch.from_numpy(found.x), atol=1e-7, rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (F64, 4e-15)])
def test_attached_steps_never_leave_the_simplex(dtype, tolerance):
    steps = SimplexSteps(10, 2.0, dtype=dtype)
    optimizer = torch.optim.Adam(steps.parameters(), lr=0.05)
    steps.attach(optimizer)
    slope = torch.linspace(-1, 1, 10, dtype=dtype)
    for _ in range(50):
        optimizer.zero_grad()
        (steps() @ slope + steps().square().sum()).backward()
        optimizer.step()
        assert steps().min() >= 0
        assert abs(float(steps().detach().sum()) - 2) < tolerance
    idle, active = steps.idle_layers(), steps.active_layers()
    assert sorted(idle + active) == list(range(10))
    assert idle
    assert idle[-1] == 9


def test_an_idle_layer_can_wake_up():
    """Its gradient is seen although its step is 0."""
    steps = SimplexSteps(2, 1.0, dtype=F64)
    with torch.no_grad():
        steps.raw.copy_(torch.tensor([1.0, 0.0]))
    optimizer = torch.optim.SGD(steps.parameters(), lr=0.1)
    steps.attach(optimizer)
    (-steps()[1]).backward()
    optimizer.step()
    assert steps.idle_layers() == []


@pytest.mark.parametrize(("count", "total"), [(0, 1.0), (3, 0.0), (3, float("nan"))])
def test_bad_arguments_are_named(count, total):
    with pytest.raises(MvnetError, match="count: found 0" if count == 0 else "total: found"):
        SimplexSteps(count, total)


class Bounded(LayerField):
    """With a given bound of its one-sided constant."""

    bound: float | None = None

    def one_sided_bound(self):
        return None if self.bound is None else torch.tensor(self.bound, dtype=F64)


def rescaled(values):
    """A network of as many layers as there are steps, on the interval [0, 3]."""
    field = Bounded(2, intervals=len(values), duration=3.0, generator=torch.Generator().manual_seed(0)).double()
    steps = SimplexSteps(len(values), 3.0, dtype=F64)
    with torch.no_grad():
        steps.raw.copy_(torch.tensor(values))
    return RescaledField(field, steps)


def test_explicit_euler_takes_the_learned_steps():
    """(38)"""
    network, (z, _) = rescaled([0.5, 0.0, 1.5, 1.0]), samples()
    found = odeint(network, z, network.grid.times(dtype=F64), method="lie_euler", save="last")
    theta = dict(network.field.named_parameters())
    for k, h in enumerate(network.steps()):
        z = z + h * (z @ theta["weight"][k].T + theta["bias"][k]).tanh()
    torch.testing.assert_close(found, z, rtol=1e-13, atol=1e-14)
    found.sum().backward()
    assert network.steps.raw.grad is not None
    assert network.steps.raw.grad[1] != 0


def test_equal_steps_change_nothing():
    network, (z, _) = rescaled([0.5] * 6), samples()
    for method in ("lie_euler", "rkmk4"):
        found, expected = (odeint(f, z, network.grid.times(dtype=F64), method=method) for f in (network, network.field))
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)


def test_times_of_samples_have_the_speeds_of_their_layers():
    network, (z, _) = rescaled([0.5, 0.0, 1.5, 1.0]), samples(4)
    t = torch.tensor([0.1, 0.8, 1.6, 2.9], dtype=F64)
    expected = torch.stack([network(s, v) for s, v in zip(t, z, strict=True)])
    torch.testing.assert_close(network(t, z), expected)


def test_idle_layers_can_be_dropped():
    network, (z, _) = rescaled([0.5, 0.0, 1.5, 0.0, 1.0]), samples()
    small = network.without_idle_layers()
    assert small.grid.intervals == 3
    assert [len(p) for p in small.parameters()] == [3, 3, 3]
    assert [len(p) for p in network.parameters()] == [5, 5, 5]
    found, expected = (odeint(f, z, f.grid.times(dtype=F64), method="lie_euler", save="last") for f in (small, network))
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(("bound", "expected"), [(2.0, 4.0), (-2.0, 0.0), (None, None)])
def test_bound_of_the_field_is_scaled(bound, expected):
    """The speeds are h_k K / T = 2/3, 0, 2, 4/3."""
    network = rescaled([0.5, 0.0, 1.5, 1.0])
    network.field.bound = bound
    found = network.one_sided_bound()
    assert found is None if expected is None else found is not None and float(found.detach()) == pytest.approx(expected)


def test_a_field_on_another_grid_is_refused():
    with pytest.raises(MvnetError, match="field: found the grid"):
        RescaledField(layers(4, 2.0), SimplexSteps(4, 3.0))
