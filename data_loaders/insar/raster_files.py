"""Whether a raster that GDAL opens is all there, which GDAL itself says only when the lost part is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.optional import import_optional


def check_whole(source: Any, band: int, shown: str) -> frozenset[tuple[int, int]]:
    """Look for the end of a file, and for what it refers to.

    Args:
        source: open rasterio dataset.
        band: from 1.
        shown: what to call it in messages.
    Returns:
        blocks (row, column) of a GeoTIFF that were never written.
    Raises:
        DataError: the file ends before its data do, or a source of a VRT is missing.
    """
    data = next((Path(name) for name in source.files if Path(name).is_file()), None)
    if data is None:
        return frozenset()
    needed, gaps = 0, set()
    if source.driver == "VRT":
        _check_sources(data, shown)
    elif source.driver in ("ISCE", "ENVI", "ROI_PAC"):
        needed = sum(source.width * source.height * np.dtype(kind).itemsize for kind in source.dtypes)
    elif source.driver == "GTiff":
        height, width = source.block_shapes[band - 1]
        for row in range(-(-source.height // height)):
            for column in range(-(-source.width // width)):
                place = [source.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", band) for what in _PLACE]
                needed = max(needed, sum(int(number or 0) for number in place))
                if place[0] is None:
                    gaps.add((row, column))
    size = data.stat().st_size
    if size < needed:
        raise DataError(f"{shown}: found {size} bytes, expected at least {needed}: the file is truncated")
    return frozenset(gaps)


_PLACE = ("OFFSET", "SIZE")
_OPENED = 50  # sources of a VRT at most that are looked into


def _check_sources(path: Path, shown: str) -> None:
    """DataError for a file that a VRT names and that is missing, damaged or truncated."""
    opened = 0
    for band in ElementTree.parse(path).iter("VRTRasterBand"):
        for element in band.iter("SourceFilename"):
            name = (element.text or "").strip()
            if not name or name.startswith("/vsi") or ":" in name[2:]:
                continue
            place = path.parent / name if element.get("relativeToVRT", "0") in ("1", "true") else Path(name)
            if not place.exists():
                raise DataError(f"{shown}: found no file {place}, to which it refers, expected it")
            opened += 1
            if band.get("subClass") != "VRTRawRasterBand" and opened <= _OPENED and place != path:
                with reading(place, f"a raster, to which {shown} refers"), _open(place) as source:
                    check_whole(source, 1, str(place))


def _open(path: Path) -> Any:
    return import_optional("rasterio", "insar").open(path)
