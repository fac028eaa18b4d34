"""The coherence of an interferogram: its unit, its grid, what is unknown, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.data_loaders.insar import DataError, open_interferogram
from mvnet.data_loaders.insar.memory import read_interferogram
from tests.data_loaders.insar.files import TRANSFORM, gamma, tiff

SHAPE = (40, 60)


@pytest.fixture
def z() -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.standard_normal(SHAPE) + 1j * random.standard_normal(SHAPE)).astype(np.complex64)


@pytest.fixture
def smooth() -> np.ndarray:
    """A coherence whose bilinear interpolation is exact, in (0.1, 0.9)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (0.1 + 0.01 * x + 0.004 * y).astype(np.float32)


UNITS = {
    "unit": (1, "float32", None),
    "per cent": (100, "float32", "100 for 1"),
    "bytes as floats": (255, "float32", "255 for 1"),
    "per cent in bytes": (100, "uint8", "100 for 1"),
    "bytes": (255, "uint8", "255 for 1"),
    "10000ths": (10000, "int16", "10000 for 1"),
    "10000ths unsigned": (10000, "uint16", "10000 for 1"),
    "65535ths": (65535, "uint16", "65535 for 1"),
}


@pytest.mark.parametrize("name", UNITS)
def test_units_are_recognised_and_said(name, z, tmp_path):
    full, dtype, words = UNITS[name]
    g = np.random.default_rng(1).uniform(0, 0.99, SHAPE)
    stored = g * full if dtype == "float32" else np.round(g * full)
    image = open_interferogram(tiff(tmp_path / "a.tif", z), tiff(tmp_path / "c.tif", stored.astype(dtype)))
    np.testing.assert_allclose(image.read().coherence, g, atol=0.6 / full if dtype != "float32" else 1e-6)
    assert words is None or any(words in message for message in image.messages)
    found = read_interferogram(z, stored.astype(dtype)).read().coherence
    np.testing.assert_array_equal(found, image.read().coherence)


@pytest.mark.parametrize("stored", [np.full(SHAPE, 7.0), np.full(SHAPE, np.nan), np.full(SHAPE, 3e5)])
def test_values_of_no_unit_are_refused_before_anything_is_read(stored, z, tmp_path):
    with pytest.raises(DataError, match=r"0 to 1.*--coherence none"):
        open_interferogram(tiff(tmp_path / "a.tif", z), tiff(tmp_path / "c.tif", stored))


def test_a_stray_value_is_clipped_and_said(z, smooth, tmp_path):
    smooth[5, 6] = 1.02
    image = open_interferogram(tiff(tmp_path / "a.tif", z), tiff(tmp_path / "c.tif", smooth))
    assert image.read().coherence[5, 6] == 1
    assert any("lie above 1" in message and "clipped" in message for message in image.messages)


def test_zero_is_known_and_nothing_is_not(z, smooth, tmp_path):
    z[:10] = 0
    smooth[:20], smooth[20, 0], smooth[21, 0], smooth[22, 0] = 0, np.nan, -9999, -0.01
    path = tiff(tmp_path / "a.tif", z)
    found = open_interferogram(path, tiff(tmp_path / "c.tif", smooth)).read()
    assert np.isnan(found.coherence[:10]).all() and (found.coherence[10:20] == 0).all()
    assert np.isnan(found.coherence[20:22, 0]).all() and found.coherence[22, 0] == 0
    declared = open_interferogram(path, tiff(tmp_path / "d.tif", np.nan_to_num(smooth), nodata=0)).read()
    assert np.isnan(declared.coherence[:21, 0]).all() and declared.coherence[30, 30] == smooth[30, 30]
    in_memory = read_interferogram(z, smooth).read().coherence
    np.testing.assert_array_equal(in_memory, found.coherence)


def test_an_undeclared_fill_value_is_unknown(z, smooth, tmp_path):
    smooth[:, :20] = 9.969209968386869e36
    image = open_interferogram(tiff(tmp_path / "a.tif", z), tiff(tmp_path / "c.tif", smooth))
    found = image.read().coherence
    assert np.isnan(found[:, :20]).all()
    np.testing.assert_array_equal(found[:, 20:], smooth[:, 20:])
    assert any("unknown" in message for message in image.messages)


def _half(folder, g):
    """Means of 2 x 2 pixels."""
    coarse = g.reshape(SHAPE[0] // 2, 2, SHAPE[1] // 2, 2).mean((1, 3))
    return tiff(folder / "c.tif", coarse, transform=TRANSFORM @ Affine.scale(2))


def _larger(folder, g):
    y, x = np.mgrid[-5 : SHAPE[0] + 7, -8 : SHAPE[1] + 2]
    values = (0.1 + 0.01 * x + 0.004 * y).clip(0, 1).astype(np.float32)
    return tiff(folder / "c.tif", values, transform=TRANSFORM @ Affine.translation(-8, -5))


def _finer(folder, g):
    return tiff(folder / "c.tif", np.kron(g, np.ones((3, 3), np.float32)), transform=TRANSFORM @ Affine.scale(1 / 3))


@pytest.mark.parametrize("write", [_half, _larger, _finer])
def test_another_grid_is_resampled_by_georeference(write, z, smooth, tmp_path):
    image = open_interferogram(tiff(tmp_path / "a.tif", z), write(tmp_path, smooth))
    found = image.read().coherence
    np.testing.assert_allclose(found[1:-1, 1:-1], smooth[1:-1, 1:-1], atol=2e-3)
    assert np.isfinite(found).all()
    assert any("resampled by georeference" in message for message in image.messages)
    for window in ((slice(0, 9), slice(5, 30)), (slice(33, 40), slice(59, 60))):
        np.testing.assert_allclose(image.read(window).coherence, found[window], atol=1e-6)


def test_another_projection_is_resampled(z, tmp_path):
    import rasterio.warp

    g = np.full((300, 300), 0.5, np.float32)
    west, south, east, north = rasterio.warp.transform_bounds("EPSG:4326", "EPSG:32632", 9.9, 44.8, 10.2, 45.1)
    place = Affine((east - west) / 300, 0, west, 0, (south - north) / 300, north)
    image = open_interferogram(
        tiff(tmp_path / "a.tif", z), tiff(tmp_path / "c.tif", g, crs="EPSG:32632", transform=place)
    )
    np.testing.assert_allclose(image.read().coherence, 0.5, atol=1e-6)


def test_what_a_given_coherence_does_not_cover_is_unknown(z, smooth, tmp_path):
    part = tiff(tmp_path / "c.tif", smooth[:, 30:], transform=TRANSFORM @ Affine.translation(30, 0))
    image = open_interferogram(tiff(tmp_path / "a.tif", z), part)
    found = image.read().coherence
    assert np.isnan(found[:, :29]).all() and np.isfinite(found[:, 30:]).all()
    assert any("cover" in message for message in image.messages)


def _other_shape(folder, g):
    tiff(folder / "coh_vv.tif", g[:-2])


def _other_shape_nowhere(folder, g):
    tiff(folder / "coh_vv.tif", g[:-2], crs=None, transform=None)


def _other_unit(folder, g):
    tiff(folder / "coh_vv.tif", np.full(SHAPE, 7.0))


def _damaged(folder, g):
    (folder / "coh_vv.tif").write_bytes(b"II*\0" + bytes(40))


def _complex(folder, g):
    tiff(folder / "coh_vv.tif", g.astype(np.complex64))


@pytest.mark.parametrize("write", [_other_shape, _other_shape_nowhere, _other_unit, _damaged, _complex])
def test_one_found_by_itself_that_does_not_fit_is_left_out_with_a_word(write, z, smooth, tmp_path):
    write(tmp_path, smooth)
    image = open_interferogram(tiff(tmp_path / "phi_vv.tif", np.angle(z)))
    assert image.coherence is None and image.read(with_coherence=False).valid.all()
    assert any("coh_vv.tif" in message and "left out" in message for message in image.messages)
    assert image.messages[-1] == "coherence: estimated from the phase"


def test_one_in_the_product_that_does_not_fit_is_left_out(z, tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["interferogram"], file["coherence"] = z, np.full(SHAPE, 7.0)
    image = open_interferogram(tmp_path / "a.h5")
    assert image.coherence is None and any("left out" in message for message in image.messages)


def test_bytes_of_licsbas(z, tmp_path):
    g = np.random.default_rng(1).uniform(0, 0.3, SHAPE).astype(np.float32)
    path = gamma(tmp_path, z, g)
    np.round(g * 255).astype(np.uint8).tofile(tmp_path / "20200101_20200113.cc")
    found = open_interferogram(path).read().coherence
    np.testing.assert_allclose(found[g > 0.01], g[g > 0.01], atol=2e-3)  # low ones too are 255ths
