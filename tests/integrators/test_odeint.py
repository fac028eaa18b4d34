"""The call: times, layouts of the velocity, dtypes and refusals."""

from __future__ import annotations

import pytest
import torch

from mvnet.fields import ActingField
from mvnet.integrators import METHODS, CircleAction, Congruence, RotationAction, odeint, step
from tests.integrators.flows import PAIRS

IDENTITY = torch.eye(3, dtype=torch.float64)


def test_states_at_every_time_start_included(flow):
    t = [0.0, 0.2, 0.5, 0.6]
    states = odeint(flow.xi, flow.z0, t, action=flow.action)
    assert states.shape == (4, *flow.z0.shape)
    torch.testing.assert_close(states[0], flow.z0, rtol=0, atol=0)
    third = step("rkmk4", flow.xi, 0.2, 0.3, states[1], flow.action)
    torch.testing.assert_close(third, states[2], rtol=1e-14, atol=1e-14)


def test_one_time_is_the_start(flow):
    torch.testing.assert_close(odeint(flow.xi, flow.z0, [0.0], action=flow.action), flow.z0[None])


def test_backwards_in_time(flow):
    """A fourth-order return trip of 2 x 16 steps comes home."""
    t = torch.linspace(0, 1, 17, dtype=torch.float64)
    end = odeint(flow.xi, flow.z0, t, action=flow.action)[-1]
    back = odeint(flow.xi, end, t.flip(0), action=flow.action)[-1]
    assert flow.difference(back, flow.z0).abs().max() < 1e-4


def test_a_batch_is_its_samples(flow):
    together = odeint(flow.xi, flow.z0, [0.0, 0.5, 1.0], action=flow.action)
    for i in range(len(flow.z0)):
        alone = odeint(flow.xi, flow.z0[i : i + 1], [0.0, 0.5, 1.0], action=flow.action)
        torch.testing.assert_close(together[:, i : i + 1], alone, rtol=1e-13, atol=1e-13)


def test_one_velocity_may_serve_a_batch():
    xi = torch.diag(torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64))
    states = odeint(lambda t, z: xi, IDENTITY.expand(4, 3, 3), [0.0, 1.0], action=Congruence())
    torch.testing.assert_close(states[-1], torch.linalg.matrix_exp(2 * xi).expand(4, 3, 3))


@pytest.mark.parametrize(("method", "flow"), PAIRS)
def test_single_precision_stays_single(method, flow):
    theta = flow.theta.float()

    def field(t, z):
        assert t.dtype == z.dtype == torch.float32
        return flow.field(t, z, theta)

    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    states = odeint(field, flow.z0.float(), t, action=flow.action, method=method)
    assert states.dtype == torch.float32
    double = odeint(flow.xi, flow.z0, t, action=flow.action, method=method)
    assert flow.difference(states.double(), double).abs().max() < 2e-5


def test_complex_states_without_an_action():
    z0 = torch.tensor([1.0 + 0j], dtype=torch.complex128)
    end = odeint(lambda t, z: 1j * z, z0, torch.linspace(0, 1, 33, dtype=torch.float64))[-1]
    torch.testing.assert_close(end, (1j * z0).exp(), rtol=1e-7, atol=1e-7)


def test_the_gradient_of_the_end_time_is_the_velocity(flow):
    t = torch.linspace(0, 1, 11, dtype=torch.float64).requires_grad_()
    end = odeint(flow.xi, flow.z0, t, action=flow.action)[-1]
    (gradient,) = torch.autograd.grad(end.sum(), t)
    expected = flow.velocity(flow.xi(t[-1], end), end).sum().item()
    assert gradient[-1].item() == pytest.approx(expected, abs=1e-3)


def test_refusals():
    def still(t, z):
        return torch.zeros(3, 3, dtype=torch.float64)

    with pytest.raises(ValueError, match=r"method: found 'dopri8', expected one of lie_euler, .*rkmk4"):
        odeint(still, IDENTITY, [0.0, 1.0], action=Congruence(), method="dopri8")
    with pytest.raises(ValueError, match="gradient: found 'adjoint', expected one of discrete"):
        odeint(still, IDENTITY, [0.0, 1.0], action=Congruence(), gradient="adjoint")
    with pytest.raises(ValueError, match=r"t: found shape \(1, 2\)"):
        odeint(still, IDENTITY, torch.zeros(1, 2), action=Congruence())
    with pytest.raises(ValueError, match=r"t: found shape \(0,\)"):
        odeint(still, IDENTITY, [], action=Congruence())


@pytest.mark.parametrize(
    ("action", "z0", "xi", "expected"),
    [
        (Congruence(), (2, 3, 3), (2, 9), r"\(2, 9\), expected \(2, 3, 3\)"),
        (Congruence(dim=1), (2, 6, 4), (2, 6, 4), r"\(2, 6, 4\), expected \(2, 9, 4\)"),
        (RotationAction(), (2, 3, 3), (2, 3, 3), r"\(2, 3, 3\), expected \(2, 3\)"),
        (CircleAction(), (5,), (2, 5), r"\(2, 5\), expected \(5,\)"),
    ],
)
def test_a_velocity_of_the_wrong_shape_is_named(action, z0, xi, expected):
    with pytest.raises(ValueError, match=f"field: found a value of shape {expected}"):
        odeint(lambda t, z: torch.zeros(xi), torch.zeros(z0), [0.0, 1.0], action=action)


def test_the_last_state_alone(flow):
    t = [0.0, 0.2, 0.5]
    last = odeint(flow.xi, flow.z0, t, action=flow.action, save="last")
    torch.testing.assert_close(last, odeint(flow.xi, flow.z0, t, action=flow.action)[-1], rtol=0, atol=0)
    torch.testing.assert_close(odeint(flow.xi, flow.z0, [0.0], action=flow.action, save="last"), flow.z0)


def test_gradients_reach_the_arguments_of_the_field(flow):
    """As they reach what a closure holds."""
    by_argument, by_closure = (flow.theta.clone().requires_grad_() for _ in range(2))
    ends = (
        odeint(flow.field, flow.z0, [0.0, 0.5, 1.0], args=(by_argument,), action=flow.action, save="last"),
        odeint(lambda t, z: flow.field(t, z, by_closure), flow.z0, [0.0, 0.5, 1.0], action=flow.action, save="last"),
    )
    for end, theta in zip(ends, (by_argument, by_closure)):
        end.square().sum().backward()
        assert theta.grad is not None
    torch.testing.assert_close(by_argument.grad, by_closure.grad, rtol=0, atol=0)


def test_a_field_may_know_its_action(flow):
    class Known(torch.nn.Module):
        action = flow.action

        def forward(self, t, z):
            return flow.xi(t, z)

    end = odeint(Known(), flow.z0, [0.0, 1.0], save="last")
    torch.testing.assert_close(end, step("rkmk4", flow.xi, 0.0, 1.0, flow.z0, flow.action), rtol=0, atol=0)


@pytest.mark.parametrize(("method", "flow"), PAIRS)
def test_the_contract_of_a_method(method, flow):
    """init gives the first state, step a point of the manifold, the next state, and an error estimate or None."""
    chosen = METHODS[method]
    acting = ActingField.of(flow.field, flow.z0, flow.action)
    assert isinstance(flow.field, chosen.takes) and not isinstance(3.0, chosen.takes)
    t, h = torch.tensor(0.0), torch.tensor(0.1)
    z, error, _ = chosen.step(acting, t, h, flow.z0, (flow.theta,), chosen.init(acting, t, flow.z0, (flow.theta,)))
    assert z.shape == flow.z0.shape and flow.defect(z) < 1e-13
    assert error is None or error.shape == acting.algebra_shape
