"""Grids that no Earth holds, and more bands than anything has: refused in one line, at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from affine import Affine

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.layers import Layer
from tests.data_loaders.insar.files import gmtsar_classic, tiff

PHASE = np.random.default_rng(0).uniform(-3, 3, (9, 11)).astype(np.float32)


@pytest.mark.parametrize(
    "numbers",
    [
        (np.nan, 0, 0, 0, 1, 0),
        (1e79, 0, 0, 0, -1, 0),
        (1, 0, np.inf, 0, 1, 0),
        (1, 0, 1e31, 0, 1, 0),
        (1, 1, 0, 1, 1, 0),
    ],
)
def test_a_transform_of_no_plane(numbers) -> None:
    with pytest.raises(DataError, match=r"a: found the transform .*, expected pixels with sides"):
        Layer(path="a", shape=(2, 2), dtype="float32", transform=Affine(*numbers))


@pytest.mark.parametrize("numbers", [(1, 0, 0, 0, 1, 0), (1e-6, 0, -180, 0, -1e-6, 90), (0, 30, 5e5, 30, 0, 1e7)])
def test_transforms_of_planes(numbers) -> None:
    assert Layer(path="a", shape=(2, 2), dtype="float32", transform=Affine(*numbers)).transform is not None


def test_a_coherence_beside_on_a_grid_of_no_plane_is_left_out(tmp_path: Path) -> None:
    tiff(tmp_path / "coh_vv.tif", np.full_like(PHASE, 0.5), transform=Affine(1e79, 0, 0, 0, -1e79, 0), crs=None)
    image = open_interferogram(tiff(tmp_path / "phi_vv.tif", PHASE))
    assert image.read().valid.all() and any("1e+79" in message for message in image.messages)


def test_bands_beyond_all_stacks(tmp_path: Path) -> None:
    path = tiff(tmp_path / "many.tif", np.zeros((1001, 2, 2), np.uint8))
    with pytest.raises(DataError, match="found 1001 bands, expected at most 1000"):
        open_interferogram(path)


def test_a_count_of_classic_netcdf_takes_no_memory(tmp_path: Path) -> None:
    path = gmtsar_classic(tmp_path, np.exp(1j * PHASE), np.full_like(PHASE, 0.5))
    data = bytearray(path.read_bytes())
    at = data.index(b"x\0\0\0") - 4  # the length of a name
    data[at : at + 4] = (2**31 - 8).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(DataError, match="phasefilt"):
        open_interferogram(path)
