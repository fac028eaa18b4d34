"""`mvnet denoise insar` on bad input: one line on stderr, exit status 2, nothing written, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
from affine import Affine

from mvnet.data_loaders.errors import DataError
from tests.apps.files import tree
from tests.data_loaders.insar.files import tiff

SHAPE = (80, 100)


def good(folder: Path) -> Path:
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, SHAPE).astype(np.float32)
    return tiff(folder / "in.tif", phase)


def coherence(folder: Path, shape=SHAPE, **profile) -> list[object]:
    return ["--coherence", tiff(folder / "c.tif", np.full(shape, 0.5, np.float32), **profile)]


def missing_file(folder):
    return [folder / "nowhere.tif"], "no such file"


def existing_output(folder):
    (folder / "out.tif").write_text("mine")
    return [good(folder)], "--overwrite"


def existing_map(folder):
    (folder / "out_quality.tif").write_text("mine")
    return [good(folder)], "out_quality.tif exists"


def existing_style(folder):
    (folder / "out.qml").write_text("mine")
    return [good(folder)], "out.qml exists"


def output_before_input(folder):
    (folder / "bad.tif").write_text("no raster")
    return [folder / "bad.tif", "-o", folder / "out.png"], "ending in .tif"


def folder_of_files(folder):
    place = folder / "many"
    place.mkdir()
    for name in ("notes.txt", *(f"{k}.tif" for k in range(9))):
        (place / name).write_text("x")
    return [place], "with 0.tif, 1.tif, 2.tif, 3.tif, 4.tif, 5.tif, 6.tif, 7.tif and 1 more, expected the name of one"


def empty_folder(folder):
    (folder / "none").mkdir()
    return [folder / "none"], "empty, expected the name of one"


def existing_page(folder):
    (folder / "out_report.html").write_text("mine")
    return [good(folder), "--report"], "out_report.html exists"


def output_is_the_input(folder):
    source = good(folder)
    return [source, "-o", source, "--overwrite"], "is an input"


def output_is_the_coherence(folder):
    return [good(folder), *coherence(folder), "-o", folder / "c.tif", "--overwrite"], "is an input"


def output_of_another_kind(folder):
    return [good(folder), "-o", folder / "out.png"], "ending in .tif"


def output_in_no_folder(folder):
    return [good(folder), "-o", folder / "no" / "out.tif"], "no such folder"


def unknown_format(folder):
    (folder / "notes.txt").write_text("hello")
    return [folder / "notes.txt"], "unknown format"


def format_not_known(folder):
    return [good(folder), "--format", "nitf"], "'nitf'"


def empty_file(folder):
    (folder / "empty.tif").touch()
    return [folder / "empty.tif"], "empty"


def truncated_tiff(folder):
    source = good(folder)
    source.write_bytes(source.read_bytes()[:9000])
    return [source], "truncated"


def damaged_tile(folder):
    source = tiff(folder / "d.tif", np.random.default_rng(0).uniform(-1, 1, (300, 300)), compress="deflate")
    data = bytearray(source.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    source.write_bytes(data)
    return [source], "truncated or damaged"


def amplitudes(folder):
    return [tiff(folder / "a.tif", np.random.default_rng(0).rayleigh(100, SHAPE).astype(np.float32))], "in radians"


def degrees(folder):
    return [tiff(folder / "a.tif", np.random.default_rng(0).uniform(-180, 180, SHAPE))], "in radians"


def whole_numbers(folder):
    return [tiff(folder / "a.tif", np.ones(SHAPE, np.uint8))], "uint8"


def no_valid_pixel(folder):
    return [tiff(folder / "n.tif", np.full(SHAPE, np.nan, np.float32))], "no pixel with data"


def nothing_but_nodata(folder):
    return [tiff(folder / "n.tif", np.zeros(SHAPE, np.float32), nodata=0)], "no pixel with data"


def another_crs(folder):
    return [good(folder), *coherence(folder, crs="EPSG:32633")], "CRS"


def another_shape(folder):
    return [good(folder), *coherence(folder, (80, 99), crs=None, transform=None)], "(80, 99)"


def another_place(folder):
    return [good(folder), *coherence(folder, transform=Affine(0.001, 0, 11.0, 0, -0.002, 45.0))], "pixels away"


def coherence_above_one(folder):
    path = tiff(folder / "c.tif", np.full(SHAPE, 7, np.float32))
    return [good(folder), "--coherence", path], "expected 0 to 1"


def missing_coherence(folder):
    return [good(folder), "--coherence", folder / "c.tif"], "no such file"


def no_such_band(folder):
    return [good(folder), "--band", 3], "band 3"


def strength_above_one(folder):
    return [good(folder), "--strength", 1.5], "1.5, expected a number in [0, 1]"


def strength_nan(folder):
    return [good(folder), "--strength", "nan"], "[0, 1]"


def looks_below_one(folder):
    return [good(folder), "--looks", 0], "--looks"


def small_tile(folder):
    return [good(folder), "--tile", 8], "--tile: found 8, expected at least 64"


def small_overlap(folder):
    return [good(folder), "--overlap", 1], "--overlap: found 1"


def no_worker(folder):
    return [good(folder), "--workers", 0], "--workers"


def unknown_unwrapper(folder):
    return [good(folder), "--unwrap", "magic"], "'magic', expected one of skimage, snaphu"


def a_line_to_unwrap(folder):
    return [tiff(folder / "l.tif", np.zeros((1, 50), np.float32)), "--unwrap", "skimage"], "at least two rows"


def unknown_device(folder):
    return [good(folder), "--device", "abacus"], "'abacus'"


def no_scheduler(folder):
    pytest.importorskip("distributed", reason="needs mvnet[insar]")
    return [good(folder), "--scheduler", "tcp://127.0.0.1:9"], "--scheduler"


def missing_model(folder):
    return [good(folder), "--model", folder / "nothing"], "checkpoint: found no file"


CASES = [
    missing_file,
    existing_output,
    existing_map,
    existing_page,
    output_is_the_input,
    output_is_the_coherence,
    output_of_another_kind,
    output_in_no_folder,
    unknown_format,
    format_not_known,
    empty_file,
    truncated_tiff,
    damaged_tile,
    amplitudes,
    degrees,
    whole_numbers,
    no_valid_pixel,
    nothing_but_nodata,
    another_crs,
    another_shape,
    another_place,
    coherence_above_one,
    missing_coherence,
    no_such_band,
    strength_above_one,
    strength_nan,
    looks_below_one,
    small_tile,
    small_overlap,
    no_worker,
    unknown_unwrapper,
    a_line_to_unwrap,
    unknown_device,
    no_scheduler,
    missing_model,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_bad_input_is_one_line_and_leaves_nothing(case, run, circle_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("mvnet.apps.common.cluster._PATIENCE", 1)
    arguments, words = case(tmp_path)
    before = tree(tmp_path)
    defaults = ["--quiet", "--json"]
    for name, value in (("-o", tmp_path / "out.tif"), ("--device", "cpu"), ("--model", circle_checkpoint)):
        defaults += [] if name in arguments else [name, value]  # an option is given once
    status, out, err = run("denoise", "insar", *defaults, *arguments)
    assert status == 2
    assert out == "" and err.count("\n") == 1 and err.startswith("mvnet: error: ")
    assert words in err
    assert "Traceback" not in err and len(err) < 400
    assert tree(tmp_path) == before


def test_weights_of_another_network_are_refused(run, checkpoint, tmp_path):
    source = good(tmp_path)
    status, _, err = run("denoise", "insar", source, "-o", tmp_path / "out.tif", "--quiet", "--model", checkpoint)
    assert status == 2 and "found a DTIDenoiser" in err and err.count("\n") == 1


def test_unwrapped_phases_are_taken_with_a_word(filtered, tmp_path):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    source = tiff(tmp_path / "unw.tif", (0.4 * x + 0.3 * y).astype(np.float32))
    result = filtered(source, "-o", tmp_path / "out.tif", "--json")
    assert result.status == 0 and "taken as unwrapped" in result.err
    assert any("unwrapped" in message for message in json.loads(result.out)["messages"])


@pytest.mark.parametrize("error", [DataError("in.tif: damaged"), PermissionError(13, "Permission denied")])
def test_damage_found_half_way_keeps_the_tiles_that_are_done(error, filtered, tmp_path, monkeypatch):
    from mvnet.models.insar import raster as insar_tiles

    usual, calls = insar_tiles.read_tile, []

    def read_tile(*arguments):
        calls.append(1)
        if len(calls) > 2:
            raise error
        return usual(*arguments)

    source = good(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(insar_tiles, "read_tile", read_tile)
        status, _, err = filtered(source, "-o", tmp_path / "out.tif", "--quiet", "--tile", 64)
    assert status == 2 and err.count("\n") == 1
    assert ".out.tif.partial/done.txt" in tree(tmp_path) and not (tmp_path / "out.tif").exists()
