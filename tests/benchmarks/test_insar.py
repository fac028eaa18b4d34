"""The scenes, the peers and the scores of `benchmarks.insar`, on small images."""

import math

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("pywt", reason="needs mvnet[peers]")
from benchmarks.insar import accuracy as insar
from benchmarks.insar import cases
from benchmarks.insar.calibration import calibration, mean_cosine, von_mises_deviation
from benchmarks.insar.peers import LIGHT_NOISE, PEERS, Peer, goldstein
from benchmarks.insar.scenes import (
    ROUGHNESS,
    coherence_map,
    least_error,
    phasor_deviation,
    residues,
    single_look,
    standard_surface,
    true_phase,
    wrapped,
)
from mvnet.data_loaders.insar.phase_statistics import phase_standard_deviation, resultant_length
from mvnet.models.insar.network import InSARDenoiser


@pytest.mark.parametrize("coherence", [0.3, 0.5, 0.7, 0.9])
def test_noise_is_that_of_one_look(coherence):
    z = single_look(np.zeros((300, 300)), coherence, seed=7)
    assert z.dtype == np.complex64 and np.mean(z).real == pytest.approx(coherence, abs=0.01)
    assert np.angle(z).std() == pytest.approx(phase_standard_deviation(coherence).item(), rel=0.01)
    r = resultant_length(coherence).item()
    assert phasor_deviation(coherence) == pytest.approx(math.sqrt((1 - r**2) / 2), abs=0.002)


def test_scene_is_steep_seeded_and_nearly_without_residues():
    phase = true_phase(256)
    assert np.ptp(phase) == pytest.approx(88.4, abs=0.05) and residues(wrapped(phase)) == 8
    assert np.array_equal(phase, true_phase(256)) and not np.array_equal(phase, true_phase(256, seed=1))
    g = coherence_map(256)
    assert g.max() == pytest.approx(0.95) and g[g > 0].min() >= 0.15
    assert (g == 0).mean() == pytest.approx(math.pi * 0.08**2, rel=0.02)


def test_the_lower_bound_is_what_the_wiener_filter_reaches():
    """Of a Gaussian surface in Gaussian noise, where it is attained."""
    n, coherence, random = 128, 0.5, np.random.default_rng(3)
    noise = (1 - coherence**2) / (2 * coherence**2)
    surface = ROUGHNESS * standard_surface(n, seed=0)
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.fftfreq(n))
    frequency[0, 0] = np.inf
    power = np.abs(np.fft.fft2(surface)) ** 2 * frequency**4  # white, but for chance
    spectrum = power[frequency < np.inf].mean() / n**2 * frequency**-4.0
    seen = np.fft.fft2(surface + noise**0.5 * random.standard_normal((n, n)))
    found = np.fft.ifft2(seen * spectrum / (spectrum + noise)).real
    error = np.sqrt(np.mean((found - surface) ** 2))
    assert least_error(n, coherence) == pytest.approx(error, rel=0.03)


def test_a_vortex_is_a_residue():
    y, x = np.indices((20, 20)) - 9.5
    assert residues(np.arctan2(y, x)) == 1
    assert residues(wrapped(x + 2 * y)) == 0


@pytest.mark.parametrize("name", PEERS)
def test_peers_remove_noise(name):
    truth = 0.15 * np.indices((64, 64)).sum(0)
    z = single_look(truth, 0.9, seed=3)
    for peer in (PEERS[name], LIGHT_NOISE[name]):
        phase = peer.filter(z, peer.parameters[0])
        assert phase.shape == truth.shape and np.isfinite(phase).all()
        assert cases.scores(phase, truth)["rmse"] < cases.scores(np.angle(z), truth)["rmse"]


def test_goldstein_without_exponent_passes_everything():
    z = single_look(true_phase(64), 0.9, seed=3)[:57, :50]
    np.testing.assert_allclose(goldstein(z, 0.0), np.angle(z), atol=2e-4)


def test_von_mises_moments():
    for kappa in (0.01, 0.5, 3.0, 40.0, 900.0):
        e = np.linspace(-math.pi, math.pi, 40001)
        weights = stats.vonmises.pdf(e, kappa)
        weights /= weights.sum()
        assert von_mises_deviation(np.array(kappa)) == pytest.approx(math.sqrt((weights * e**2).sum()), rel=1e-3)
        assert mean_cosine(np.array(kappa)) == pytest.approx((weights * np.cos(e)).sum(), abs=1e-4)


def test_a_map_that_is_right_is_calibrated():
    random = np.random.default_rng(0)
    kappa = np.exp(random.uniform(-1, 4, 60_000))
    rows = calibration("test", random.vonmises(0, kappa), kappa)
    assert len(rows) == 9 and rows[-1]["off"] < 0.01
    assert all(row["predicted rmse"] == pytest.approx(row["realised rmse"], rel=0.03) for row in rows)
    assert calibration("test", random.vonmises(0, kappa), 4 * kappa)[-1]["off"] > 0.05


def test_rows_and_bars_of_a_case():
    case = next(iter(cases.simulated("steep", seed=9, n=64)))
    two = {"boxcar": PEERS["boxcar"], "truth": Peer(lambda z, p: wrapped(case.truth) + p, (1.0, 0.0))}
    case = cases.Case(**{**vars(case), "peers": two})
    rows, found = insar.compare(InSARDenoiser(), case, unwrap=True)
    assert [row["method"] for row in rows] == ["none", "boxcar", "truth", insar.OURS]
    assert rows[2]["parameter"] == "0.0" and rows[2]["rmse"] < 1e-6 and found.phase.shape == (64, 64)
    assert not insar.below_all(case, rows).met


def test_artificial_image_is_a_noisy_unit_phasor():
    case = cases.artificial(quick=True)
    assert np.abs(np.abs(case.z) - 1).max() < 1e-6 and "BM3D" not in case.peers
    assert cases.scores(np.angle(case.z), case.truth)["rmse"] == pytest.approx(0.3, rel=0.02)


def test_real_interferogram(data_root):
    pytest.importorskip("rasterio", reason="needs mvnet[insar]")
    first, second = cases.real(data_root, quick=True)
    assert first.truth is second.truth and first.scored is not None and first.scored.mean() > 0.3
    noise = cases.scores(np.angle(first.z), first.truth)["rmse"]
    assert noise == pytest.approx(phase_standard_deviation(0.5).item(), rel=0.02)
