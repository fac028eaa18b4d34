"""The batched weighted fit and the noise it predicts for itself."""

import pytest
import torch
from dipy.core.gradients import gradient_table
from dipy.reconst.dti import TensorModel

from mvnet.data_loaders.signals import add_noise, clean_signal
from mvnet.data_loaders.simulate_dti import gradient_scheme
from mvnet.data_loaders.tensor_fit import acquisition_maps, clip_eigenvalues, design_matrix, fit_wls
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


def test_seven_volumes_leave_the_noise_unknown(brain):
    bvals, bvecs = gradient_scheme(6)
    tensors, s0 = brain.tensors[:, brain.mask], brain.s0[brain.mask]
    signal = clean_signal(tensors, s0, bvals, bvecs)
    maps = acquisition_maps(signal, tensors.T, s0.log(), design_matrix(bvals, bvecs), brain.mask)
    assert not maps.sigma.any() and not maps.noise.any() and not maps.residual.any()


def test_shapes_are_checked(brain):
    with pytest.raises(ValueError, match="bvecs"):
        design_matrix(torch.zeros(7), torch.zeros(6, 3))
    with pytest.raises(ValueError, match="mask"):
        acquisition_maps(torch.ones(3, 9), torch.ones(3, 6), torch.ones(3), torch.ones(9, 7), brain.mask)
