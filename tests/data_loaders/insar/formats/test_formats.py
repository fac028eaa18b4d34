"""Headerless files, and arrays that programs save."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.data_loaders.insar import DataError, open_interferogram
from mvnet.data_loaders.insar.headerless.byte_order import detect_order
from tests.data_loaders.insar.files import CRS, TRANSFORM
from tests.data_loaders.insar.formats.conftest import SHAPE, values


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("stored", ["c8", "f4", "c16", "f8", "i2"])
@pytest.mark.parametrize("unit", [1e-20, 1, 1e15])
def test_the_byte_order_is_told_by_magnitudes(order, stored, unit, z, tmp_path):
    data = z if stored[0] == "c" else z.real
    data = np.round(data.real * 100) if stored == "i2" else data * unit
    data.astype(order + stored).tofile(tmp_path / "a")
    for usual in "<>":
        assert detect_order(tmp_path / "a", stored, usual) == order


def test_numbers_with_few_digits_have_a_byte_order(tmp_path):
    data = np.round(np.random.default_rng(0).uniform(-3, 3, SHAPE) * 8) / 8
    for order in "<>":
        data.astype(f"{order}f4").tofile(tmp_path / "a")
        assert detect_order(tmp_path / "a", "f4", "<") == detect_order(tmp_path / "a", "f4", ">") == order
    np.zeros(SHAPE, "f4").tofile(tmp_path / "a")
    assert [detect_order(tmp_path / "a", "f4", usual) for usual in "<>"] == ["<", ">"]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ["20200101_20200113.diff", "20200101_20200113.int"])
def test_gamma_of_either_byte_order(order, name, z, tmp_path):
    z.astype(f"{order}c8").tofile(tmp_path / name)
    (tmp_path / "20200101_20200113.off").write_text("interferogram_width: 31\ninterferogram_azimuth_lines: 23\n")
    image = open_interferogram(tmp_path / name)
    np.testing.assert_array_equal(image.read(with_coherence=False).values, z)
    assert any("little-endian" in message for message in image.messages) == (order == "<")


def test_licsbas_finds_its_parameters_in_the_folder_above(z, tmp_path):
    folder = tmp_path / "GEOCml1" / "20200101_20200113"
    folder.mkdir(parents=True)
    phase = np.angle(z)
    phase[0, :3] = np.nan
    phase.astype("<f4").tofile(folder / "20200101_20200113.unw")
    coherence = np.random.default_rng(1).integers(1, 255, SHAPE).astype(np.uint8)
    coherence.tofile(folder / "20200101_20200113.cc")
    par = "dem_projection: EQA\nwidth: 31\nnlines: 23\ncorner_lat: 44.999 decimal degrees\ncorner_lon: 10.0005\n"
    (folder.parent / "EQA.dem_par").write_text(par + "post_lat: -0.002\npost_lon: 0.001\n")
    image = open_interferogram(folder / "20200101_20200113.unw")
    block = image.read()
    assert image.format == "gamma" and image.crs.to_string() == CRS and image.transform.almost_equals(TRANSFORM, 1e-6)
    np.testing.assert_array_equal(block.valid, np.isfinite(phase))
    np.testing.assert_allclose(block.values[block.valid], (z / np.abs(z))[block.valid], atol=1e-6)
    np.testing.assert_allclose(block.coherence[block.valid], (coherence / 255)[block.valid], atol=1e-6)


ANNOTATION = """; comment = none
Ground Range Data Latitude Lines            (-)     = 23      ; lines
Ground Range Data Longitude Samples         (-)     = 31
Ground Range Data Starting Latitude         (deg)   = 44.999  ; centre of the upper left pixel
Ground Range Data Starting Longitude        (deg)   = 10.0005
Ground Range Data Latitude Spacing          (deg)   = -0.002
Ground Range Data Longitude Spacing         (deg)   = 0.001
Slant Range Data Azimuth Lines              (-)     = 31
Slant Range Data Range Samples              (-)     = 23
"""


def test_uavsar_without_a_place(z, tmp_path):
    z.astype("<c8").tofile(tmp_path / "site_01.int.grd")
    (tmp_path / "site_01.ann").write_text(ANNOTATION.replace("Latitude Spacing", "Latitude"))
    assert open_interferogram(tmp_path / "site_01.int.grd", find_coherence=False).transform is None


@pytest.mark.parametrize(("north", "code"), [("0", 32633), ("10000000", 32733)])
def test_gamma_in_utm(north, code, z, tmp_path):
    lines = f"dem_projection: UTM\nwidth: 31\nnlines: 23\nprojection_zone: 33\nfalse_northing: {north}\n"
    lines += "corner_east: 400010\npost_east: 20\ncorner_north: 5000000\npost_north: -20\n"
    (tmp_path / "utm.dem_par").write_text(lines)
    z.astype(">c8").tofile(tmp_path / "a.diff")
    image = open_interferogram(tmp_path / "a.diff")
    assert image.crs.to_epsg() == code and tuple(image.transform)[:6] == (20, 0, 400000, 0, -20, 5000010)
    (tmp_path / "utm.dem_par").write_text("width: 0\nnlines: 23\n")
    with pytest.raises(DataError, match=r"no width and length in .*utm\.dem_par"):
        open_interferogram(tmp_path / "a.diff", header=tmp_path / "utm.dem_par")


def test_uavsar(z, tmp_path):
    z.astype("<c8").tofile(tmp_path / "site_01.int.grd")
    np.full(SHAPE, 0.5, "<f4").tofile(tmp_path / "site_01.cor.grd")
    np.angle(z).astype("<f4").tofile(tmp_path / "site_01.unw.grd")
    z.astype("<c8").tofile(tmp_path / "site_01.int")
    annotation = tmp_path / "site_01.ann"
    annotation.write_text(ANNOTATION)
    image = open_interferogram(tmp_path / "site_01.int.grd")
    assert image.format == "uavsar" and image.crs.to_string() == CRS and image.transform.almost_equals(TRANSFORM, 1e-9)
    np.testing.assert_array_equal(image.read().values, z)
    assert (image.read().coherence == 0.5).all()
    np.testing.assert_array_equal(values(annotation), z)
    np.testing.assert_allclose(values(tmp_path / "site_01.unw.grd"), z / np.abs(z), atol=1e-6)
    slant = open_interferogram(tmp_path / "site_01.int", find_coherence=False)
    assert slant.shape == (31, 23) and slant.transform is None
    moved = annotation.rename(
        tmp_path / "elsewhere" if (tmp_path / "elsewhere").mkdir() else tmp_path / "elsewhere/x.ann"
    )
    np.testing.assert_array_equal(values(tmp_path / "site_01.int.grd", header=moved), z)
    (tmp_path / "site_01.int.grd").write_bytes(b"12345678")
    with pytest.raises(DataError, match="found 8 bytes, expected 5704"):
        open_interferogram(tmp_path / "site_01.int.grd", header=moved)
    with pytest.raises(DataError, match=r"none of x\.int\.grd"):
        open_interferogram(moved)


RAW = {"complex64": "c8", "complex128": "c16", "float32": "f4", "float64": "f8", "fcomplex": "c8"}


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("dtype", RAW)
def test_raw_by_shape_type_and_order(dtype, order, z, tmp_path):
    data = z if "complex" in dtype else np.angle(z)
    path = tmp_path / "pair.int"
    data.astype({"little": "<", "big": ">"}[order] + RAW[dtype]).tofile(path)
    truth = z if "complex" in dtype else z / np.abs(z)
    told = values(path, shape="23,31", dtype=dtype, byte_order=order)
    np.testing.assert_allclose(told, truth, atol=1e-6)
    np.testing.assert_array_equal(values(path, shape=SHAPE, dtype=dtype), told)
    if dtype in ("complex64", "float32", "complex128"):
        image = open_interferogram(path, shape="23x31")
        np.testing.assert_array_equal(image.read(with_coherence=False).values, told)
        assert any(f"{order}-endian" in message for message in image.messages)


def test_raw_integers_and_a_raw_coherence(z, tmp_path):
    pairs = np.round(np.stack([z.real, z.imag], -1) * 1000)
    pairs.astype(">i2").tofile(tmp_path / "pair.int")
    np.full(SHAPE, 0.5, ">f4").tofile(tmp_path / "pair.coherence")
    options = {"shape": SHAPE, "dtype": "complex_int16"}
    block = open_interferogram(tmp_path / "pair.int", tmp_path / "pair.coherence", **options).read()
    np.testing.assert_array_equal(block.values, (pairs[..., 0] + 1j * pairs[..., 1]).astype(np.complex64))
    assert (block.coherence == 0.5).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "unknown format.*--shape ROWS,COLUMNS"),
        ({"shape": "23"}, "shape: found '23', expected ROWS,COLUMNS"),
        ({"shape": "0,31"}, "shape"),
        ({"shape": "22,31"}, "found 5704 bytes, expected for the shape"),
        ({"shape": "23,31", "dtype": "float32"}, "found 5704 bytes, expected 2852"),
        ({"shape": "23,31", "dtype": "float16"}, "dtype: found 'float16', expected one of complex64"),
        ({"shape": "23,31", "byte_order": "middle"}, "byte_order: found 'middle', expected one of little, big"),
        ({"dtype": "float32"}, "shape: found none"),
        ({"format": "raw"}, "shape: found none"),
    ],
)
def test_raw_that_does_not_fit_gives_one_line(options, words, z, tmp_path):
    z.tofile(tmp_path / "pair.int")
    with pytest.raises(DataError, match=words) as caught:
        open_interferogram(tmp_path / "pair.int", **options)
    assert "\n" not in str(caught.value)


def test_npy(z, tmp_path):
    path = tmp_path / "a.npy"
    for data in (z, np.asfortranarray(z), z.astype(">c8"), z[None]):
        np.save(path, data)
        np.testing.assert_array_equal(values(path), z)
    np.save(path, np.stack([z * 2, z]))
    np.testing.assert_array_equal(values(path, layer=1), z)
    for bad in (np.array([{}]), np.zeros(5), np.stack([z, z]), np.full(SHAPE, "x")):
        np.save(path, bad)
        with pytest.raises(DataError):
            open_interferogram(path)
    np.save(path, z)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(DataError, match="truncated"):
        open_interferogram(path)
    path.write_bytes(b"\x93NUMPY\x01\x00\xff")
    with pytest.raises(DataError, match="cannot be read"):
        open_interferogram(path)


def test_npz_and_matlab(z, tmp_path):
    from scipy.io import savemat

    g = np.full(SHAPE, 0.5, np.float32)
    np.savez_compressed(tmp_path / "a.npz", ifg=z, coherence=g)
    savemat(tmp_path / "a.mat", {"ifg": z, "coherence": g, "name": "pair"})
    savemat(tmp_path / "b.mat", {"anything": np.angle(z)})
    for name in ("a.npz", "a.mat"):
        block = open_interferogram(tmp_path / name).read()
        np.testing.assert_array_equal(block.values, z)
        assert (block.coherence == 0.5).all()
    np.testing.assert_allclose(values(tmp_path / "b.mat"), z / np.abs(z), atol=1e-6)
    (tmp_path / "c.mat").write_bytes(b"MATLAB 7.3 MAT-file, Platform" + bytes(600))
    with pytest.raises(DataError, match="version 7"):
        open_interferogram(tmp_path / "c.mat")
    for name in ("d.mat", "d.npz"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 damaged" + bytes(200))
        with pytest.raises(DataError):
            open_interferogram(tmp_path / name)
