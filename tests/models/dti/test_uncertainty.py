"""Expected errors: the formulas of FA and MD against perturbed tensors, and what a trust region leaves."""

import pytest
import torch

from mvnet.linalg import sym3
from mvnet.manifolds import SPDField
from mvnet.metrics import fractional_anisotropy, mean_diffusivity
from mvnet.models.dti.uncertainty import CHI_MEAN, estimate, tensor_sigma
from mvnet.nn.trust_region import chi_quantile

SPD = SPDField(dim=0)


def tensors(n: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return 0.75 * sym3.exp(0.5 * torch.randn(6, n, generator=random, dtype=torch.float64), dim=0)


def test_sigmas_are_those_of_small_affine_invariant_errors():
    given, noise, draws = tensors(4), 1e-3, 20_000
    random = torch.Generator().manual_seed(1)
    errors = noise * torch.randn(draws, 6, generator=random, dtype=torch.float64)
    for k in range(4):
        root = torch.linalg.cholesky(sym3.unpack(given[:, k], dim=0))
        moved = sym3.pack(root @ torch.linalg.matrix_exp(sym3.unpack(errors)) @ root.T)  # (draws, 6)
        fa, md = tensor_sigma(given[:, k : k + 1], torch.tensor([noise], dtype=torch.float64))
        assert float(fractional_anisotropy(moved, dim=1).std()) == pytest.approx(float(fa), rel=0.03)
        assert float(mean_diffusivity(moved, dim=1).std()) == pytest.approx(float(md), rel=0.03)
        distance = SPD.dist(given[:, k : k + 1].expand(6, draws), moved.T)
        assert float(distance.mean()) == pytest.approx(CHI_MEAN * noise, rel=0.02)


def test_isotropic_tensors_have_finite_sigmas():
    round_ = torch.tensor([1.0, 1, 1, 0, 0, 0])[:, None]
    fa, md = tensor_sigma(round_, torch.tensor([0.1]))
    assert bool(fa.isfinite().all()) and float(md) == pytest.approx(0.1 / 3**0.5)


def test_outside_the_region_the_error_is_that_of_the_measurement():
    measured = tensors(3)
    near, far = SPD.geodesic(measured, tensors(3, 1), torch.full((3,), 0.01)), tensors(3, 2) * 30
    noise = torch.full((3,), 0.05, dtype=torch.float64)
    log_error = torch.full((3,), 0.02, dtype=torch.float64).log()
    inside = estimate(measured, near, log_error, None, noise, None, chi_quantile(0.99))
    torch.testing.assert_close(inside.error, log_error.exp())
    assert torch.equal(inside.tensors, near) and bool((inside.kept == 1).all())
    outside = estimate(measured, far, log_error, None, noise, None, chi_quantile(0.99))
    torch.testing.assert_close(outside.error, CHI_MEAN * noise, rtol=0.01, atol=0)
    assert float(SPD.dist(measured, outside.tensors).max()) < 4.1 * 0.05


def test_predicted_factors_scale_the_sigmas():
    measured = tensors(3)
    noise = torch.zeros(3, dtype=torch.float64)
    log_error = torch.zeros(3, dtype=torch.float64)
    spread = torch.tensor([[0.5] * 3, [-0.3] * 3], dtype=torch.float64)
    plain = estimate(measured, measured, log_error, None, noise, None, 4.1)
    scaled = estimate(measured, measured, log_error, spread, noise, None, 4.1)
    torch.testing.assert_close(scaled.fa_error, plain.fa_error * torch.tensor(0.5).exp())
    torch.testing.assert_close(scaled.md_error, plain.md_error * torch.tensor(-0.3).exp())


def test_no_error_is_expected_beyond_that_of_a_measurement_moved_without_reason():
    measured = tensors(3)
    proposed = SPD.geodesic(measured, tensors(3, 1), torch.full((3,), 0.02))
    noise = torch.full((3,), 0.05, dtype=torch.float64)
    found = estimate(measured, proposed, torch.zeros(3, dtype=torch.float64), None, noise, None, 4.1)
    moved = SPD.dist(measured, found.tensors)
    torch.testing.assert_close(found.error, torch.hypot(moved, CHI_MEAN * noise))
