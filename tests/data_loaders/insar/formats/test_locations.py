"""Places that GDAL names: archives, subdatasets, addresses on a network."""

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
from tests.data_loaders.insar.files import tiff
from tests.data_loaders.insar.formats.conftest import SHAPE, values


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
    from zarr.storage import ZipStore

    with ZipStore(tmp_path / "pair.zarr.zip", mode="w") as store:
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
            with pytest.raises(DataError, match="found nothing there that GDAL opens"):
                open_interferogram(f"{place}f", allow_network=True)
        finally:
            server.kill()
