"""The trust region: bounded moves, whatever is proposed; nothing inside it changes; rotations commute with it."""

import math

import pytest
import torch
from scipy.stats import chi

from mvnet.data_loaders.dti.fit.precision import size_noise_ratio, tensor_precision
from mvnet.data_loaders.dti.fitting import design_matrix
from mvnet.data_loaders.dti.frames import cube_symmetries, mandel_rotation
from mvnet.errors import MvnetError
from mvnet.linalg import sym3
from mvnet.manifolds import SPDField
from mvnet.nn.trust_region import chi_quantile, share_kept, standard_deviations

SPD = SPDField(dim=0)
BVALS = torch.cat([torch.zeros(2), torch.full((20,), 1000.0)]).double()


def tensors(n: int, spread: float, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return 0.75 * sym3.exp(spread * torch.randn(6, n, generator=random, dtype=torch.float64), dim=0)


def directions(seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    g = torch.nn.functional.normalize(torch.randn(len(BVALS), 3, generator=random, dtype=torch.float64), dim=1)
    return g * (BVALS > 0)[:, None]


def test_quantile_is_that_of_six_normal_components():
    assert chi_quantile(0.99) == pytest.approx(chi.ppf(0.99, 6)) == pytest.approx(4.1, abs=0.01)
    assert chi_quantile(1) == math.inf
    for wrong in (0, -1, 1.5, math.nan):
        with pytest.raises(MvnetError, match="probability: found"):
            chi_quantile(wrong)


@pytest.mark.parametrize("known", [False, True])
def test_nothing_leaves_the_region_and_nothing_inside_it_moves(known: bool):
    measured, proposed = tensors(300, 0.2, 1), tensors(300, 0.5, 2)
    snr = torch.linspace(1, 60, 300, dtype=torch.float64)
    design = design_matrix(BVALS, directions())
    how = {
        "precision": tensor_precision(measured.T, snr, design) if known else None,
        "noise": torch.linspace(0.02, 2.0, 300, dtype=torch.float64),
    }
    radius = chi_quantile(0.99)
    distance = standard_deviations(measured, proposed, **how)
    kept = share_kept(distance, radius)
    after = standard_deviations(measured, SPD.geodesic(measured, proposed, kept), **how)
    assert float(after.max()) <= radius * (1 + 1e-9)
    inside = distance <= radius
    assert inside.any() and bool((kept[inside] == 1).all())
    assert bool((kept[~inside] < 1).all())
    torch.testing.assert_close(after, torch.minimum(distance, radius**3 / distance**2), rtol=1e-8, atol=1e-9)


def test_the_farther_a_proposal_the_nearer_to_the_measurement():
    distance = torch.linspace(5, 100, 50, dtype=torch.float64)
    moved = share_kept(distance, 4.1) * distance
    assert bool((moved.diff() < 0).all()) and float(moved[-1]) < 0.01


def test_unknown_noise_is_no_bound():
    measured, proposed = tensors(5, 0.2, 1), tensors(5, 0.5, 2)
    distance = standard_deviations(measured, proposed, precision=None, noise=torch.zeros(5, dtype=torch.float64))
    assert bool((share_kept(distance, 4.1) == 1).all())
    assert bool((share_kept(torch.tensor([1e9]), math.inf) == 1).all())


def test_every_symmetry_of_the_cube_commutes_with_the_region():
    """Turning tensors and b-vectors turns the covariance, and leaves distances as they are."""
    measured, proposed, g = tensors(20, 0.3, 1), tensors(20, 0.4, 2), directions()
    snr = torch.full((20,), 20.0, dtype=torch.float64)
    noise = torch.ones(20, dtype=torch.float64)

    def distance(m: torch.Tensor, p: torch.Tensor, bvecs: torch.Tensor) -> torch.Tensor:
        precision = tensor_precision(m.T, snr, design_matrix(BVALS, bvecs))
        return standard_deviations(m, p, precision=precision, noise=noise)

    expected = distance(measured, proposed, g)
    for q in cube_symmetries():
        turn, rotation = torch.from_numpy(mandel_rotation(q)), torch.from_numpy(q)
        found = distance(turn @ measured, turn @ proposed, g @ rotation.T)
        assert float(((found - expected) / expected).abs().max()) < 1e-12


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_precision_is_the_inverse_covariance_of_the_whole_fit(dtype: torch.dtype, tolerance: float):
    """The block of (A^T W A)^-1 that belongs to the tensor, inverted; W = s^4 / (s^2 + 1) of s = S / sigma."""
    measured = tensors(10, 0.3, 3).T
    design = design_matrix(BVALS, directions())
    signal = 25.0 * (measured @ design[:, :6].T).exp()
    weights = signal**4 / (signal**2 + 1)
    whole = torch.linalg.inv(torch.einsum("nm,ma,mb->nab", weights, design, design))
    expected = torch.linalg.inv(whole[:, :6, :6])
    found = tensor_precision(measured.to(dtype), torch.full((10,), 25.0, dtype=dtype), design.to(dtype)).double()
    assert float((found - expected).norm() / expected.norm()) < tolerance


def test_size_of_a_tensor_is_noisier_the_fewer_images_have_no_weighting():
    """Against the covariance of log det D / sqrt 3 and of all six components, from perturbed signals."""
    measured = tensors(1, 0.2, 5).T
    random = torch.Generator().manual_seed(0)
    ratios = []
    for base in (1, 20):
        bvals = torch.cat([torch.zeros(base), torch.full((30,), 1000.0)]).double()
        g = torch.nn.functional.normalize(torch.randn(len(bvals), 3, generator=random, dtype=torch.float64), dim=1)
        design = design_matrix(bvals, g)
        clean = (measured @ design[:, :6].T).exp()  # (1, M)
        signal = clean + 1e-4 * torch.randn(20_000, len(bvals), generator=random, dtype=torch.float64)
        fitted = torch.linalg.lstsq(clean[0, :, None] * design, (clean[0] * signal.log()).T).solution[:6].T
        moved = SPD.dist(measured.T.expand(6, len(fitted)), fitted.T).square().mean() / 6
        size = (sym3.eigvals(fitted).log().sum(1) - sym3.eigvals(measured).log().sum()).square().mean() / 3
        ratios.append(float(size_noise_ratio(measured, design)))
        assert ratios[-1] == pytest.approx(float((size / moved).sqrt()), rel=0.03)
    assert ratios[0] > 1.2 * ratios[1]
