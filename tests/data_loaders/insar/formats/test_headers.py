"""What headers and attributes say of the place, the projection and the looks of a raster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.data_loaders.insar.formats.headers import cf_georeference, crs_from, from_centres
from mvnet.data_loaders.insar.formats.looks import looks_of


def test_projections() -> None:
    assert crs_from(32633).to_epsg() == crs_from("EPSG:32633").to_epsg() == crs_from(" 32633 ").to_epsg() == 32633
    assert crs_from("nonsense") is None


@pytest.mark.parametrize(
    ("x", "y"), [([1.0], [2.0, 1.0]), ([1.0, 1.0], [2.0, 1.0]), ([1.0, 2.0, 9.0], [2.0, 1.0]), ([1.0, 2.0], [])]
)
def test_coordinates_of_no_regular_grid(x: list[float], y: list[float]) -> None:
    assert from_centres(np.array(x), np.array(y)) is None


def test_the_transform_that_gdal_writes_goes_before_coordinates() -> None:
    holder = SimpleNamespace(attrs={"GeoTransform": "10 0.5 0 45 0 -0.25", "spatial_ref": "EPSG:4326"}, shape=())
    held: dict[str, Any] = {"crs": holder, "x": np.arange(5.0), "y": np.arange(5.0)}
    crs, transform = cf_georeference(held.get, {"grid_mapping": "crs"}, "")
    assert crs.to_epsg() == 4326 and tuple(transform)[:6] == (0.5, 0, 10, 0, -0.25, 45)


@pytest.mark.parametrize(
    ("tags", "looks"),
    [
        ({"ALOOKS": "5", "RLOOKS": "20"}, 100),
        ({"azimuth_looks": "2", "range_looks": "8 (samples)"}, 16),
        ({"ALOOKS": "5", "nlooks": "7.5"}, 7.5),
        ({"ALOOKS": "", "RLOOKS": "20"}, None),
        ({"ALOOKS": "0", "RLOOKS": "20"}, None),
        ({}, None),
    ],
)
def test_looks(tags: dict[str, str], looks: float | None) -> None:
    assert looks_of(tags) == looks
