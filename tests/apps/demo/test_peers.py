"""Peers and scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mvnet.apps.demo import peers as compare
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi
from mvnet.linalg import sym3


@pytest.fixture(scope="module")
def case():
    """A small simulated brain at SNR 10, b0 last: dwi, bvals, bvecs, mask, sigma, truth (n, 3, 3) mm^2/s."""
    tensors, mask, s0 = simulate_brain((14, 14, 12), seed=5)
    bvals, bvecs = (x.flip(0) for x in gradient_scheme(16, seed=5))
    dwi, sigma = simulate_dwi(tensors, s0, bvals, bvecs, snr=10, generator=torch.Generator().manual_seed(5))
    truth = sym3.unpack(tensors[:, mask].T.contiguous(), dim=-1).double().numpy() * 1e-3
    dwi, bvals, bvecs = (100 * dwi).double().numpy(), bvals.double().numpy(), bvecs.double().numpy()
    return dwi, bvals, bvecs, mask.numpy(), 100 * float(sigma), truth


def random_tensors(n: int, seed: int) -> np.ndarray:
    a = np.random.default_rng(seed).normal(size=(n, 3, 3))
    return 1e-3 * (a @ np.swapaxes(a, 1, 2) + 0.1 * np.eye(3))


def test_scores_of_a_perfect_result_are_zero():
    tensors = random_tensors(50, 0)
    assert all(abs(value) < 1e-5 for value in compare.scores(tensors, tensors).values())


def test_scores_of_known_differences():
    truth = random_tensors(200, 1)
    scaled = compare.scores(np.e * truth, truth)
    assert scaled["ai_rmse"] == pytest.approx(np.sqrt(3))  # |log(e I)|
    assert [scaled[k] for k in ("fa_mae", "v1_deg", "dev_rmse")] == pytest.approx([0, 0, 0], abs=1e-5)

    c, s = np.cos(0.3), np.sin(0.3)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    rod = np.diag([3.0, 1.0, 1.0])[None]
    turned = compare.scores(turn @ rod @ turn.T, rod)
    assert turned["v1_deg"] == pytest.approx(np.degrees(0.3)) and turned["fa_mae"] == pytest.approx(0, abs=1e-12)


def test_the_affine_invariant_score_is_affine_invariant():
    tensors, truth = random_tensors(80, 2), random_tensors(80, 3)
    a = np.random.default_rng(4).normal(size=(3, 3))
    moved = compare.scores(a @ tensors @ a.T, a @ truth @ a.T)
    assert moved["ai_rmse"] == pytest.approx(compare.scores(tensors, truth)["ai_rmse"])


def test_the_angle_needs_anisotropic_truth():
    assert np.isnan(compare.scores(np.eye(3)[None], np.eye(3)[None])["v1_deg"])


def test_fit_recovers_noiseless_tensors(case):
    _, bvals, bvecs, mask, _, truth = case
    truth = compare._spectral(truth, lambda w: np.clip(w, *compare.EIGENVALUE_RANGE))
    dwi = np.zeros((*mask.shape, len(bvals)))
    dwi[mask] = 100 * np.exp(-bvals * np.einsum("mi,nij,mj->nm", bvecs, truth, bvecs))
    assert compare.fit(dwi, bvals, bvecs, mask) == pytest.approx(truth, abs=1e-8)


def test_the_gaussian_keeps_constants_and_does_nothing_at_width_zero(case):
    mask = case[3]
    n = int(mask.sum())
    constant = np.broadcast_to(random_tensors(1, 6), (n, 3, 3))
    assert compare.log_gauss(constant, mask, 1.0) == pytest.approx(constant, rel=1e-9)
    tensors = random_tensors(n, 7)
    assert compare.log_gauss(tensors, mask, 1e-3) == pytest.approx(tensors, rel=1e-9)


@pytest.mark.parametrize("name", compare.denoisers)
def test_every_peer_returns_a_finite_signal_and_changes_no_input(name, case):
    dwi, bvals, bvecs, mask, sigma, _ = case
    copy = dwi.copy()
    clean = compare.denoisers[name](dwi, bvals, bvecs, mask, sigma)
    assert clean.shape == dwi.shape and np.isfinite(clean).all()
    assert np.array_equal(dwi, copy)
    assert compare.scores(compare.fit(clean, bvals, bvecs, mask), case[-1])["ai_rmse"] < 1.0


@pytest.mark.parametrize("name", ["DIPY mppca", "DIPY localpca", "DIPY nlmeans"])
def test_peers_help_at_low_snr(name, case):
    dwi, bvals, bvecs, mask, sigma, truth = case
    raw = compare.scores(compare.fit(dwi, bvals, bvecs, mask), truth)["ai_rmse"]
    clean = compare.denoisers[name](dwi, bvals, bvecs, mask, sigma)
    assert compare.scores(compare.fit(clean, bvals, bvecs, mask), truth)["ai_rmse"] < raw


def test_patch2self_does_not_care_where_the_b0_is(case):
    dwi, bvals, bvecs, mask, sigma, _ = case
    order = np.roll(np.arange(len(bvals)), 1)  # the b0 from last to first
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr]
    last = compare.dipy_patch2self(dwi, bvals, bvecs, mask, sigma)
    first = compare.dipy_patch2self(dwi[..., order], bvals[order], bvecs[order], mask, sigma)
    assert np.array_equal(first, last[..., order])
    assert np.array_equal(last[..., -1], dwi[..., -1])  # the single b0 is kept
    assert np.array_equal(np.random.get_state()[1], state)  # type: ignore[index]
