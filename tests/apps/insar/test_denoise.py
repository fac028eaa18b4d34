"""`mvnet denoise insar`: what it writes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS as CRSClass

from mvnet.apps.insar import unwrap as insar_unwrap
from mvnet.apps.insar.survey import residues
from mvnet.apps.insar.unwrap import transfer
from mvnet.models import denoise_interferogram
from mvnet.models.checkpoint import WEIGHTS
from tests.data_loaders.insar.files import CRS, TRANSFORM, tiff

SHAPE = (150, 131)


def wave(shape=SHAPE, seed=0) -> np.ndarray:
    """A noisy plane wave, complex64."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    noise = random.normal(size=shape) + 1j * random.normal(size=shape)
    return (2 * np.exp(1j * (0.3 * x - 0.1 * y)) + 0.6 * noise).astype(np.complex64)


@pytest.fixture
def phase() -> np.ndarray:
    """float32, with -9999 in a hole and a 0 that is data."""
    found = np.angle(wave()).astype(np.float32)
    found[30:60, 50:80] = -9999
    found[100, 100] = 0
    return found


def band(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("tile", [64, 72, 1024])
def test_every_tile_size_gives_what_the_network_gives_in_one_piece(tile, phase, filtered, circle_model, tmp_path):
    coherence = np.random.default_rng(1).uniform(0.2, 0.9, SHAPE).astype(np.float32)
    coherence[:10], coherence[10:20] = np.nan, 0  # unknown, none
    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    given = tiff(tmp_path / "c.tif", coherence)
    result = filtered(source, "--coherence", given, "-o", tmp_path / "out.tif", "--tile", tile)
    assert result.status == 0, result.err
    valid = phase != -9999
    z = torch.polar(torch.ones(SHAPE), torch.from_numpy(np.where(valid, phase, 0)))
    known = torch.from_numpy(coherence)
    expected = denoise_interferogram(circle_model, z, known, torch.from_numpy(valid), block=10**4)
    out, quality, mask = (band(tmp_path / f"out{end}.tif") for end in ("", "_quality", "_mask"))
    apart = np.abs(np.angle(np.exp(1j * (out - expected.phase.numpy())))[valid])
    assert apart.max() < 1e-4 and np.abs(out - phase)[valid].max() > 0.1
    assert (out[~valid] == -9999).all() and np.isnan(quality[~valid]).all() and (mask == valid).all()
    assert quality[valid] == pytest.approx(expected.confidence.numpy()[valid], abs=1e-5)
    assert quality[valid].min() >= 0 and quality[valid].max() <= 1
    made = ["out.qml", "out.tif", "out_mask.tif", "out_quality.qml", "out_quality.tif"]
    assert names(tmp_path) == ["c.tif", "in.tif", *made]


def test_files_say_where_they_come_from(phase, filtered, circle_checkpoint, tmp_path):
    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    with rasterio.open(source, "r+") as file:
        file.update_tags(PROCESSOR="test")
    assert filtered(source, "-o", tmp_path / "out.tif", "--strength", 0.5).status == 0
    with rasterio.open(tmp_path / "out.tif") as file:
        tags = file.tags()
        assert (file.crs.to_string(), file.transform, file.nodata, file.dtypes) == (CRS, TRANSFORM, -9999, ("float32",))
    weights = hashlib.sha256(circle_checkpoint.with_suffix(".safetensors").read_bytes()).hexdigest()
    assert (tags["PROCESSOR"], tags["MVNET_INPUT"], tags["MVNET_STRENGTH"]) == ("test", "in.tif", "0.5")
    assert tags["MVNET_WEIGHTS"] == f"circle, sha256 {weights}" and tags["MVNET_COHERENCE"] == "none"
    assert str(tmp_path) not in json.dumps(tags)
    with rasterio.open(tmp_path / "out_quality.tif") as file:
        assert file.descriptions[0].startswith("expected cosine of the error")


def test_control_points_survive(phase, filtered, tmp_path):
    source = tiff(tmp_path / "in.tif", phase, crs=None, transform=None, nodata=-9999)
    points = [GroundControlPoint(row, col, 10 + col, 45 - row) for row, col in ((0, 0), (0, 131), (150, 0))]
    with rasterio.open(source, "r+") as file:
        file.gcps = (points, CRSClass.from_epsg(4326))
    assert filtered(source, "-o", tmp_path / "out.tif", "--strength", 0).status == 0
    with rasterio.open(tmp_path / "out.tif") as file:
        assert [(p.row, p.col, p.x, p.y) for p in file.gcps[0]] == [(p.row, p.col, p.x, p.y) for p in points]


def test_strength_zero_returns_every_byte(phase, filtered, tmp_path):
    assert (
        filtered(tiff(tmp_path / "p.tif", phase, nodata=-9999), "-o", tmp_path / "a.tif", "--strength", 0).status == 0
    )
    assert band(tmp_path / "a.tif").tobytes() == phase.tobytes()
    z = wave()
    z[:5] = 0
    options = ["--strength", 0, "--complex"]
    assert filtered(tiff(tmp_path / "z.tif", z), "-o", tmp_path / "b.tif", *options).status == 0
    assert band(tmp_path / "b.tif").tobytes() == z.tobytes()


def test_strength_moves_along_the_shorter_arc(phase, filtered, tmp_path):
    source, found = tiff(tmp_path / "in.tif", phase, nodata=-9999), {}
    for strength in (0, 0.25, 1):
        assert filtered(source, "-o", tmp_path / f"{strength}.tif", "--strength", strength).status == 0
        found[strength] = band(tmp_path / f"{strength}.tif")[phase != -9999].astype(float)
    whole, part = (np.angle(np.exp(1j * (found[s] - found[0]))) for s in (1, 0.25))
    assert np.abs(whole).max() > 1
    assert part == pytest.approx(0.25 * whole, abs=2e-6)
    assert np.abs(found[0.25]).max() <= np.float32(np.pi)


def test_complex_output_keeps_the_amplitude_and_the_holes(filtered, tmp_path):
    z = wave()
    z[10:20, 40:60] = np.nan
    z[50, 50] = 0
    source = tiff(tmp_path / "z.tif", z)
    result = filtered(source, "-o", tmp_path / "c.tif", "--complex", "--json")
    assert result.status == 0 and json.loads(result.out)["counts"]["valid"] == z.size - 201
    assert filtered(source, "-o", tmp_path / "p.tif").status == 0
    out, angle, valid = band(tmp_path / "c.tif"), band(tmp_path / "p.tif"), np.isfinite(z) & (z != 0)
    assert out.dtype == np.complex64 and (out[~valid] == 0).all() and np.isnan(angle[~valid]).all()
    assert np.abs(out[valid]) == pytest.approx(np.abs(z[valid]), rel=1e-5)
    assert np.angle(out[valid]) == pytest.approx(angle[valid], abs=1e-5)
    assert filtered(tiff(tmp_path / "w.tif", np.angle(z)), "-o", tmp_path / "d.tif", "--complex").status == 0
    assert np.abs(band(tmp_path / "d.tif")[np.isfinite(z)]) == pytest.approx(1, abs=1e-5)  # no amplitude known


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (17, 130)])
def test_scenes_smaller_than_a_tile(shape, filtered, tmp_path):
    phase = np.angle(wave(shape)).astype(np.float32)
    phase[0, 0] = 0
    assert filtered(tiff(tmp_path / "in.tif", phase), "-o", tmp_path / "out.tif", "--tile", 64).status == 0
    assert band(tmp_path / "out.tif").shape == shape and np.isfinite(band(tmp_path / "out.tif")).all()
    assert band(tmp_path / "out_mask.tif").all()  # phase 0 is data


def test_residues_are_those_of_the_definition():
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, (20, 23)).astype(np.float32)
    valid = np.random.default_rng(1).uniform(size=phase.shape) < 0.95
    count = 0
    for i in range(19):
        for j in range(22):
            loop = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j), (i, j)]
            steps = [np.angle(np.exp(1j * (float(phase[b]) - float(phase[a])))) for a, b in pairwise(loop)]
            count += all(valid[p] for p in loop) and abs(sum(steps)) > np.pi
    assert residues(phase, valid) == count > 50


def test_json_counts_the_scene_whatever_the_tiles(phase, filtered, tmp_path):
    source, found = tiff(tmp_path / "in.tif", phase, nodata=-9999), []
    for tile in (64, 512):
        result = filtered(source, "-o", tmp_path / f"{tile}.tif", "--tile", tile, "--json")
        found.append(json.loads(result.out))
        assert "denoising on cpu" in result.err
    a, b = found
    assert a["counts"] | {"tiles": 1} == b["counts"] and a["counts"]["tiles"] == 9
    assert a["statistics"] == pytest.approx(b["statistics"], rel=1e-4)
    valid = phase != -9999
    assert a["statistics"]["residues_before"] == residues(phase, valid) > 0
    assert a["statistics"]["residues_after"] == residues(band(tmp_path / "64.tif"), valid)
    assert a["statistics"]["valid_share"] == pytest.approx(valid.mean(), rel=1e-5)
    assert a["statistics"]["mean_confidence"] == pytest.approx(np.nanmean(band(tmp_path / "64_quality.tif")), rel=1e-4)
    assert a["device"] == "cpu" and a["mpx_per_second"] > 0 and a["options"]["strength"] == 1.0
    assert set(a["timings"]) == {"read", "denoise", "survey", "write", "total"}
    assert all(Path(path).is_file() for path in a["outputs"].values())


def test_the_shipped_weights_are_the_default(phase, run, tmp_path):
    if not (WEIGHTS / "insar.safetensors").is_file():
        pytest.skip("the weights are not there")
    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    result = run("denoise", "insar", source, "-o", tmp_path / "out.tif", "--device", "cpu", "--json")
    summary = json.loads(result.out)
    assert summary["weights"]["name"] == "insar"
    assert summary["statistics"]["residues_after"] < summary["statistics"]["residues_before"]


def test_quiet_says_nothing_and_overwrite_replaces(phase, filtered, tmp_path):
    source, target = tiff(tmp_path / "in.tif", phase, nodata=-9999), tmp_path / "out.tif"
    assert filtered(source, "-o", target, "--quiet", "--strength", 0) == (0, "", "")
    status, _, err = filtered(source, "-o", target, "--quiet")
    assert status == 2 and "--overwrite" in err and band(target).tobytes() == phase.tobytes()
    assert filtered(source, "-o", target, "--quiet", "--overwrite").status == 0
    assert band(target).tobytes() != phase.tobytes()


def test_the_page_holds_its_pictures(phase, filtered, tmp_path):
    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    assert filtered(source, "-o", tmp_path / "out.tif", "--report").status == 0
    text = (tmp_path / "out_report.html").read_text()
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == len(set(pictures)) == 4 and all(
        base64.b64decode(p).startswith(b"\x89PNG") for p in pictures
    )
    assert "Residues" in text and "in.tif" in text and str(tmp_path) not in text


def test_styles_for_qgis(phase, filtered, tmp_path):
    """A cyclic ramp for the phase, its ends alike at -pi and pi; grey from 0 to 1 for the quality."""
    from xml.etree import ElementTree

    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    result = filtered(source, "-o", tmp_path / "out.tif", "--json")
    assert result.status == 0, result.err
    files = json.loads(result.out)["outputs"]
    items = ElementTree.parse(files["phase_style"]).findall(".//item")
    values = [float(item.attrib["value"]) for item in items]
    assert values == pytest.approx(np.linspace(-np.pi, np.pi, len(items)), abs=1e-5)
    assert items[0].attrib["color"] == items[-1].attrib["color"] != items[4].attrib["color"]
    grey = ElementTree.parse(files["quality_style"])
    assert [grey.findtext(f".//{end}Value") for end in ("min", "max")] == ["0", "1"]
    assert filtered(source, "-o", tmp_path / "z.tif", "--complex").status == 0
    assert not (tmp_path / "z.qml").exists() and (tmp_path / "z_quality.qml").is_file()


def test_quality_from_the_phase_alone_is_doubted() -> None:
    from mvnet.apps.insar.survey import Survey, doubts

    def scene(quality: float) -> Survey:
        nothing: Any = None
        return Survey(10, 10, 0, 0, 10 * quality, 0.0, nothing, nothing, nothing, nothing)

    assert "extrapolation" in doubts(scene(0.99), known=False)[0]
    assert doubts(scene(0.99), known=True) == doubts(scene(0.9), known=False) == []
    assert "nothing coherent" in doubts(scene(0.1), known=True)[0]


def test_large_scenes_are_decimated_for_the_page(phase, filtered, tmp_path, monkeypatch):
    from mvnet.apps.insar import report as insar_report
    from mvnet.apps.insar import survey as insar_survey

    monkeypatch.setattr(insar_survey, "OVERVIEW", 40)
    monkeypatch.setattr(insar_survey, "DETAIL", 32)
    seen = []
    layers = insar_report._layers
    monkeypatch.setattr(insar_report, "_layers", lambda pictures: (seen.append(pictures), layers(pictures))[1])
    monkeypatch.setattr(insar_report, "png", lambda figure: b"")
    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    assert filtered(source, "-o", tmp_path / "out.tif", "--report", "--tile", 64).status == 0
    overview, detail = seen
    expected = np.where(phase == -9999, np.nan, phase)[::4, ::4]
    assert overview.step == 4 and overview.before == pytest.approx(expected, abs=1e-6, nan_ok=True)
    after = np.where(phase == -9999, np.nan, band(tmp_path / "out.tif"))[::4, ::4]
    assert overview.after == pytest.approx(after, abs=1e-6, nan_ok=True)
    assert detail.after.shape == (32, 32) and detail.step == 1


@pytest.mark.parametrize("method", ["skimage", "snaphu"])
def test_unwrapping_hands_the_ambiguities_to_the_phase_as_read(method, filtered, tmp_path):
    if method == "snaphu":
        pytest.importorskip("snaphu", reason="needs mvnet[unwrap]")
    y, x = np.mgrid[:128, :128]
    true = (0.25 * x + 0.1 * y + 0.2 * np.random.default_rng(0).normal(size=x.shape)).astype(np.float32)
    true[:8, :8] = np.nan
    source = tiff(tmp_path / "in.tif", np.angle(np.exp(1j * true)).astype(np.float32))
    options = ["--strength", 0, "--unwrap", method, "--looks", 4, "--json"]
    result = filtered(source, "-o", tmp_path / "out.tif", *options)
    assert result.status == 0 and "whole scene" in result.err
    summary = json.loads(result.out)  # nothing of snaphu's on stdout
    unwrapped = band(tmp_path / "out_unwrapped.tif")
    offset = np.nanmedian(unwrapped - true)
    assert offset == pytest.approx(2 * np.pi * round(offset / (2 * np.pi)), abs=1e-3)
    assert unwrapped - offset == pytest.approx(true, abs=1e-3, nan_ok=True)
    assert (tmp_path / "out_components.tif").exists() == (method == "snaphu") == ("components" in summary["outputs"])


def test_ambiguities_are_whole_turns():
    random = np.random.default_rng(0)
    unwrapped, original = random.uniform(-50, 50, 100), random.uniform(-np.pi, np.pi, 100)
    turns = (transfer(unwrapped, original) - original) / (2 * np.pi)
    assert turns == pytest.approx(np.round(turns), abs=1e-9)
    assert np.abs(transfer(unwrapped, original) - unwrapped).max() <= np.pi + 1e-9


def test_without_snaphu_the_error_says_how_to_install_it(phase, filtered, tmp_path, monkeypatch):
    monkeypatch.setattr(insar_unwrap, "find_spec", lambda name: None)
    source = tiff(tmp_path / "in.tif", phase, nodata=-9999)
    status, _, err = filtered(source, "-o", tmp_path / "out.tif", "--unwrap", "snaphu")
    assert status == 2 and "pip install snaphu" in err and names(tmp_path) == ["in.tif"]
