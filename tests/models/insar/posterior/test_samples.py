"""Samples: no seams, the marginals of the denoiser, neighbours that err together, symmetries."""

import math

import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from mvnet.data_loaders.insar.noise import PhaseNoise
from mvnet.errors import MvnetError
from mvnet.manifolds.circle import wrap
from mvnet.models.checkpoint import pretrained
from mvnet.models.insar.inference import DenoisedInterferogram, expected_cosine
from mvnet.models.insar.posterior import inference as module
from mvnet.models.insar.posterior import sample
from mvnet.models.insar.posterior.guarantees import seam_error, verify_posterior
from mvnet.models.insar.posterior.inputs import fringe_frequency, log_gain
from mvnet.models.insar.posterior.network import InSARPosterior
from tests.models.insar.posterior.cases import known_posterior, scene


def test_guarantees_of_the_shipped_posterior():
    head, card = pretrained("insar-posterior")
    assert isinstance(head, InSARPosterior)
    found = verify_posterior(head, 1)
    assert all(guarantee.holds for guarantee in found) and len(found) == 3
    assert len(card["denoiser"]["sha256"]) == 64


def test_no_seams_whatever_the_blocks(monkeypatch):
    head, (z, denoised) = known_posterior(), scene()
    whole = torch.stack(list(sample(head, z, denoised, 2, 5)))
    for block in (17, 32):
        monkeypatch.setattr(module, "_BLOCK", block)
        parts = torch.stack(list(sample(head, z, denoised, 2, 5)))
        assert torch.equal(parts.isnan(), whole.isnan())
        assert float(wrap(parts - whole).nan_to_num().abs().max()) < 1e-5
    assert seam_error(head, 3) < 1e-5


def test_a_sample_is_a_function_of_seed_and_number():
    head, (z, denoised) = known_posterior(), scene(40)
    many = list(sample(head, z, denoised, 11, 2))
    few = list(sample(head, z, denoised, 9, 2))
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(many, few))
    other = next(sample(head, z, denoised, 1, 3))
    assert not torch.equal(many[0].nan_to_num(), other.nan_to_num())
    assert torch.equal(many[0].isnan(), denoised.concentration == 0)


@pytest.mark.parametrize("correlated", [True, False])
@pytest.mark.parametrize("kappa", [0.5, 40.0])
def test_every_pixel_is_von_mises(kappa, correlated):
    """Kolmogorov-Smirnov on pixels that are far enough apart to be independent."""
    head, side = known_posterior(), 200
    concentration = torch.full((side, side), kappa)
    phase = torch.full((side, side), 1.0)
    denoised = DenoisedInterferogram(phase, concentration, expected_cosine(concentration))
    z = torch.polar(torch.ones(side, side), phase + torch.randn(side, side, generator=torch.Generator().manual_seed(0)))
    drawn = torch.stack(list(sample(head, z, denoised, 4, correlated=correlated)))
    error = wrap(drawn - phase)[:, ::10, ::10].flatten().double().numpy()
    assert stats.kstest(error, stats.vonmises(kappa).cdf).pvalue > 0.01


def test_neighbours_err_together():
    """The mean of 5 x 5 pixels varies as the filters say, more than that of independent pixels."""
    head, side = known_posterior(), 120
    concentration = torch.full((side, side), 300.0)
    phase = torch.zeros(side, side)
    denoised = DenoisedInterferogram(phase, concentration, expected_cosine(concentration))
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(side, side, generator=random)
    z = torch.polar(torch.ones(side, side), 1.5 * noise)  # a gain of hundreds of pixels: the widest filter
    spread = {}
    for correlated in (True, False):
        drawn = torch.stack(list(sample(head, z, denoised, 6, correlated=correlated)))
        spread[correlated] = float(F.avg_pool2d(drawn, 5).std())
    last = torch.einsum("r,rij->ij", head.coefficients[0, 0, 0, -1], head.filters)
    box = F.conv2d(last[None, None], torch.full((1, 1, 5, 5), 0.04), padding=4)
    assert spread[True] == pytest.approx(float(box.square().sum().sqrt()) / math.sqrt(300), rel=0.1)
    assert spread[False] == pytest.approx(0.2 / math.sqrt(300), rel=0.1)


@pytest.mark.parametrize("turn", [lambda x: x.mT, lambda x: x.flip(0), lambda x: x.rot90()])
def test_frequency_and_gain_turn_with_the_image(turn):
    z, (phase, concentration, _) = scene(33)
    valid, logs = concentration > 0, concentration.clamp_min(1e-3).log()
    expected = fringe_frequency(phase, valid), log_gain(z, phase, logs, valid)
    given = [turn(x).contiguous() for x in (z, phase, logs, valid)]
    assert torch.allclose(fringe_frequency(given[1], given[3]), turn(expected[0]), atol=1e-5)
    assert torch.allclose(log_gain(*given), turn(expected[1]), atol=1e-4)
    assert torch.allclose(fringe_frequency(-phase + 1, valid), expected[0], atol=1e-5)


def test_frequency_of_a_plane_and_gain_of_known_noise():
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    phase, valid = wrap(0.3 * x - 0.4 * y), torch.ones(40, 50, dtype=torch.bool)
    assert torch.allclose(fringe_frequency(phase, valid), torch.tensor(0.5), atol=1e-4)
    noise = 0.5 * torch.randn(40, 50, generator=torch.Generator().manual_seed(0))
    found = log_gain(torch.polar(torch.ones(40, 50), phase + noise), phase, torch.full((40, 50), 5.0), valid)
    assert float(found.median()) == pytest.approx(5 - math.log(1 / 0.25), abs=0.25)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (12, 1)])
def test_scenes_of_a_line(shape):
    phase, kappa = torch.zeros(shape), torch.ones(shape)
    denoised = DenoisedInterferogram(phase, kappa, expected_cosine(kappa))
    (found,) = sample(known_posterior(), torch.ones(shape, dtype=torch.complex64), denoised, 1)
    assert found.shape == shape and found.isfinite().all()


def test_correlated_input_has_filters_of_its_own():
    head, (z, denoised) = known_posterior(), scene(40)
    head.coefficients[1] = head.coefficients[1].flip(-2)
    white, other = (next(sample(head, z, denoised, 1, noise=PhaseNoise(torch.full((2, 3), rho)))) for rho in (0.0, 0.6))
    assert float(wrap(white - other).nan_to_num().abs().max()) > 0.01


def test_bad_input():
    head, (z, denoised) = known_posterior(), scene(20)
    with pytest.raises(MvnetError, match="found shapes"):
        next(sample(head, z[1:], denoised, 1))
    with pytest.raises(MvnetError, match="count: found 0"):
        next(sample(head, z, denoised, 0))
    with pytest.raises(MvnetError, match="not finite"):
        next(sample(head, z, denoised._replace(phase=denoised.phase * torch.nan), 1))
    with pytest.raises(MvnetError, match="frequencies: found"):
        InSARPosterior(frequencies=(1.0, 0.5))
    with pytest.raises(MvnetError, match="taps, rank: found 4"):
        InSARPosterior(taps=4)
