"""The scenes, the ways through ours and the targets of `benchmarks.dti` and `benchmarks.field_dti`, small."""

import numpy as np
import pytest

from benchmarks.dti import accuracy, scan_time
from benchmarks.dti.ours import denoised, denoised_tensors, shipped_or
from benchmarks.field_dti import __main__ as field
from benchmarks.field_dti import lesions, methods, scenes
from mvnet.apps.demo import peers as compare


@pytest.fixture(scope="module")
def model():
    return shipped_or(None)


def small_scan(snr: float = 20.0):
    shape = (10, 9, 5)
    x, y, _ = scenes.grid(shape)
    mask = np.hypot(x, y) < 5
    tensors = scenes.axial(np.broadcast_to([0.6, 0.8, 0.0], (*shape, 3)), 0.8, 0.7)
    return scenes.noisy_scan(tensors, np.full(shape, scenes.SIGNAL), mask, snr, scenes.scheme(12)), tensors[mask]


def test_axial_tensors_have_their_diffusivity_anisotropy_and_axis():
    direction = np.array([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]])
    tensors = scenes.axial(direction, 0.77, 0.43)
    assert scenes.md_of(tensors) == pytest.approx(0.77) and scenes.fa_of(tensors) == pytest.approx(0.43)
    assert np.abs((np.linalg.eigh(tensors)[1][..., 2] * direction).sum(-1)) == pytest.approx(1)


def test_a_scan_without_noise_is_fitted_by_its_truth():
    (_, clean, _), truth = small_scan()
    fitted = compare.fit(clean.dwi, clean.bvals, clean.bvecs, clean.mask) * 1e3
    assert scenes.ai(fitted, truth).max() < 1e-4 and scenes.angle(fitted, truth).max() < 0.01


def test_correlated_noise_keeps_its_deviation():
    clean = np.full((20, 20, 20, 4), 100.0)
    for blur in (0.0, 0.6):
        found = scenes.rician(clean, 3.0, 0, blur) - clean
        assert found.std() == pytest.approx(3.0, rel=0.05)
        neighbours = np.corrcoef(found[1:].ravel(), found[:-1].ravel())[0, 1]
        # 2 w (1 + w^4) / (1 + 2 w^2) with w = exp(-1 / (2 blur^2)), the kernel's value one voxel off
        assert neighbours == pytest.approx(0.445 if blur else 0.0, abs=0.03)


def test_kurtosis_bends_the_signal_at_high_b():
    b, g = scenes.shells(1000, 3000, n=6, n_b0=1)
    tensors, s0 = np.eye(3)[None] * 0.5, np.ones(1)
    plain, bent = (scenes.signals(tensors, s0, b, g, kurtosis)[0] for kurtosis in (0.0, 1.0))
    assert plain[0] == bent[0] == 1 and np.allclose(bent[1:7], np.exp(-0.5 + 0.25 / 6))
    assert np.allclose(bent[7:], np.exp(-1.5 + 1.5**2 / 6)) and np.allclose(plain[7:], np.exp(-1.5))


def test_ours_of_a_scan_and_of_its_tensors(model):
    (scan, _, _), truth = small_scan()
    found = denoised(model, scan)
    assert found.raw.shape == found.tensors.shape == truth.shape and found.error.shape == truth.shape[:1]
    assert scenes.ai(found.raw, truth * 1e-3).mean() > scenes.ai(found.tensors, truth * 1e-3).mean()
    same = denoised_tensors(model, found.raw, scan)
    assert same.raw == pytest.approx(found.raw, rel=1e-4, abs=1e-9) and same.volume.acquisition is None
    kept = denoised(model, scan, strength=0.0)
    assert np.array_equal(kept.tensors, kept.raw)


def test_rows_and_targets(model):
    (scan, _, sigma), truth = small_scan()
    setup = methods.Setup(True, model)
    rows = methods.scored(methods.tensors_of(setup, scan, sigma), truth * 1e-3, case="x")
    assert [row["method"] for row in rows] == ["raw WLS", "mvnet", "log-Euclidean Gauss 0.5"]
    (target,) = methods.ahead(rows, "x")
    assert target.met == (rows[1]["ai_rmse"] < min(rows[0]["ai_rmse"], rows[2]["ai_rmse"]))
    assert methods.between("y", 1.0, 1.0, 1.0).met and not methods.below("z", float("nan"), 1.0).met


def test_lesions_are_where_they_should_be():
    tensors, kind, mask = lesions.scene()
    assert mask.shape == lesions.SHAPE and set(np.unique(kind)) == {-1, *range(len(lesions.KINDS))}
    for name, volume in (("MD 1", 2), ("MD 2", 16), ("FA 3", 54), ("inlay 2", 16)):
        assert (kind == lesions.KINDS.index(name)).sum() == volume
    of = {name: tensors[kind == k] for k, name in enumerate(lesions.KINDS)}
    assert scenes.md_of(of["MD 2"]) == pytest.approx(1.3) and scenes.fa_of(of["FA 2"]) == pytest.approx(0.243)
    assert scenes.fa_of(of["wire"]) == pytest.approx(0.746)
    assert scenes.ai(of["MD 1"], tensors[2, 2, 2][None]) == pytest.approx(1.87, abs=0.02)


def test_twelve_directions_against_thirty():
    base = {"ai_rmse": 0.4, "fa_mae": 0.06, "v1_deg": 10.0, "dev_rmse": 0.4}
    rows = [
        {"directions": count, "method": method, **{k: v * factor for k, v in base.items()}}
        for count in scan_time.COUNTS
        for method, factor in (("raw WLS", 30 / count), ("mvnet", 12 / count))
    ]
    targets = scan_time.targets_of(rows)
    assert [target.value for target in targets[:8]] == pytest.approx([1.0] * 4 + [2 / 1.5] * 4)
    assert not any(target.met for target in targets)


def test_targets_count_the_cells():
    scores = {"ai_rmse": 0.2, "fa_mae": 0.1, "v1_deg": 5.0, "dev_rmse": 0.2}
    rows = []
    for case in ("A SNR 30", "B 6 directions"):
        rows += [
            {"case": case, "method": m, **{k: v * f for k, v in scores.items()}} for m, f in (("mvnet", 1), ("x", 2))
        ]
    last = accuracy.targets_of(rows)[-1]
    assert last.value == 6 and last.target == "all 6" and last.met


def test_every_part_is_a_module_with_a_measure():
    from importlib import import_module

    for part in field.PARTS:
        assert callable(import_module(f"benchmarks.field_dti.{part}").measure)
