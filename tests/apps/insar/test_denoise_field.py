"""`mvnet denoise insar` on files as people have them: undeclared nodata, hot pixels, byte orders, odd coherences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import rasterio

from tests.data_loaders.insar.files import tiff

SHAPE = (60, 90)


@pytest.fixture
def z() -> np.ndarray:
    random = np.random.default_rng(0)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    noise = random.standard_normal(SHAPE) + 1j * random.standard_normal(SHAPE)
    return (np.exp(1j * (0.2 * x - 0.1 * y)) + 0.4 * noise).astype(np.complex64)


def band(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.mark.parametrize("fill", [0, -9999])
def test_an_undeclared_border_is_as_good_as_a_declared_one(fill, z, filtered, tmp_path):
    phase = np.angle(z)
    phase[:, :30] = fill
    source = tiff(tmp_path / "in.tif", phase)
    found = filtered(source, "-o", tmp_path / "a.tif", "--json")
    assert found.status == 0 and "is taken as no data, 33 % of the pixels; --nodata none keeps it" in found.err
    assert json.loads(found.out)["statistics"]["valid_share"] == pytest.approx(2 / 3)
    assert filtered(source, "-o", tmp_path / "b.tif", "--nodata", fill).status == 0
    a, b = band(tmp_path / "a.tif"), band(tmp_path / "b.tif")
    np.testing.assert_array_equal(a[:, 30:], b[:, 30:])
    assert np.isnan(a[:, :30]).all() and not band(tmp_path / "a_mask.tif")[:, :30].any()
    if fill == 0:
        assert filtered(source, "-o", tmp_path / "c.tif", "--nodata", "none").status == 0
        assert band(tmp_path / "c_mask.tif").all()


def test_a_wrong_nodata_is_one_line(z, filtered, tmp_path):
    status, _, err = filtered(tiff(tmp_path / "in.tif", z), "-o", tmp_path / "a.tif", "--quiet", "--nodata", "zero")
    assert status == 2 and "nodata: found 'zero', expected a number or none" in err


@pytest.mark.parametrize("hot", [1e25, 9.969209968386869e36, 9e5])
def test_a_hot_pixel_ends_no_run(hot, z, filtered, tmp_path):
    z[40, 40] = hot
    result = filtered(tiff(tmp_path / "in.tif", z), "-o", tmp_path / "a.tif", "--complex")
    assert result.status == 0, result.err
    out, mask = band(tmp_path / "a.tif"), band(tmp_path / "a_mask.tif") > 0
    assert np.isfinite(out).all() and mask.sum() == z.size - (hot > 1e6)
    assert ("taken as no data" in result.err) == (hot > 1e6)


@pytest.mark.parametrize(("factor", "dtype"), [(1e-20, "complex64"), (1e60, "complex128")])
@pytest.mark.parametrize("strength", [0, 1])
def test_amplitudes_come_back_in_the_unit_of_the_file(factor, dtype, strength, z, filtered, tmp_path):
    options = ["--complex", "--strength", strength]
    assert filtered(tiff(tmp_path / "in.tif", z), "-o", tmp_path / "a.tif", *options).status == 0
    other = tiff(tmp_path / "other.tif", (z.astype(complex) * factor).astype(dtype))
    result = filtered(other, "-o", tmp_path / "b.tif", *options)
    assert result.status == 0 and "before float32" in result.err
    a, b = band(tmp_path / "a.tif"), band(tmp_path / "b.tif")
    np.testing.assert_allclose(np.angle(b * a.conj()), 0, atol=1e-3)
    ratio = np.abs(b.astype(complex)) / np.abs(z.astype(complex))
    expected = factor if factor < 1 else np.median(ratio)
    np.testing.assert_allclose(ratio, expected, rtol=1e-4)


def test_little_endian_gamma_is_read_as_big_endian_is(z, filtered, tmp_path):
    found = []
    for order in "<>":
        z.astype(f"{order}c8").tofile(tmp_path / "20200101_20200113.diff")
        (tmp_path / "20200101_20200113.off").write_text("interferogram_width: 90\ninterferogram_azimuth_lines: 60\n")
        result = filtered(tmp_path / "20200101_20200113.diff", "-o", tmp_path / "a.tif", "--overwrite")
        assert result.status == 0 and ("little-endian" in result.err) == (order == "<")
        found.append(band(tmp_path / "a.tif"))
    np.testing.assert_array_equal(*found)


def test_headerless_and_virtual_places(z, filtered, tmp_path):
    z.tofile(tmp_path / "pair.int")
    options = ["--shape", "60,90", "--dtype", "complex64", "--byte-order", "little"]
    assert filtered(tmp_path / "pair.int", "-o", tmp_path / "a.tif", *options).status == 0
    tiff(tmp_path / "pair.tif", z)
    place = f"/vsisubfile/0_{(tmp_path / 'pair.tif').stat().st_size},{tmp_path}/pair.tif"
    result = filtered(place, "-o", tmp_path / "b.tif")
    assert result.status == 0, result.err
    np.testing.assert_array_equal(band(tmp_path / "a.tif"), band(tmp_path / "b.tif"))
    status, _, err = filtered("https://host/a.tif", "-o", tmp_path / "c.tif", "--quiet")
    assert status == 2 and "https://host/a.tif" in err and "--allow-network" in err


def test_a_stray_coherence_is_clipped_with_a_word(z, filtered, tmp_path):
    g = np.full(SHAPE, 0.8, np.float32)
    g[5, 5] = 1.02
    result = filtered(
        tiff(tmp_path / "in.tif", z), "-o", tmp_path / "a.tif", "--coherence", tiff(tmp_path / "c.tif", g)
    )
    assert result.status == 0 and "clipped" in result.err


def test_a_coherence_nobody_asked_for_is_left_out_with_a_word(z, filtered, tmp_path):
    source = tiff(tmp_path / "phi_x.tif", np.angle(z))
    tiff(tmp_path / "coh_x.tif", np.full((58, 90), 0.8, np.float32))
    result = filtered(source, "-o", tmp_path / "a.tif", "--json")
    assert result.status == 0 and "coherence: coh_x.tif is left out" in result.err
    given = filtered(source, "-o", tmp_path / "b.tif", "--coherence", tmp_path / "coh_x.tif")
    assert given.status == 0 and "resampled by georeference" in given.err
    tiff(tmp_path / "coh_y.tif", np.full(SHAPE, 7, np.float32))
    status, _, err = filtered(source, "-o", tmp_path / "c.tif", "--coherence", tmp_path / "coh_y.tif")
    assert status == 2 and "--coherence none" in err and "denoising" not in err


@pytest.mark.parametrize("there", [False, True])
def test_a_link_is_written_through(there, z, filtered, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "real.tif"
    if there:
        target.write_bytes(b"old")
    (tmp_path / "out.tif").symlink_to(target)
    options = ["--overwrite"] if there else []
    result = filtered(tiff(tmp_path / "in.tif", z), "-o", tmp_path / "out.tif", *options)
    assert result.status == 0, result.err
    assert (tmp_path / "out.tif").is_symlink() and not target.is_symlink()
    assert band(target).shape == SHAPE and (tmp_path / "out_mask.tif").is_file()


def test_a_link_to_nowhere_is_one_line(z, filtered, tmp_path):
    (tmp_path / "out.tif").symlink_to(tmp_path / "no" / "real.tif")
    status, _, err = filtered(tiff(tmp_path / "in.tif", z), "-o", tmp_path / "out.tif", "--quiet")
    assert status == 2 and "folder that does not exist" in err and (tmp_path / "out.tif").is_symlink()
