"""Steps stay on the simplex, exactly; the projection is the nearest point."""

import pytest
import torch
from scipy.optimize import minimize

from mvnet.control import SimplexSteps
from mvnet.errors import MvnetError

F64 = torch.float64


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
