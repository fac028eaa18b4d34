"""The noises, the scenes and the measures of `benchmarks.field_insar`, small."""

import argparse
import json
from importlib import import_module

import numpy as np
import pytest
import torch

import mvnet
from benchmarks.field_insar import __main__ as field
from benchmarks.field_insar import calibration, methods, noises, real, sparse, water
from benchmarks.field_insar.methods import Setup
from benchmarks.insar.cases import Case, Trial
from benchmarks.insar.peers import Peer
from benchmarks.insar.scenes import true_phase, wrapped
from mvnet.models.insar.network import InSARDenoiser

EVERY_NOISE = {"white": noises.white, **noises.CORRELATED, **noises.OTHERS}
FLAT = np.zeros((96, 96))


@pytest.fixture(scope="module")
def setup() -> Setup:
    torch.manual_seed(0)
    return Setup(True, InSARDenoiser().eval())


def lag_one(z: np.ndarray, axis: int) -> float:
    """Correlation of the neighbours along an axis."""
    one, other = np.delete(z, -1, axis), np.delete(z, 0, axis)
    return abs(np.vdot(one, other)) / np.sqrt(np.vdot(one, one).real * np.vdot(other, other).real)


@pytest.mark.parametrize("name", EVERY_NOISE)
def test_noises_are_seeded_and_keep_the_phase(name):
    phase = np.indices(FLAT.shape).sum(0) / 20
    make = EVERY_NOISE[name]
    z = make(phase, 1.0, 3)
    assert z.dtype == np.complex64 and z.shape == phase.shape
    assert np.array_equal(z, make(phase, 1.0, 3)) and not np.array_equal(z, make(phase, 1.0, 4))
    assert np.median(np.abs(wrapped(np.angle(z) - phase))) < 0.1
    noise = np.exp(1j * np.angle(make(FLAT, 0.0, 3)))
    assert abs(noise.mean()) < 0.06


# Of the product of two images whose own correlation is r: r squared. An ideal low-pass of 1 / f has
# r = sin(pi / f) f / pi; a box of n pixels 1 - 1 / n; a Gaussian of deviation s exp(-1 / (4 s^2)).
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("white", 0.0),
        ("oversampled 1.5", (np.sin(np.pi / 1.5) * 1.5 / np.pi) ** 2),
        ("oversampled 2", (2 / np.pi) ** 2),
        ("boxcar 3", 2 / 3),
        ("Gaussian 1", np.exp(-1 / 4)),
        ("bilinear x2", 0.75),
        ("nearest x2", 0.5),
    ],
)
def test_neighbours_are_correlated_as_they_should_be(name, expected):
    z = EVERY_NOISE[name](np.zeros((256, 256)), 0.0, 1)
    for axis in (0, 1):
        assert lag_one(z, axis) == pytest.approx(expected, abs=0.03)


def test_a_map_of_coherence_is_that_of_the_noise():
    coherence = np.where(np.arange(96) < 48, 0.0, 0.9) * np.ones((96, 1))
    for name, make in EVERY_NOISE.items():
        phasor = np.exp(1j * np.angle(make(FLAT, coherence, 0)))
        assert abs(phasor[:, :40].mean()) < 0.1 and abs(phasor[:, 56:].mean()) > 0.7, name


def test_more_looks_are_less_noise():
    found = [methods.rmse(np.angle(noises.multilooked(FLAT, 0.5, 0, looks)), FLAT) for looks in (1, 4, 16)]
    assert found[0] > 1.2 > found[1] > 2 * found[2]


def test_rows_targets_and_the_cache(setup, tmp_path):
    truth, asked = np.indices((64, 64)).sum(0) / 20, []

    def counted(z: np.ndarray, error: float) -> np.ndarray:
        asked.append(error)
        return truth + error

    peers = {"a": Peer(counted, (0.5, 0.1)), methods.BOXCAR_5: Peer(counted, (0.3,))}
    z = noises.white(truth, 0.5, 0)
    case = Case("white", "0.5", z, truth, Trial(z, truth), peers)
    cached = Setup(True, setup.model, tmp_path)
    rows = [methods.compare(cached, case) for _ in range(2)]
    assert rows[0] == rows[1] and asked == [0.5, 0.1, 0.1, 0.3]
    assert rows[0]["best peer"] == "a" and rows[0]["its RMSE"] == pytest.approx(0.1)
    assert rows[0][methods.BOXCAR_5] == pytest.approx(0.3) and rows[0]["raw"] == pytest.approx(1.33, abs=0.05)
    (kept,) = tmp_path.iterdir()
    assert json.loads(kept.read_text())["a (0.5, 0.1)"] == rows[0]["its RMSE"]
    more = {**peers, "b": Peer(counted, (0.2,))}
    assert methods.peer_errors(cached, Case("", "", z, truth, Trial(z, truth), more))["b"] == pytest.approx(0.2)
    assert asked[4:] == [0.2]
    (target,) = methods.ahead(rows[:1])
    assert target.met == (rows[0][methods.OURS] < 0.1)


def test_water_leaves_the_land_in_one_piece():
    from skimage.measure import label

    for seed in water.SEEDS:
        wet = water.water(128, seed)
        assert 0.05 < wet.mean() < 0.2
        for part in (wet, ~wet):
            assert np.max(np.asarray(label(part, connectivity=1))) == 1


def test_area_under_the_curve():
    random = np.random.default_rng(0)
    low = random.standard_normal(4000)
    assert water.area_under_curve(low + 9, low) == 1 and water.area_under_curve(low, low) == 0.5
    # P(x + 1 > y) of two standard normals is Phi(1 / sqrt 2)
    assert water.area_under_curve(random.standard_normal(4000) + 1, low) == pytest.approx(0.7602, abs=0.02)


def test_whole_cycles_common_to_all_are_not_wrong():
    truth, where = true_phase(256)[:64, :64], np.ones((64, 64), bool)
    assert water.percent_off(truth + 4 * np.pi + 0.1, truth, where) == 0
    shifted = truth + 2 * np.pi * (np.arange(64) < 16)
    assert water.percent_off(shifted, truth, where) == pytest.approx(25)


def test_halves_of_a_plane_agree():
    y, x = np.indices((40, 30))
    z = np.exp(1j * (0.4 * x + 0.3 * y)).astype(np.complex64)
    z[10, 5] = 0
    found = real.split(np.angle, z)
    assert found.shape == (19, 30) and np.isnan(found).sum() == 2
    assert np.nanmax(np.abs(found)) < 1e-5
    judged = real.judged(lambda image: np.angle(image * np.exp(0.1j)), z, (slice(0, 40), slice(2, 30)))
    assert judged["removed"] == pytest.approx(0.1, abs=1e-5) and judged["residues"] == 0
    assert judged["split rms"] < 1e-5


def test_the_mean_of_the_nearest_points():
    z = np.zeros((20, 20), complex)
    z[3, 3], z[3, 4], z[15, 15], z[15, 16] = 1j, 1, -1, -1
    found = sparse.nearest_mean(z, 2)
    assert found[3, 3] == found[3, 4] == pytest.approx(np.pi / 4)
    assert abs(found[15, 15]) == pytest.approx(np.pi) and found[0, 0] == 0
    kept, phase = sparse.sparse_scene(64, 0.03, 0.1, seed=0)
    assert (kept != 0).mean() == pytest.approx(0.1, abs=0.02) and phase.shape == (64, 64)


def test_bins_of_the_quality():
    quality = np.array([0.05, 0.95, 0.31, 1.0, 0.0, 0.39, 0.5, 0.6, 0.7, 0.8])
    assert [quality[i].tolist() for i in calibration.deciles(quality)] == [[q] for q in sorted(quality)]
    found = calibration.tenths(quality)
    assert [len(i) for i in found] == [2, 0, 0, 2, 0, 1, 1, 1, 1, 2] and found[9].tolist() == [1, 3]


@pytest.mark.parametrize("part", [part for part in field.PARTS if part != "water"])
def test_every_part_runs(setup, part):
    rows, targets = import_module(f"benchmarks.field_insar.{part}").measure(setup)
    assert (rows or part == "real") and all(np.isfinite(target.value) for target in targets)


def test_the_quality_of_water_is_ranked(setup, monkeypatch):
    monkeypatch.setattr(water, "find_spec", lambda name: None)
    rows, targets = water.measure(setup)
    assert [row["water"] for row in rows] == list(water.NOISES) and len(targets) == len(rows)


def test_the_command_unwraps_the_phase_of_an_array(setup):
    pytest.importorskip("snaphu", reason="needs mvnet[unwrap]")
    z = noises.white(np.indices((64, 64)).sum(0) / 5, 0.99, 0)
    found = water.unwrapped_by_command(setup, z)
    assert np.abs(wrapped(found - np.angle(z))).max() < 1e-3 and np.ptp(found) > 2 * np.pi


def test_no_part_is_all_parts(capsys):
    parser = argparse.ArgumentParser()
    field._add_options(parser)
    assert parser.parse_args([]).parts == [] and parser.parse_args(["real", "null"]).parts == ["real", "null"]
    with pytest.raises(SystemExit):
        parser.parse_args(["nothing"])
    assert "found nothing, expected some of correlated" in capsys.readouterr().err


def test_a_part_and_a_checkpoint_can_be_named(setup, tmp_path, monkeypatch, capsys):
    mvnet.save_model(tmp_path / "one", setup.model, {"task": "insar"})
    monkeypatch.setattr("sys.argv", ["", "sparse", "--quick", "--json", "-", "--model", str(tmp_path / "one")])
    field.main()
    result = json.loads(capsys.readouterr().out)
    assert len(result["rows"]) == 4 and len(result["bars"]) == 2
    assert result["rows"] == json.loads(json.dumps(sparse.measure(setup)[0]))
