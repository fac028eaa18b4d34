"""The simulator: brain-like, positive definite, seeded, with the noise it promises."""

import pytest
import torch

from mvnet.data_loaders.dti.simulation import (
    add_noise,
    clean_signal,
    simulate_brain,
    simulate_dwi,
    simulate_pair,
    white_matter_signal,
)
from mvnet.data_loaders.dti.simulation.schemes import METHODS, gradient_scheme
from mvnet.data_loaders.random_fields import smooth_field
from mvnet.errors import MvnetError
from mvnet.linalg import sym3
from mvnet.metrics import fractional_anisotropy, mean_diffusivity

ADULT = (65.0, 80.0, 60.0)


@pytest.fixture(scope="module")
def field():
    return simulate_brain((40, 44, 36), seed=5, voxel_size=2.0)


def test_tensors_are_positive_definite_everywhere(field):
    values = sym3.eigvals(field.tensors, dim=0)
    assert values.min() > 0.1 and values.max() < 4.5
    assert not field.s0[~field.mask].any() and (field.s0[field.mask] > 0).all()


def test_the_histograms_are_brain_like(field):
    fa = fractional_anisotropy(field.tensors, dim=0)[field.mask]
    md = mean_diffusivity(field.tensors, dim=0)[field.mask]
    p5, p50, p95 = fa.quantile(torch.tensor([0.05, 0.5, 0.95]))
    assert p5 < 0.1 and 0.15 < p50 < 0.45 and 0.5 < p95 < 0.85
    assert 0.7 < md.median() < 0.9
    water = (md > 2.2).float().mean()
    assert 0.01 < water < 0.3
    white = (fa > 0.4).float().mean()
    assert 0.1 < white < 0.6
    # T2 contrast: water brighter than grey matter brighter than white matter
    s0 = field.s0[field.mask]
    grey = (fa < 0.2) & (md < 1)
    assert s0[md > 2.2].median() > 1.5 * s0[grey].median() > 1.5 * s0[fa > 0.4].median()
    assert white_matter_signal(field.tensors, field.s0) == pytest.approx(1, abs=0.2)


def test_neighbours_resemble_each_other_along_bundles(field):
    fa = fractional_anisotropy(field.tensors, dim=0)
    e1 = torch.linalg.eigh(sym3.unpack(field.tensors, dim=0)).eigenvectors[..., 2]
    both = field.mask[1:] & field.mask[:-1] & (fa[1:] > 0.5) & (fa[:-1] > 0.5)
    cosine = (e1[1:] * e1[:-1]).sum(-1).abs()[both]
    assert cosine.median() > 0.97


@pytest.mark.parametrize("keywords", [{}, {"semi_axes": ADULT}, {"voxel_size": 1.25, "semi_axes": ADULT}])
def test_seeds_reproduce_and_differ(keywords):
    one, same, other = (simulate_brain((16, 14, 12), seed=s, **keywords) for s in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.tensors, other.tensors)
    assert one.mask.any()


def test_a_part_of_an_adult_brain_is_mostly_inside():
    shares = [simulate_brain((16, 16, 16), seed=s, semi_axes=ADULT).mask.float().mean() for s in range(6)]
    assert torch.stack(shares).mean() > 0.6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [6, 15, 64, 128])
def test_directions_are_spread_over_the_half_sphere(n, method):
    bvals, bvecs = gradient_scheme(n, b=1200, n_b0=3, seed=4, method=method)
    assert bvals.tolist() == [0] * 3 + [1200] * n and not bvecs[:3].any()
    g = bvecs[3:].double()
    torch.testing.assert_close(g.norm(dim=1), torch.ones(n).double(), atol=1e-6, rtol=0)
    angle = torch.rad2deg((g @ g.T).abs().fill_diagonal_(0).clamp(max=1).acos().min(1).values)
    even = 63.4 * (6 / n) ** 0.5  # the six axes of the icosahedron, scaled by area
    assert angle.min() > (0.8 if method == "repulsion" else 0.5) * even
    # the mean of g g^T is close to I / 3: no preferred direction
    assert (g.T @ g / n - torch.eye(3) / 3).abs().max() < 0.08
    again = gradient_scheme(n, b=1200, n_b0=3, seed=4, method=method)[1]
    assert torch.equal(again, bvecs) and not torch.equal(gradient_scheme(n, seed=5, method=method)[1][1:], g.float())


def test_six_directions_repel_into_the_icosahedron():
    g = gradient_scheme(6, seed=9)[1][1:].double()
    off = (g @ g.T).abs()[~torch.eye(6, dtype=torch.bool)]
    torch.testing.assert_close(off, torch.full_like(off, 5**-0.5), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"n": 5}, "n: found 5"),
        ({"n": 6, "b": 1.0}, "s/mm"),
        ({"n": 6, "n_b0": 0}, "n_b0"),
        ({"n": 6, "method": "x"}, "method"),
    ],
)
def test_scheme_arguments_are_checked(keywords, message):
    with pytest.raises(ValueError, match=message):
        gradient_scheme(**keywords)


@pytest.mark.parametrize("coils", [1, 4])
@pytest.mark.parametrize("amplitude", [0.0, 0.5, 3.0])
def test_second_moment_of_the_noise(amplitude, coils, generator):
    """E S^2 = A^2 + 2 n sigma^2, for the Rician (n = 1) and the noncentral chi distribution."""
    sigma, count = 0.7, 200_000
    s = add_noise(torch.full((count,), amplitude), sigma, generator, coils)
    expected = amplitude**2 + 2 * coils * sigma**2
    spread = (4 * sigma**2 * amplitude**2 + 4 * coils * sigma**4) ** 0.5 / count**0.5  # of the mean of S^2
    assert s.square().mean().item() == pytest.approx(expected, abs=5 * spread)
    assert (s >= 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"snr": 0}, "snr: found 0, expected a positive number"),
        ({"coils": 0}, "coils: found 0, expected at least 1"),
        ({"s0": torch.zeros(4, 4, 4)}, "s0: found no positive signal, expected some"),
    ],
)
def test_scans_that_cannot_be_simulated(change, message, generator):
    known = {"s0": torch.ones(4, 4, 4), "snr": 20, "coils": 1} | change
    with pytest.raises(MvnetError, match=message):
        tensors = torch.tensor([1.0, 1, 1, 0, 0, 0])[:, None, None, None].expand(6, 4, 4, 4)
        simulate_dwi(tensors, known["s0"], *gradient_scheme(6), known["snr"], generator, known["coils"])


def test_snr_is_white_matter_signal_over_sigma(field, generator):
    bvals, bvecs = gradient_scheme(6, n_b0=8)
    dwi, sigma = simulate_dwi(field.tensors, field.s0, bvals, bvecs, 20.0, generator)
    fa = fractional_anisotropy(field.tensors, dim=0)
    white = field.mask & (fa > 0.4)
    assert field.s0[white].median().item() / sigma == pytest.approx(20, rel=1e-5)
    measured = (dwi - clean_signal(field.tensors, field.s0, bvals, bvecs))[white][:, :8].std().item()
    assert measured == pytest.approx(sigma, rel=0.03)
    background = dwi[~field.mask]  # Rayleigh
    assert background.square().mean().item() == pytest.approx(2 * sigma**2, rel=0.03)


def test_signal_decays_by_the_tensor():
    tensor = sym3.pack(torch.diag(torch.tensor([2.0, 1.0, 0.5])), dim=0)[:, None]
    bvals, bvecs = torch.tensor([0.0, 1000.0, 2000.0]), torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 1]])
    signal = clean_signal(tensor, torch.tensor([3.0]), bvals, bvecs)
    torch.testing.assert_close(signal, 3 * torch.exp(-torch.tensor([[0.0, 2.0, 1.0]])))


@pytest.mark.parametrize("seed", [0, 1])
def test_pairs(seed):
    pair, same = (simulate_pair(seed, shape=(16, 16, 16)) for _ in range(2))
    assert torch.equal(pair.noisy, same.noisy)
    assert 7 <= len(pair.bvals) <= 129 and 5 <= pair.snr <= 40
    for planes in (pair.noisy, pair.clean):
        assert sym3.eigvals(planes, dim=0).min() > 0.05
    assert torch.equal(pair.noisy[:, ~pair.mask], pair.clean[:, ~pair.mask])
    assert not pair.b0[~pair.mask].any()


def test_error_falls_with_snr_and_directions():
    def error(n, snr):
        p = simulate_pair(3, (16, 16, 16), n_directions=n, snr=snr)
        return (p.noisy - p.clean)[:, p.mask].square().mean().sqrt()

    assert error(64, 20.0) < 0.7 * error(12, 20.0)
    assert error(30, 30.0) < 0.6 * error(30, 10.0)


def test_smooth_fields_have_unit_variance_and_the_asked_correlation(generator):
    f = smooth_field(4, (60, 50, 40), 5.0, generator, torch.device("cpu"))
    assert f.shape == (4, 60, 50, 40)
    assert f.var().item() == pytest.approx(1, abs=0.2)

    def correlation(k):
        return (f[:, k:] * f[:, :-k]).mean() / f.square().mean()

    assert correlation(1) > 0.9 and correlation(20).abs() < 0.2
