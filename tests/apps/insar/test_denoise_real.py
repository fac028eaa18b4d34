"""`mvnet denoise insar` on a real Sentinel-1 pair; skipped without MVNET_DATA."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import rasterio


@pytest.fixture(scope="module")
def source(data_root):
    return data_root / "insar/eo_tools/phi_vv.tif"


def test_strength_zero_gives_the_file_back(source, filtered, tmp_path):
    result = filtered(source, "-o", tmp_path / "out.tif", "--strength", 0, "--tile", 256)
    assert result.status == 0 and "coherence: coh_vv.tif" in result.err
    with rasterio.open(source) as a, rasterio.open(tmp_path / "out.tif") as b:
        assert a.read(1).tobytes() == b.read(1).tobytes()
        for name in ("crs", "transform", "nodata", "bounds", "shape", "dtypes", "colorinterp", "gcps", "res"):
            assert getattr(a, name) == getattr(b, name), name
        assert a.tags().items() <= b.tags().items() and a.tags(1).items() <= b.tags(1).items()


def test_denoised_phase_has_the_holes_and_the_place_of_the_input(source, filtered, tmp_path):
    result = filtered(source, "-o", tmp_path / "out.tif", "--json", "--unwrap", "skimage", "--complex")
    assert result.status == 0, result.err
    summary = json.loads(result.out)
    assert summary["counts"]["pixels"] - summary["counts"]["valid"] == 62965
    assert summary["statistics"]["residues_before"] == 82
    with rasterio.open(source) as file:
        phase, places = file.read(1), (file.crs, file.transform, file.shape)
    valid = phase != -9999
    bands = {}
    for name, path in summary["outputs"].items():
        if path.endswith(".qml"):
            continue
        with rasterio.open(path) as file:
            assert (file.crs, file.transform, file.shape) == places
            bands[name] = file.read(1)
    np.testing.assert_array_equal(bands["mask"] == 1, valid)
    assert (bands["phase"][~valid] == -9999).all() and np.abs(bands["phase"][valid]) == pytest.approx(1, abs=1e-5)
    assert np.isnan(bands["quality"][~valid]).all() and np.isnan(bands["unwrapped"][~valid]).all()
    turns = (bands["unwrapped"] - phase)[valid] / (2 * np.pi)
    assert turns == pytest.approx(np.round(turns), abs=1e-4)
