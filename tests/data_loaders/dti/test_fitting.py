"""The batched weighted fit and the noise it predicts for itself."""

import numpy as np
import pytest
import torch
from dipy.core.gradients import gradient_table
from dipy.reconst.dti import TensorModel

from mvnet.data_loaders.dti.fitting import acquisition_maps, clip_eigenvalues, design_matrix, fit_wls, spatial_deviation
from mvnet.data_loaders.dti.simulation import gradient_scheme
from mvnet.data_loaders.dti.simulation.signals import add_noise, clean_signal
from mvnet.linalg import sym3


def _scan(brain, n, snr, seed=0, dtype=torch.float64):
    bvals, bvecs = gradient_scheme(n, n_b0=2, seed=seed)
    tensors, s0 = brain.tensors[:, brain.mask].to(dtype), brain.s0[brain.mask].to(dtype)
    clean = clean_signal(tensors, s0, bvals, bvecs)
    if snr is None:
        return clean, bvals, bvecs, tensors, s0
    return add_noise(clean, 1 / snr, torch.Generator().manual_seed(seed)), bvals, bvecs, tensors, s0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [6, 30])
def test_a_noise_free_signal_is_fitted_exactly(brain, n, dtype):
    signal, bvals, bvecs, tensors, s0 = _scan(brain, n, None, dtype=dtype)
    log_s0, fitted = fit_wls(signal, design_matrix(bvals, bvecs).to(dtype))
    tolerance = 2e-3 if dtype == torch.float32 else 1e-6
    torch.testing.assert_close(fitted, tensors.T, rtol=0, atol=tolerance)
    torch.testing.assert_close(log_s0.exp(), s0, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("snr", [10.0, 30.0])
def test_the_fit_agrees_with_dipys_wls(brain, snr):
    signal, bvals, bvecs, *_ = _scan(brain, 32, snr)
    _, ours = fit_wls(signal, design_matrix(bvals, bvecs).double())
    table = gradient_table(bvals.numpy(), bvecs=bvecs.numpy().astype(float))
    fit = TensorModel(table, fit_method="WLS", min_signal=1e-9).fit(signal.numpy())
    theirs = sym3.pack(torch.tensor(fit.quadratic_form), dim=1) * 1e3
    positive = sym3.eigvals(ours)[:, 0] > 0.01  # DIPY lifts the others
    assert positive.float().mean() > 0.8
    torch.testing.assert_close(ours[positive], theirs[positive], rtol=1e-4, atol=1e-4)


def test_noise_maps_predict_the_error(brain):
    signal, bvals, bvecs, tensors, _ = _scan(brain, 40, 30.0)
    design = design_matrix(bvals, bvecs).double()
    log_s0, fitted = fit_wls(signal, design)
    fitted = clip_eigenvalues(fitted, 0.1, 4.0)
    maps = acquisition_maps(signal, fitted, log_s0, design, brain.mask)
    inside = brain.mask
    tissue = tensors[:3].mean(0) < 1.2
    assert maps.sigma[inside][tissue].median() == pytest.approx(1 / 30, rel=0.1)
    assert maps.residual[inside].square().mean() == pytest.approx(1, abs=0.1)
    left = sym3.invsqrt(tensors.T.contiguous())
    distance = sym3.log(sym3.congruence(left, fitted)).square().sum(1)[tissue]
    predicted = 6 * maps.noise[inside][tissue].square()
    assert distance.median() == pytest.approx(predicted.median().item(), rel=0.35)


def test_seven_volumes_tell_the_noise_by_their_neighbours(brain):
    signal, bvals, bvecs, *_ = _scan(brain, 6, 30.0)
    signal, design = signal[:, 1:], design_matrix(bvals, bvecs).double()[1:]  # one b0
    log_s0, fitted = fit_wls(signal, design)
    fitted = clip_eigenvalues(fitted, 0.1, 4.0)
    maps = acquisition_maps(signal, fitted, log_s0, design, brain.mask)
    assert 1 < 30 * maps.sigma[brain.mask].median() < 1.5  # voxels of 3 mm: edges everywhere
    assert bool((maps.noise[maps.sigma > 0] > 0).all()) and not maps.residual.any()
    nothing = acquisition_maps(signal[:, 1:], fitted, log_s0, design[1:], brain.mask)
    assert not nothing.sigma.any() and not nothing.noise.any()


@pytest.mark.parametrize("shape", [(12, 13, 14), (16, 16, 1)])
def test_differences_of_neighbours_see_white_noise_and_no_plane(shape, generator):
    mask = torch.ones(shape, dtype=torch.bool)
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
    ramps = torch.stack(axes).flatten(1)
    signal = 50 + (ramps.T @ torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)).expand(-1, 7)
    assert spatial_deviation(signal, mask).max() < 1e-12
    noisy = signal + 0.5 * torch.randn(signal.shape, generator=generator, dtype=torch.float64)
    found = spatial_deviation(noisy, mask)
    assert found.mean() == pytest.approx(0.5, rel=0.05)
    turned = spatial_deviation(noisy.view(*shape, 7).flip(0, 1).flatten(0, 2), mask)
    torch.testing.assert_close(turned, found.flip(0, 1), rtol=1e-12, atol=0)
    part = spatial_deviation(noisy.view(*shape, 7)[:10].flatten(0, 2), mask[:10])
    torch.testing.assert_close(part[:7], found[:7], rtol=1e-12, atol=0)


def test_shapes_are_checked(brain):
    with pytest.raises(ValueError, match="bvecs"):
        design_matrix(torch.zeros(7), torch.zeros(6, 3))
    with pytest.raises(ValueError, match="mask"):
        acquisition_maps(torch.ones(3, 9), torch.ones(3, 6), torch.ones(3), torch.ones(9, 7), brain.mask)


def test_values_whose_squares_are_not_finite_are_no_measurement():
    """A damaged value is left out as NaN is; noise and tensors stay finite."""
    from mvnet.data_loaders.dti.fit.missing import find_missing, is_measured

    signal = np.array([[1.0, 2.0, np.inf, np.nan, 1e13, -2e38]], dtype=np.float32)
    assert is_measured(signal).tolist() == [[True, True, False, False, False, False]]
    assert find_missing(signal).tolist() == [[False, False, True, True, True, True]]
