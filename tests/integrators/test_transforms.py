"""Transforms and second derivatives through gradient="discrete"."""

from __future__ import annotations

import pytest
import torch

from mvnet.integrators import RotationAction, odeint
from tests.integrators.flows import FLOWS

DTYPE = torch.float64
METHODS = ("rk4", "rkmk4", "cf4")
TIMES = [0.0, 0.4, 1.0]


def field(t, z, w):
    return torch.tanh(z @ w + t)


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 2, generator=generator, dtype=DTYPE), torch.randn(2, 2, generator=generator, dtype=DTYPE)


@pytest.mark.parametrize("method", METHODS)
def test_vmap_of_jacrev(method, inputs):
    """One Jacobian for each sample, as by a loop."""
    z0, w = inputs

    def end(z):
        return odeint(field, z, TIMES, args=(w,), method=method, save="last")

    found = torch.func.vmap(torch.func.jacrev(end))(z0)
    expected = torch.stack([torch.autograd.functional.jacobian(end, z) for z in z0])
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)
    forward = torch.func.vmap(torch.func.jacfwd(end))(z0)
    torch.testing.assert_close(forward, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_vmap_over_times(method, inputs):
    z0, w = inputs
    times = torch.tensor([TIMES, [0.0, 0.1, 0.2], [1.0, 0.5, 0.0]], dtype=DTYPE)
    found = torch.func.vmap(lambda z, t: odeint(field, z, t, args=(w,), method=method))(z0, times)
    expected = torch.stack([odeint(field, z, t, args=(w,), method=method) for z, t in zip(z0, times)])
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("method", METHODS)
def test_second_derivatives(method, inputs):
    tensors = tuple(x.clone().requires_grad_() for x in (*inputs, torch.tensor(TIMES, dtype=DTYPE)))

    def end(z0, w, t):
        return odeint(field, z0, t, args=(w,), method=method, save="last")

    assert torch.autograd.gradgradcheck(end, tensors, fast_mode=True, atol=1e-5)


def test_second_derivatives_with_checkpoints(inputs):
    z0, w = (x.clone().requires_grad_() for x in inputs)
    second = []
    for gradient in ("discrete", "checkpoint"):
        end = odeint(field, z0, TIMES, args=(w,), method="rk4", gradient=gradient, save="last")
        (first,) = torch.autograd.grad(end.sin().sum(), w, create_graph=True)
        second.append(torch.autograd.grad(first.square().sum(), z0)[0])
    torch.testing.assert_close(second[1], second[0], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("method", ["rk4", "rkmk4"])
def test_complex_states(method):
    z0 = torch.tensor([1.0 + 0.5j, -0.3j], dtype=torch.complex128, requires_grad=True)
    w = torch.tensor([1j, 0.4 + 2j], dtype=torch.complex128, requires_grad=True)

    def end(z0, w):
        return odeint(lambda t, z, w: w * z + t * z * z, z0, TIMES, args=(w,), method=method, save="last")

    assert torch.autograd.gradcheck(end, (z0, w))
    assert torch.autograd.gradgradcheck(end, (z0, w), fast_mode=True)


@pytest.mark.parametrize("method", ["rkmk4", "cf4", "cayley_rk4"])
def test_second_derivatives_on_rotations(method):
    flow = FLOWS["rotations"]
    theta = flow.theta.clone().requires_grad_()

    def end(theta):
        return odeint(flow.field, flow.z0, TIMES, args=(theta,), action=RotationAction(), method=method, save="last")

    assert torch.autograd.gradgradcheck(end, (theta,), fast_mode=True, atol=1e-5)
    batch = flow.z0.expand(2, 2, 3, 3)
    found = torch.func.vmap(lambda r: odeint(flow.xi, r, TIMES, action=RotationAction(), method=method))(batch)
    torch.testing.assert_close(found[0], odeint(flow.xi, flow.z0, TIMES, action=RotationAction(), method=method))
