"""A VRT of windows of other rasters: what it leaves out, and what it declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from tests.data_loaders.insar.checks.test_unwritten import COLUMNS, PHASE, ROWS, SIDE, mosaic

rasterio = pytest.importorskip("rasterio", reason="needs mvnet[insar]")

HUGE = 'rasterXSize="2147483647" rasterYSize="2147483647"'


def test_a_raster_without_gaps_is_no_mosaic_and_one_with_a_gap_has_no_data_there(tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "height": ROWS, "width": COLUMNS, "count": 1, "dtype": "float32"}
    path = mosaic(tmp_path)
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as file:
        file.write(PHASE, 1)
    image = open_interferogram(path)
    assert image.read(with_coherence=False).valid.all() and not any("never written" in m for m in image.messages)
    path.write_text(path.read_text().replace(f'xOff="0" yOff="0" xSize="{24}"', 'xOff="0" yOff="0" xSize="20"'))
    valid = open_interferogram(path).read(with_coherence=False).valid
    assert not valid[:, 20:24].any() and valid[:, :20].all() and valid[:, 24:].all()


def test_a_mosaic_that_declares_too_much_is_refused_before_its_pixels_are_counted(tmp_path: Path) -> None:
    path = mosaic(tmp_path)
    path.write_text(path.read_text().replace(f'rasterXSize="{COLUMNS}" rasterYSize="{ROWS}"', HUGE))
    with pytest.raises(DataError, match=r"a\.vrt: found 2147483647 x 2147483647 pixels declared in \d+ bytes"):
        open_interferogram(path)


def test_the_band_of_a_source_is_its_own(tmp_path: Path) -> None:
    """Of a file of two bands, of which nothing of the first was written."""
    profile = {"driver": "GTiff", "height": ROWS, "width": COLUMNS, "count": 2, "dtype": "float32"}
    layout = {"tiled": True, "blockxsize": SIDE, "blockysize": SIDE, "SPARSE_OK": True, "interleave": "band"}
    path = mosaic(tmp_path)
    with rasterio.open(tmp_path / "a.tif", "w", **profile, **layout) as file:
        file.write(PHASE, 2)
    assert not open_interferogram(path).read(with_coherence=False).valid.any()
    for text in (path, tmp_path / "right.vrt"):
        text.write_text(
            text.read_text().replace("a.tif</SourceFilename><SourceBand>1", "a.tif</SourceFilename><SourceBand>2")
        )
    assert open_interferogram(path).read(with_coherence=False).valid.all()
