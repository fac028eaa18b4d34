"""Whether a raster that GDAL opens is all there, which GDAL itself says only when the lost part is read, or never."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.checks.blocks import Blocks
from mvnet.data_loaders.insar.checks.mosaic import Mosaic, mosaic_of
from mvnet.data_loaders.insar.checks.tiff_blocks import tiff_blocks
from mvnet.data_loaders.optional import import_optional

_RAW = ("ISCE", "ENVI", "ROI_PAC", "EHdr")
_OPENED = 50  # sources of a VRT at most that are looked into
_ASKED = 1 << 20  # blocks that GDAL is asked of one by one
_VRT_TYPES = {"Byte": "u1", "CInt16": "i4", "CInt32": "i8", "CFloat16": "i4", "CFloat32": "c8", "CFloat64": "c16"}
_NUMPY = re.compile(r"(U?Int|Float)(8|16|32|64)$")


def check_whole(source: Any, band: int, shown: str) -> Blocks | Mosaic | None:
    """Look for the end of a file, and for what it refers to.

    Args:
        source: open rasterio dataset.
        band: from 1.
        shown: what to call it in messages.
    Returns:
        the blocks of a GeoTIFF, also in an archive, where some were never written, or those of the sources of a VRT.
    Raises:
        DataError: the file ends before its data do, or a source of a VRT is missing.
    """
    data = next((Path(name) for name in source.files if Path(name).is_file()), None)
    if data is None:
        return _blocks_in_archive(source, band) if source.driver == "GTiff" else None
    if source.driver == "VRT":
        return _check_sources(data, shown, band, source.shape)
    elif source.driver in _RAW:
        needed = sum(source.width * source.height * np.dtype(kind).itemsize for kind in source.dtypes)
        _check_size(data, needed + _header_offset(source, data), shown)
    elif source.driver == "GTiff":
        blocks = tiff_blocks(data, band)
        if blocks is not None:
            _check_size(data, blocks.end, shown)
            return blocks if blocks.missing.any() else None
    return None


def _blocks_in_archive(source: Any, band: int) -> Blocks | None:
    """The blocks of a GeoTIFF that only GDAL reads, where some were never written; None of very many."""
    shape = source.block_shapes[band - 1]
    rows, columns = (-(-n // side) for n, side in zip(source.shape, shape))
    if rows * columns > _ASKED:
        return None
    missing = np.zeros((rows, columns), bool)
    for y, x in np.ndindex(rows, columns):
        missing[y, x] = source.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=band) is None
    return Blocks(shape, missing) if missing.any() else None


def _check_size(path: Path, needed: int, shown: str) -> None:
    size = path.stat().st_size
    if size < needed:
        raise DataError(f"{shown}: found {size} bytes, expected at least {needed}: the file is truncated")


def _header_offset(source: Any, data: Path) -> int:
    """Bytes before the pixels of a raw raster, which its header tells."""
    if source.driver == "ENVI":
        return int(source.tags(ns="ENVI").get("header_offset", 0))
    header = data.with_suffix(".hdr")
    if source.driver != "EHdr" or not header.is_file():
        return 0
    match = re.search(r"^\s*skipbytes\s+(\d+)", header.read_text(errors="replace"), re.IGNORECASE | re.MULTILINE)
    return int(match[1]) if match else 0


def _check_sources(path: Path, shown: str, wanted: int, shape: tuple[int, int]) -> Mosaic | None:
    """What a band leaves out; DataError for a file that a VRT names and that is missing, damaged or truncated."""
    opened = 0
    root, mosaic = ElementTree.parse(path).getroot(), None
    for number, band in enumerate(root.iter("VRTRasterBand"), start=1):
        raw, found = band.get("subClass") == "VRTRawRasterBand", []
        for place, named in _local_sources(band, path):
            if not place.exists():
                raise DataError(f"{shown}: found no file {place}, to which it refers, expected it")
            opened += 1
            if raw:
                _check_size(place, _end_of_raw(root, band), str(place))
            elif opened <= _OPENED and place != path:
                with reading(place, f"a raster, to which {shown} refers"), _open(place) as source:
                    found.append(check_whole(source, named, str(place)))
        if number == wanted and found:
            mosaic = mosaic_of(band, found, shape)
    return mosaic


def _local_sources(band: Any, path: Path) -> Iterator[tuple[Path, int]]:
    """The files of this computer that a band names, and the band that is taken of each, 1 unless it says another."""
    for holder in band.iter():
        number = holder.findtext("SourceBand", "1")
        for element in holder.findall("SourceFilename"):
            name = (element.text or "").strip()
            if name and not name.startswith("/vsi") and ":" not in name[2:]:
                beside = element.get("relativeToVRT", "0") in ("1", "true")
                yield path.parent / name if beside else Path(name), max(1, int(number)) if number.isdigit() else 1


def _end_of_raw(root: Any, band: Any) -> int:
    """The last byte of the pixels of a raw band, from its first byte and the steps to the next pixel and line."""
    kind = band.get("dataType", "Byte")
    named = _NUMPY.match(kind)
    dtype = np.dtype(_VRT_TYPES[kind] if kind in _VRT_TYPES else named[0].lower() if named else "u1")
    width, height = (int(root.get(key, 0)) for key in ("rasterXSize", "rasterYSize"))
    start = int(band.findtext("ImageOffset", "0"))
    pixel = int(band.findtext("PixelOffset", str(dtype.itemsize)))
    line = int(band.findtext("LineOffset", str(pixel * width)))
    return start + max(0, (height - 1) * line) + max(0, (width - 1) * pixel) + dtype.itemsize


def _open(path: Path) -> Any:
    return import_optional("rasterio", "insar").open(path)
