"""`mvnet denoise insar --samples`: what it writes, and what it refuses before it works."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import rasterio

from mvnet.apps.insar.posterior import options as posterior_options
from mvnet.data_loaders.insar.noise import PhaseNoise
from mvnet.models import denoise_interferogram
from mvnet.models.checkpoint import load_checkpoint, save_checkpoint, weights_hash
from mvnet.models.insar.network import InSARDenoiser
from mvnet.models.insar.posterior import InSARPosterior, deviation, log_concentration_of, sample
from tests.apps.insar.test_denoise import band, names, wave
from tests.data_loaders.insar.files import CRS, TRANSFORM, tiff
from tests.models.insar.posterior.cases import known_posterior

SHAPE = (150, 131)


@pytest.fixture(scope="module")
def checkpoint(circle_checkpoint, tmp_path_factory) -> Path:
    """The small denoiser with a posterior beside it."""
    folder = tmp_path_factory.mktemp("posterior")
    for end in (".json", ".safetensors"):
        shutil.copy(circle_checkpoint.with_suffix(end), folder)
    path = folder / circle_checkpoint.name
    save_checkpoint(folder / "circle-posterior", known_posterior(), {"denoiser": {"sha256": weights_hash(path)}})
    return path


@pytest.fixture
def sampled(run, checkpoint):
    return lambda *words: run("denoise", "insar", *words, "--model", checkpoint, "--device", "cpu")


@pytest.fixture
def source(tmp_path) -> Path:
    z = wave(SHAPE)
    z[30:60, 50:80] = 0
    return tiff(tmp_path / "in.tif", z)


def bands(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        assert (file.crs.to_string(), file.transform) == (CRS, TRANSFORM)
        return file.read()


def test_files_are_those_of_the_library_whatever_the_tiles(source, sampled, checkpoint, tmp_path):
    found = {}
    for tile, workers in ((64, 2), (1024, 1)):
        words = ["-o", tmp_path / f"{tile}.tif", "--tile", tile, "--workers", workers, "--samples", 10, "--seed", 4]
        result = sampled(source, *words, "--json")
        assert result.status == 0, result.err
        found[tile] = bands(tmp_path / f"{tile}_samples.tif")
        summary = json.loads(result.out)
    assert found[64].shape == (10, *SHAPE)
    assert np.abs(np.nan_to_num(np.angle(np.exp(1j * (found[64] - found[1024]))))).max() < 1e-4
    z, model = torch.from_numpy(wave(SHAPE)), load_checkpoint(checkpoint)[0]
    z[30:60, 50:80] = 0
    noise = PhaseNoise(torch.tensor(summary["noise"]["correlation"]))
    assert isinstance(model, InSARDenoiser)
    denoised = denoise_interferogram(model, z, noise=noise)
    expected = torch.stack(list(sample(known_posterior(), z, denoised, 10, 4, noise=noise))).numpy()
    assert np.array_equal(np.isnan(expected), np.isnan(found[1024]))
    assert np.abs(np.nan_to_num(np.angle(np.exp(1j * (expected - found[1024]))))).max() < 1e-3
    sd, quality = (band(tmp_path / f"1024_{name}.tif") for name in ("phase_sd", "quality"))
    valid = np.isfinite(quality)
    assert sd[valid] == pytest.approx(deviation(log_concentration_of(torch.from_numpy(quality[valid]))).numpy())
    assert np.isnan(sd[~valid]).all()
    assert summary["statistics"]["mean_phase_sd"] == pytest.approx(sd[valid].mean(), rel=1e-4)
    assert summary["posterior"]["samples"] == 10 and summary["posterior"]["seed"] == 4
    assert {"samples", "phase_sd"} <= set(summary["outputs"])


def test_without_samples_nothing_changes(source, sampled, tmp_path):
    plain = sampled(source, "-o", tmp_path / "a.tif", "--json")
    assert sampled(source, "-o", tmp_path / "b.tif", "--samples", 2, "--quiet").status == 0
    summary = json.loads(plain.out)
    assert "posterior" not in summary and not {"samples", "seed"} & set(summary["options"])
    for end in ("", "_quality", "_mask"):
        assert band(tmp_path / f"a{end}.tif").tobytes() == band(tmp_path / f"b{end}.tif").tobytes()
    with rasterio.open(tmp_path / "a.tif") as a, rasterio.open(tmp_path / "b.tif") as b:
        more = {key: value for key, value in b.tags().items() if key not in a.tags()}
        assert set(more) == {"MVNET_POSTERIOR", "MVNET_SAMPLES"} and more["MVNET_SAMPLES"] == "2, seed 0"
    assert {f"b{end}.tif" for end in ("", "_quality", "_mask", "_samples", "_phase_sd")} <= set(names(tmp_path))


def test_ambiguity_and_the_page(source, sampled, tmp_path):
    words = ["--samples", 3, "--unwrap", "skimage", "--report", "--json", "--complex"]
    result = sampled(source, "-o", tmp_path / "out.tif", *words)
    assert result.status == 0, result.err
    found, valid = band(tmp_path / "out_ambiguity.tif"), band(tmp_path / "out_mask.tif") > 0
    assert np.array_equal(np.isfinite(found), valid)
    assert set(np.unique(np.round(found[valid] * 3, 4))) <= {0, 1, 2, 3}
    assert json.loads(result.out)["statistics"]["mean_ambiguity"] == pytest.approx(found[valid].mean(), abs=1e-5)
    page = (tmp_path / "out_report.html").read_text()
    assert "How sure is it" in page and "if neighbours erred independently" in page


def test_a_run_that_was_killed_goes_on(source, sampled, tmp_path, monkeypatch):
    from mvnet.apps.insar.posterior import outputs

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(outputs, "_draw", killed)
        assert sampled(source, "-o", tmp_path / "out.tif", "--samples", 2).status == 130
    assert names(tmp_path) == [".out.tif.partial", "in.tif"]
    result = sampled(source, "-o", tmp_path / "out.tif", "--samples", 2)
    assert result.status == 0 and "going on with 1 of 1 tiles" in result.err
    assert np.isfinite(bands(tmp_path / "out_samples.tif")[:, 0, 0]).all()
    assert ".out.tif.partial" not in names(tmp_path)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--samples", 0], "--samples: found 0, expected a number from 1 to 1000"),
        (["--samples", 1001], "--samples: found 1001, expected a number from 1 to 1000"),
        (["--samples", 2, "--strength", 0.5], "--samples: found --strength 0.5, expected 1"),
        (["--seed", 1], "--seed: found no --samples with it"),
        (["--samples", 2, "--seed", -1], "--seed: found -1"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(words, expected, source, sampled, tmp_path):
    status, out, err = sampled(source, "-o", tmp_path / "out.tif", *words)
    assert status == 2 and out == "" and expected in err and err.count("\n") == 1
    assert names(tmp_path) == ["in.tif"]


def test_a_full_disk_is_told_before_work(source, sampled, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(posterior_options.shutil, "disk_usage", lambda folder: usage._replace(free=10**6))
    status, _, err = sampled(source, "-o", tmp_path / "out.tif", "--samples", 100)
    assert status == 2 and "--samples: found 0.001 GB free" in err and "expected up to 0.00802 GB" in err
    assert names(tmp_path) == ["in.tif"]


def test_posteriors_of_other_weights(source, run, circle_checkpoint, checkpoint, tmp_path):
    command = ("denoise", "insar", source, "-o", tmp_path / "out.tif", "--samples", 2, "--device", "cpu")
    status, _, err = run(*command, "--model", circle_checkpoint)
    assert status == 2 and "posterior: found none" in err and "mvnet train insar --posterior --from" in err
    other = tmp_path / "other"
    other.mkdir()
    for path in checkpoint.parent.iterdir():
        shutil.copy(path, other)
    save_checkpoint(other / "circle-posterior", known_posterior(), {"denoiser": {"sha256": "0" * 64}})
    status, _, err = run(*command, "--model", other / "circle")
    assert status == 2 and "of a denoiser with SHA-256 0000000000000000, expected that of" in err
    assert sorted(names(tmp_path)) == ["in.tif", "other"]


def test_a_short_fit_writes_weights_and_card(run, checkpoint, tmp_path, monkeypatch):
    from mvnet.models.insar.posterior import fit

    monkeypatch.setattr(fit, "FEWEST", 50)
    words = ["--posterior", "--from", checkpoint, "-o", tmp_path / "run", "--steps", 2, "--patch", 40, "--quiet"]
    assert run("train", "insar", *words).status == 0
    head, card = load_checkpoint(tmp_path / "run" / "circle-posterior")
    assert isinstance(head, InSARPosterior)
    assert torch.allclose(head.coefficients.norm(dim=-1), torch.tensor(1.0))
    assert card["denoiser"] == {"name": "circle", "sha256": weights_hash(checkpoint)} and card["patches"] == 2
    status, _, err = run("train", "insar", "--posterior", "-o", tmp_path / "run")
    assert status == 2 and "--posterior: found no --from" in err
