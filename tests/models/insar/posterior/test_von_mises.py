"""The table of quantiles, against scipy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from mvnet.models.insar.inference import expected_cosine
from mvnet.models.insar.posterior.von_mises import deviation, latent, log_concentration_of, quantile

KAPPAS = [0.05, 0.5, 2.0, 8.0, 60.0, 900.0]


@pytest.mark.parametrize("kappa", KAPPAS)
def test_quantiles(kappa):
    """F(Q(g)) = Phi(g), and Q is odd."""
    g = torch.linspace(-3.5, 3.5, 29)
    logs = torch.full_like(g, math.log(kappa))
    found = quantile(logs, g)
    assert stats.vonmises.cdf(found.double().numpy(), kappa) == pytest.approx(stats.norm.cdf(g.numpy()), abs=3e-4)
    assert torch.allclose(found, -quantile(logs, -g))
    assert float(found.abs().max()) < math.pi


@pytest.mark.parametrize("kappa", [2.0, 8.0, 60.0, 900.0])
def test_latents_are_the_inverse(kappa):
    g = torch.linspace(-3, 3, 31)
    logs = torch.full_like(g, math.log(kappa))
    assert torch.allclose(latent(logs, quantile(logs, g)), g, atol=2e-3)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_deviation_is_that_of_the_wrapped_error(kappa):
    e = np.linspace(-math.pi, math.pi, 40001)
    expected = math.sqrt(np.trapezoid(e**2 * stats.vonmises.pdf(e, kappa), e))
    assert float(deviation(torch.tensor(math.log(kappa)))) == pytest.approx(expected, rel=2e-4)


def test_concentration_behind_a_quality():
    logs = torch.linspace(-4, 6.9, 60)
    assert torch.allclose(log_concentration_of(expected_cosine(logs.exp())), logs, atol=1e-3)
    assert torch.isfinite(log_concentration_of(torch.tensor([0.0, 1.0]))).all()


def test_any_shape():
    logs, g = torch.randn(4, 5), torch.randn(3, 4, 5)
    found = quantile(logs, g)
    assert found.shape == g.shape
    assert torch.allclose(found[1], quantile(logs, g[1]))
