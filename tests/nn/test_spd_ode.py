"""The ODE block on SPD matrices stays on the manifold, whatever its weights."""

import pytest
import torch

from mvnet.linalg import gl3, sym3
from mvnet.nn.spd_ode import SPDODE
from tests.nn.test_frechet_filter import PLAIN, generator, randomise, spd_field


@pytest.mark.parametrize("method", ["lie_euler", "rkmk3", "rkmk4", "cf4", "cayley_rk4"])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_ode_block_stays_positive_definite(method: str, steps: int):
    layer = randomise(SPDODE(PLAIN, PLAIN, steps=steps, method=method).double(), scale=3.0)
    features = torch.randn(1, 4, 4, 4, 4, generator=generator(), dtype=torch.float64)
    out = layer(features, spd_field(1, 4, 4, 4))
    assert bool((sym3.eigvals(out) > 0).all())


def test_the_ode_block_is_the_identity_at_initialisation():
    state = spd_field(1, 3, 3, 3)
    features = torch.randn(1, 4, 3, 3, 3, generator=generator(), dtype=torch.float64)
    torch.testing.assert_close(SPDODE(PLAIN, PLAIN).double()(features, state), state, rtol=1e-12, atol=1e-12)


def test_the_ode_block_with_constant_velocity_is_one_exponential():
    layer = SPDODE(PLAIN, PLAIN, method="rkmk3").double()
    with torch.no_grad():
        assert layer.velocity.bias is not None
        layer.velocity.bias.copy_(torch.linspace(-0.3, 0.4, 9))
    state = spd_field(1, 2, 2, 2)
    out = layer(torch.zeros(1, 4, 2, 2, 2, dtype=torch.float64), state)
    velocity = torch.tanh(torch.linspace(-0.3, 0.4, 9, dtype=torch.float64)).view(1, 9, 1, 1, 1).expand(1, 9, 2, 2, 2)
    torch.testing.assert_close(out, sym3.congruence(gl3.exp(velocity), state))


def test_the_ode_block_gradient_is_finite_at_repeated_eigenvalues():
    layer = randomise(SPDODE(PLAIN, PLAIN).double())
    state = torch.tensor([0.7, 0.7, 0.7, 0, 0, 0], dtype=torch.float64).view(1, 6, 1, 1, 1).repeat(1, 1, 2, 2, 2)
    state.requires_grad_()
    layer(torch.ones(1, 4, 2, 2, 2, dtype=torch.float64), state).sum().backward()
    assert state.grad is not None and bool(state.grad.isfinite().all())
