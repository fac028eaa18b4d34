"""Memory and time go by the size of a file, not by what it declares."""

from __future__ import annotations

import json
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.checks.tiff_blocks import tiff_blocks
from mvnet.data_loaders.insar.stacks.registry import find_stack

rasterio = pytest.importorskip("rasterio", reason="needs mvnet[insar]")
h5py = pytest.importorskip("h5py", reason="needs mvnet[insar]")

HUGE = 2_000_000_000
ROOM = 400 << 20  # bytes


def vrt(folder: Path) -> Path:
    band = '<VRTRasterBand dataType="Float32" band="1"/>'
    (folder / "a.vrt").write_text(f'<VRTDataset rasterXSize="2147483647" rasterYSize="2147483647">{band}</VRTDataset>')
    return folder / "a.vrt"


def hdf5_raster(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("phase", (HUGE, HUGE), "f4", chunks=(64, 64))
    return folder / "a.h5"


def hdf5_coordinates(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file["phase"] = np.random.default_rng(0).uniform(-3, 3, (16, 16)).astype("f4")
        for name in ("x", "y"):
            file.create_dataset(name, (HUGE,), "f8", chunks=(1024,))
        file.create_dataset("date", (HUGE, 2), "S8", chunks=(1024, 2))
        file.create_dataset("dropIfgram", (HUGE,), "u1", chunks=(1024,))
    return folder / "a.h5"


def hdf5_stack(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("unwrapPhase", (HUGE, 16, 16), "f4", chunks=(1, 16, 16))
        file.create_dataset("date", (HUGE, 2), "S8", chunks=(1024, 2))
        file.attrs["FILE_TYPE"] = "ifgramStack"
    return folder / "a.h5"


def zarr_coordinates(folder: Path) -> Path:
    zarr = pytest.importorskip("zarr", reason="needs mvnet[insar]")
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=2)
    group.create_array("phase", data=np.random.default_rng(0).uniform(-3, 3, (16, 16)).astype("f4"))
    plain = {"zarr_format": 2, "compressor": None, "filters": None, "order": "C", "fill_value": 0, "dtype": "<f8"}
    for name in ("x", "y"):
        (folder / "a.zarr" / name).mkdir()
        (folder / "a.zarr" / name / ".zarray").write_text(json.dumps(plain | {"shape": [HUGE], "chunks": [1024]}))
    return folder / "a.zarr"


def npz(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.npz", "w") as archive, archive.open("phase.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (HUGE, HUGE)})
        member.write(bytes(1024))
    return folder / "a.npz"


REFUSED = {"vrt": vrt, "HDF5 raster": hdf5_raster, "npz": npz}
BOUNDED = REFUSED | {"HDF5 coordinates": hdf5_coordinates, "Zarr": zarr_coordinates, "HDF5 stack": hdf5_stack}


@pytest.mark.parametrize("name", BOUNDED)
def test_what_no_file_holds(name: str, tmp_path: Path) -> None:
    path = BOUNDED[name](tmp_path)
    start = time.monotonic()
    tracemalloc.start()
    try:
        for read in (open_interferogram, find_stack):
            try:
                assert read(path) is None or name not in REFUSED
            except DataError as error:
                assert "a." in str(error) and "\n" not in str(error)
        assert tracemalloc.get_traced_memory()[1] < ROOM
    finally:
        tracemalloc.stop()
    assert time.monotonic() - start < 60  # without bounds it takes hours


@pytest.mark.parametrize("write", REFUSED.values(), ids=REFUSED)
def test_it_says_what_was_declared(write: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.\w+: found .*(declared in \d+ bytes|of shape).*expected"):
        open_interferogram(write(tmp_path))


def test_a_sparse_raster_of_many_blocks(tmp_path: Path) -> None:
    side = 1 << 17
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 1, "dtype": "float32", "SPARSE_OK": True}
    with rasterio.open(tmp_path / "a.tif", "w", tiled=True, blockxsize=256, blockysize=256, **profile) as file:
        file.write(np.ones((256, 256), "f4"), 1, window=rasterio.windows.Window(512, 256, 256, 256))
    blocks = tiff_blocks(tmp_path / "a.tif")
    assert blocks is not None and blocks.missing.shape == (512, 512)
    assert np.argwhere(~blocks.missing).tolist() == [[1, 2]]
    assert blocks.pixels_missing((side, side)) == side**2 - 256**2
    image = open_interferogram(tmp_path / "a.tif", find_coherence=False)
    window = (slice(200, 600), slice(500, 800))
    assert image.read(window, with_coherence=False).valid.sum() == 256**2
