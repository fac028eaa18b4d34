"""The floor of magnitude images: moments, and a fit that is not held up by it."""

import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti.dwi import fit_signals
from mvnet.data_loaders.dti.fit.rician import information, magnitude_moments, refit
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.fitting import design_matrix, fit_wls, predict
from mvnet.data_loaders.dti.simulation import add_noise, gradient_scheme
from mvnet.linalg import sym3


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0, 3.0, 7.9, 8.1, 30.0])
def test_moments_are_those_of_simulated_magnitudes(ratio):
    random = np.random.default_rng(0)
    magnitude = np.hypot(ratio + random.normal(size=400_000), random.normal(size=400_000))
    mean, variance = magnitude_moments(torch.tensor([ratio]))
    assert mean.item() == pytest.approx(magnitude.mean(), abs=0.006)
    assert variance.item() == pytest.approx(magnitude.var(), abs=0.006)


def test_moments_are_smooth_and_exact_in_single_precision():
    ratio = torch.linspace(0, 60, 6001, dtype=torch.float64)
    exact, single = magnitude_moments(ratio), magnitude_moments(ratio.float())
    for a, b in zip(exact, single, strict=True):
        torch.testing.assert_close(b.double(), a, rtol=2e-6, atol=2e-6)
        assert a.diff().diff().abs().max() < 1e-4  # no step where the series takes over


def _voxels(eigenvalues, b, snr, directions=30, count=1500):
    """Magnitudes of one tensor measured often; design, sigma and the tensor."""
    bvals, bvecs = gradient_scheme(directions, b=b, n_b0=2)
    design = design_matrix(bvals, bvecs).double()
    tensor = torch.tensor([*eigenvalues, 0, 0, 0], dtype=torch.float64)
    clean = predict(tensor.expand(count, 6), torch.zeros(count, dtype=torch.float64), design)
    return add_noise(clean, 1 / snr, torch.Generator().manual_seed(0)), design, tensor


def _both(eigenvalues, b, snr, **more):
    signal, design, tensor = _voxels(eigenvalues, b, snr, **more)
    log_s0, plain = fit_wls(signal, design)
    _, mended = refit(signal, log_s0, plain, torch.full((len(signal),), 1 / snr, dtype=torch.float64), design)
    return plain, mended, tensor


@pytest.mark.parametrize("snr", [15.0, 30.0])
@pytest.mark.parametrize("eigenvalues", [(1.7, 0.3, 0.3), (0.8, 0.8, 0.8)])
def test_tissue_far_above_the_floor_is_left_as_it_is(eigenvalues, snr):
    plain, mended, tensor = _both(eigenvalues, 1000.0, snr)
    spread = plain.std(0).norm()
    assert (mended.mean(0) - plain.mean(0)).norm() < 0.12 * spread
    assert (mended - tensor).square().mean() < 1.03 * (plain - tensor).square().mean()


@pytest.mark.parametrize(
    ("eigenvalues", "b", "snr", "share"),
    [
        ((2.0, 2.0, 2.0), 2000.0, 30.0, 0.25),  # fixed tissue's liquid, measured for the tissue
        ((2.0, 2.0, 2.0), 2000.0, 15.0, 0.55),
        ((1.7, 0.3, 0.3), 3000.0, 30.0, 0.2),
        ((1.7, 0.3, 0.3), 3000.0, 15.0, 0.45),
        ((1.7, 0.3, 0.3), 1000.0, 8.0, 0.8),
    ],
)
def test_the_floor_no_longer_holds_diffusivities_down(eigenvalues, b, snr, share):
    plain, mended, tensor = _both(eigenvalues, b, snr)
    before, after = ((x.mean(0) - tensor).norm() for x in (plain, mended))
    assert after < share * before
    assert (mended - tensor).square().mean() < 1.15 * (plain - tensor).square().mean()


def test_without_information_a_tensor_does_not_run_away():
    _, mended, _ = _both((3.0, 3.0, 3.0), 3000.0, 10.0)  # the signal is all floor
    assert mended.isfinite().all() and mended.abs().max() < 10


def test_information_of_strong_signals_is_their_square():
    log_s0, sigma = torch.zeros(1), torch.tensor([1e-3])
    tensors = torch.tensor([[1.7, 0.3, 0.3, 0, 0, 0]])
    design = design_matrix(*gradient_scheme(12))
    strong = information(tensors, log_s0, sigma, design)
    torch.testing.assert_close(strong, predict(tensors, log_s0, design).square(), rtol=1e-4, atol=0)
    weak = information(tensors, log_s0, torch.tensor([0.5]), design)
    assert bool((weak < strong).all())


def test_weak_magnitudes_of_a_scan_are_corrected_with_the_noise_it_has(brain):
    bvals, bvecs = gradient_scheme(30, b=3000.0, n_b0=3)
    design = design_matrix(bvals, bvecs)
    truth = brain.tensors * 0.8
    clean = brain.s0.unsqueeze(-1) * (truth.movedim(0, -1) @ design[:, :6].T).exp()
    dwi = add_noise(clean, 1 / 25, torch.Generator().manual_seed(1)).numpy()
    white = brain.mask & (sym3.eigvals(truth, dim=0)[2] > 1.0) & (truth[:3].mean(0) < 0.8)
    bias = {}
    for rician in (True, False):
        options = FitOptions(all_shells=True, rician=rician)
        found, _, a = fit_signals(dwi, bvals.double().numpy(), bvecs.double().numpy(), brain.mask, options=options)
        bias[rician] = (found - truth)[:3, white].mean().abs()
        assert a.sigma[brain.mask].median() == pytest.approx(1 / 25, rel=0.15)
    assert bias[True] < 0.35 * bias[False]


def test_signed_signals_have_no_floor(brain):
    """Real signals after phase removal: noise of mean zero, also below zero."""
    bvals, bvecs = gradient_scheme(30, n_b0=3)
    design = design_matrix(bvals, bvecs)
    clean = brain.s0.unsqueeze(-1) * (brain.tensors.movedim(0, -1) @ design[:, :6].T).exp()
    dwi = clean + torch.randn(clean.shape, generator=torch.Generator().manual_seed(2)) / 8
    options = FitOptions(rician=False)
    _, report, a = fit_signals(dwi.numpy(), bvals.double().numpy(), bvecs.double().numpy(), brain.mask, options=options)
    assert report.non_finite == 0 and not any("lack values" in line for line in report.messages)
    assert a.sigma[brain.mask].median() == pytest.approx(1 / 8, rel=0.06)
    assert a.residual[brain.mask].square().mean() == pytest.approx(1, abs=0.1)
