"""The concentration is bounded by a coherence that is given, and the measure of calibration is one."""

import math

import pytest
import torch

from mvnet.data_loaders.insar.noise import PhaseNoise
from mvnet.models.insar.inference import denoise_interferogram, information
from mvnet.models.insar.inputs import noise_features
from mvnet.models.insar.quality import NOISES, miscalibration
from tests.models.insar.test_network import noisy, small_model


def test_no_coherence_no_quality():
    """Where none is given the network alone decides; the bound is local."""
    model, z = small_model(), noisy(96, 96)
    coherence = torch.full((96, 96), torch.nan, dtype=torch.float64)
    free = denoise_interferogram(model, z, coherence).confidence
    coherence[:, :48], coherence[:, 48:] = 0, 0.9
    found = denoise_interferogram(model, z, coherence).confidence
    assert float(found[:, :30].max()) == 0 and float(found[:, 70:].min()) > 0 and float(free.min()) > 0


def test_looks_raise_the_bound():
    model, z, coherence = small_model(), noisy(64, 64), torch.full((64, 64), 0.003, dtype=torch.float64)
    correlation = torch.zeros(2, 3)
    one, many = (
        denoise_interferogram(model, z, coherence, noise=PhaseNoise(correlation, looks)) for looks in (math.nan, 16.0)
    )
    assert float(one.concentration.max()) < float(many.concentration.max())


def test_information_is_the_sum_over_the_window():
    coherence, valid = torch.full((80, 90), 0.5, dtype=torch.float64), torch.ones(80, 90, dtype=torch.bool)
    found = information(coherence, valid)
    assert float(found[40, 45]) == pytest.approx(35**2 * 2 * 0.25 / 0.75)
    valid[:, 45:] = False
    assert float(information(coherence, valid)[40, 45]) == pytest.approx(35 * 17 * 2 * 0.25 / 0.75)
    coherence[40, 20] = torch.nan
    assert float(information(coherence, valid)[40, 30]) >= 1e6


def test_noise_features():
    found = noise_features(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), torch.tensor(30.0))
    assert found.tolist() == [1, 4, 4, 1, 2, 5, 5, 2, 3, 6, 6, 3, 1, 1]
    assert noise_features(torch.zeros(2, 3), torch.tensor(math.nan)).tolist() == [0] * 14


def test_miscalibration_of_what_is_calibrated():
    expected = torch.linspace(0, 1, 1000)
    assert miscalibration(expected, expected) == 0
    assert miscalibration(expected, expected - 0.1 * (expected > 0.9)) == pytest.approx(0.1, abs=1e-6)


@pytest.mark.parametrize("name", NOISES)
def test_every_noise_has_the_coherence_it_is_given(name):
    """|E z| over sqrt(E |z|^2) grows with the coherence, and is about 0 without any."""
    flat = torch.zeros(256, 256)
    for coherence, low, high in ((0.0, 0.0, 0.03), (0.8, 0.5, 1.0)):
        z = NOISES[name](flat, flat + coherence, torch.Generator().manual_seed(1))
        assert z.shape == flat.shape and low <= float(z.mean().abs() / z.abs().square().mean().sqrt()) <= high
