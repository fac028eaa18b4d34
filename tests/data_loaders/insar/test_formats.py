"""Headerless files, arrays that programs save, archives, and places that GDAL names."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.data_loaders.insar import DataError, open_interferogram
from mvnet.data_loaders.insar.formats.locations import locate
from mvnet.data_loaders.insar.headerless.byte_order import detect_order
from tests.data_loaders.insar.files import CRS, TRANSFORM, tiff

SHAPE = (23, 31)


@pytest.fixture(scope="module")
def z() -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.standard_normal(SHAPE) + 1j * random.standard_normal(SHAPE)).astype(np.complex64)


def values(path, **options) -> np.ndarray:
    return open_interferogram(path, find_coherence=False, **options).read(with_coherence=False).values


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


def _zipped(folder: Path, *names: str) -> Path:
    with zipfile.ZipFile(folder / "pair.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.write(folder / name, f"inner/{name}")
        archive.writestr("inner/readme.txt", "hello")
    return folder / "pair.zip"


def test_a_zip_archive_with_one_raster(z, tmp_path):
    tiff(tmp_path / "phi_vv.tif", np.angle(z))
    tiff(tmp_path / "coh_vv.tif", np.full(SHAPE, 0.5, np.float32))
    image = open_interferogram(_zipped(tmp_path, "phi_vv.tif", "coh_vv.tif"))
    block = image.read()
    assert image.format == "zip" and (block.coherence == 0.5).all()
    np.testing.assert_allclose(block.values, z / np.abs(z), atol=1e-6)
    tiff(tmp_path / "other.tif", z)
    several = _zipped(tmp_path, "phi_vv.tif", "other.tif")
    with pytest.raises(DataError, match=r"inner/phi_vv\.tif, inner/other\.tif"):
        open_interferogram(several)
    np.testing.assert_array_equal(values(several, layer="other"), z)
    for place in (f"/vsizip/{several}/inner/other.tif", Path(f"/vsizip/{several}/inner/other.tif")):
        np.testing.assert_array_equal(values(place), z)
    with pytest.raises(DataError) as caught:
        open_interferogram(f"/vsizip/{several}/nothing.tif")
    assert "\n" not in str(caught.value)


def test_a_zipped_zarr_store_is_to_be_unpacked(z, tmp_path):
    import zarr

    with zarr.storage.ZipStore(tmp_path / "pair.zarr.zip", mode="w") as store:
        zarr.open_group(store, mode="w").create_array("ifg", data=z, chunks=(10, 10))
    with pytest.raises(DataError, match="expected it unpacked"):
        open_interferogram(tmp_path / "pair.zarr.zip")


def test_subdatasets_as_gdal_names_them(z, tmp_path, monkeypatch):
    import h5py

    with h5py.File(tmp_path / "a b.nc", "w") as file:
        file["science/ifg"], file["science/other"] = z, z * 2
    for name in (f'NETCDF:"{tmp_path}/a b.nc":/science/ifg', f'HDF5:"{tmp_path}/a b.nc"://science/ifg'):
        np.testing.assert_array_equal(values(name), z)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.nc").rename("c.nc")
    np.testing.assert_array_equal(values("NETCDF:c.nc:science/other"), z * 2)
    np.testing.assert_array_equal(values(f"GTIFF_DIR:1:{tiff(tmp_path / 'a.tif', z)}"), z)
    np.testing.assert_array_equal(values(f"file://{tmp_path}/a.tif"), z)
    with pytest.raises(DataError, match="no such file"):
        open_interferogram("NETCDF:none.nc:ifg")
    tiff(tmp_path / "a:b.tif", z)
    np.testing.assert_array_equal(values("a:b.tif"), z)


@pytest.mark.parametrize("kind", ["hdf5", "hdf5 stack", "zarr", "zarr v2"])
def test_chunks_never_written_are_no_data(kind, z, tmp_path):
    phase, path = np.angle(z), tmp_path / ("a.zarr" if "zarr" in kind else "a.h5")
    lost = np.zeros(SHAPE, bool)
    lost[10:20, 10:20] = lost[20:, 30:] = True
    shape, chunks = ((3, *SHAPE), (1, 10, 10)) if "stack" in kind else (SHAPE, (10, 10))
    if "zarr" in kind:
        import zarr

        store = zarr.open_group(path, mode="w", zarr_format=2 if "v2" in kind else 3)
        data = store.create_array("phase", shape=shape, chunks=chunks, dtype="f4")
        _fill(data, np.where(lost, 0, phase), ())
    else:
        import h5py

        with h5py.File(path, "w") as file:
            _fill(
                file.create_dataset("phase", shape, "f4", chunks=chunks), phase, (1,) if "stack" in kind else (), lost
            )
    image = open_interferogram(path, layer=1 if "stack" in kind else None, nodata="none")
    np.testing.assert_array_equal(image.read(with_coherence=False).valid, ~lost)
    window = slice(15, 23), slice(12, 31)
    np.testing.assert_array_equal(image.read(window, with_coherence=False).valid, ~lost[window])
    assert any("2 of 12 chunks" in message for message in image.messages)


def _fill(data, phase, index, lost=None):
    """Write the chunks of 10 x 10 pixels that are not lost."""
    for row in range(0, SHAPE[0], 10):
        for column in range(0, SHAPE[1], 10):
            part = slice(row, row + 10), slice(column, column + 10)
            if lost is None or not lost[part].any():
                data[(*index, *part)] = phase[part]


NETWORK = [
    "https://host/a.tif",
    "http://user:secret@host/a.tif?token=secret",
    "s3://bucket/a.tif",
    "gs://bucket/a.tif",
    "/vsicurl/https://host/a.tif",
    "/vsis3/bucket/a.tif",
    "/vsizip//vsicurl/https://host/a.zip/a.tif",
    "/vsicurl?url=https%3A%2F%2Fhost",
    'NETCDF:"https://host/a.nc":ifg',
    Path("https://host/a.tif"),
    "WMS:host",
]


@pytest.mark.parametrize("place", NETWORK, ids=str)
def test_a_network_is_asked_nothing_unless_allowed(place, z, tmp_path):
    with pytest.raises(DataError, match=r"network.*--allow-network") as caught:
        open_interferogram(place)
    assert "secret" not in str(caught.value)
    with pytest.raises(DataError, match="--allow-network"):
        open_interferogram(tiff(tmp_path / "a.tif", z), place)
    assert locate(place, allow_network=True).network


@pytest.mark.parametrize("name", ["a.vrt", "a.xml", "pair.int.vrt"])
def test_a_file_that_refers_to_a_network_is_refused(name, tmp_path):
    source = "<SourceFilename relativeToVRT='0'>/vsicurl/https://host/a.tif</SourceFilename>"
    (tmp_path / name).write_text(f"<VRTDataset rasterXSize='3' rasterYSize='3'>{source}</VRTDataset>")
    with pytest.raises(DataError, match=r"network.*--allow-network"):
        open_interferogram(tmp_path / name.removesuffix(".vrt") if name.startswith("pair") else tmp_path / name)


def test_an_address_is_read_where_that_is_allowed(z, tmp_path, monkeypatch):
    tiff(tmp_path / "a.tif", z)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            port = re.search(r"port (\d+)", server.stdout.readline())
            assert port is not None
            place = f"http://127.0.0.1:{port[1]}/a.tif"
            image = open_interferogram(place, allow_network=True, find_coherence=False)
            np.testing.assert_array_equal(image.read(with_coherence=False).values, z)
            assert image.messages[0] == f"network access: {place}"
        finally:
            server.kill()
