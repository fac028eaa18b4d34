"""Training the network of interferograms, its checkpoint, and the shipped weights."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from mvnet.data_loaders.insar.simulation import simulate_pair, simulate_scene
from mvnet.data_loaders.insar.training.dataset import PhaseMaps, PhaseTrainingSet, TrainingPair
from mvnet.manifolds.circle import wrap
from mvnet.models import load_checkpoint, pretrained, save_checkpoint
from mvnet.models.insar.inference import denoise_interferogram
from mvnet.models.insar.loss import phase_loss, von_mises_nll
from mvnet.models.insar.network import InSARDenoiser
from mvnet.models.registry import verify
from tests.models.insar.test_network import SMALL, generator, inputs, small_model


def test_likelihood_is_that_of_von_mises():
    """Against scipy, and smallest at the concentration of the errors."""
    from scipy.stats import vonmises

    error = torch.linspace(-3, 3, 7, dtype=torch.float64)
    for kappa in (0.1, 2.0, 300.0):
        expected = -torch.from_numpy(vonmises.logpdf(error.numpy(), kappa)) - math.log(2 * math.pi)
        found = von_mises_nll(error, torch.full_like(error, math.log(kappa)))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    draws = torch.from_numpy(vonmises.rvs(3.0, size=20000, random_state=0))
    tried = torch.linspace(math.log(2), math.log(4.5), 40, dtype=torch.float64)
    losses = torch.stack([von_mises_nll(draws, t.expand_as(draws)).mean() for t in tried])
    assert abs(float(tried[losses.argmin()].exp()) - 3) < 0.15


def test_the_loss_ignores_pixels_that_are_not_valid():
    model, (planes, features) = small_model(), inputs()
    truth = torch.randn(2, 16, 16, generator=generator(5), dtype=torch.float64)
    z, valid, maps = torch.complex(planes[:, 0], planes[:, 1]), features[:, 0] > 0, PhaseMaps.white(features[:, 2])
    other = torch.where(valid, truth, truth + 1)
    with torch.no_grad():
        losses = [phase_loss(model, z, phase, valid, maps)[0] for phase in (truth, other)]
    torch.testing.assert_close(losses[0], losses[1])


def test_a_few_steps_learn():
    torch.manual_seed(0)
    model = InSARDenoiser(**SMALL)
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    phase = torch.stack([0.9 * x + 0.3 * y, 0.2 * x - 1.1 * y])
    z = simulate_pair(phase, 0.6, generator=generator()).interferogram
    valid, maps = torch.ones(2, 32, 32, dtype=torch.bool), PhaseMaps.white(torch.full((2, 32, 32), torch.nan))
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    errors = []
    for _ in range(40):
        optimizer.zero_grad()
        loss, figures = phase_loss(model, z, phase, valid, maps)
        loss.backward()
        optimizer.step()
        errors.append(figures["rmse"])
    assert errors[-1] < 0.7 * errors[0]


def test_an_example_is_a_function_of_seed_and_index():
    data = PhaseTrainingSet(length=40, patch=24, seed=1)
    for k in range(0, 40, 7):
        first, again = data[k], PhaseTrainingSet(length=40, patch=24, seed=1)[k]
        assert all(torch.equal(a, b) for a, b in zip(first[:3], again[:3]))
        coherence = first.maps.coherence
        torch.testing.assert_close(coherence, again.maps.coherence, rtol=0, atol=0, equal_nan=True)
        assert [tuple(x.shape) for x in (*first[:3], coherence)] == 4 * [(24, 24)]
        assert all(bool(x.isfinite().all()) for x in first[:3])
        assert bool((((coherence >= 0) & (coherence <= 1)) | coherence.isnan()).all())
    assert not torch.equal(data[0].noisy, PhaseTrainingSet(length=40, patch=24, seed=2)[0].noisy)
    with pytest.raises(ValueError, match="patch"):
        PhaseTrainingSet(patch=4)


def test_batches_survive_the_data_loader():
    batch = next(iter(DataLoader(PhaseTrainingSet(length=4, patch=16, seed=1), 2)))
    assert isinstance(batch, TrainingPair) and isinstance(batch.maps, PhaseMaps)
    assert batch.noisy.is_complex() and batch.noisy.shape == batch.maps.coherence.shape == (2, 16, 16)


def test_checkpoint_round_trip(tmp_path):
    model, (planes, features) = small_model(torch.float32), inputs()
    save_checkpoint(tmp_path / "net", model, {"note": "test"})
    again, card = load_checkpoint(tmp_path / "net")
    assert card["architecture"] == "InSARDenoiser" and isinstance(again, InSARDenoiser)
    with torch.no_grad():
        before, after = (m(planes.float(), features.float()) for m in (model, again))
    assert torch.equal(before.phase, after.phase)


def test_verify_finds_what_the_network_guarantees(monkeypatch):
    """Symmetries and seams hold for any weights; the quality is measured, and an untrained one is no good."""
    monkeypatch.setattr("mvnet.models.insar.quality._SIDE", 64)
    model = small_model(torch.float32)
    found = verify(model)
    assert len(found) == 9 and all(g.holds for g in found[:5]), found
    assert not all(g.holds for g in found[5:])
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize(("steepness", "coherence"), [(0.4, 0.4), (1.4, 0.7)])
def test_the_shipped_network_denoises(steepness: float, coherence: float):
    """Below a moving average and a Gaussian of every width, and calibrated."""
    model, _ = pretrained("insar")
    assert isinstance(model, InSARDenoiser)
    scene = simulate_scene((160, 160), seed=99, steepness=steepness, coherence=coherence, water_share=0.0)
    z = simulate_pair(scene.phase, coherence, seed=4).interferogram
    out = denoise_interferogram(model, z)

    def rmse(phase: torch.Tensor) -> float:
        return float(wrap(phase - scene.phase).square().mean().sqrt())

    planes = torch.stack([z.real, z.imag])[None]
    boxcars = [F.avg_pool2d(planes, size, 1, size // 2)[0] for size in (3, 5, 7, 9, 11)]
    taps = torch.arange(-12.0, 13.0)
    kernels = [torch.exp(-(taps**2) / (2 * sigma**2)) for sigma in (1.0, 1.5, 2.0, 3.0, 4.0)]
    weights = [torch.outer(k, k)[None, None] / k.sum() ** 2 for k in kernels]
    smooth = [F.conv2d(planes.movedim(1, 0), w, padding=12)[:, 0] for w in weights]
    assert rmse(out.phase) < 0.95 * min(rmse(torch.atan2(b, a)) for a, b in (*boxcars, *smooth))
    realised = wrap(out.phase - scene.phase).cos().mean()
    assert abs(float(out.confidence.mean() - realised)) < 0.03
