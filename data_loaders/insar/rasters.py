"""Rasters that GDAL opens, read lazily; the network, other folders and damaged files are kept away from it."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.checks.blocks import Blocks
from mvnet.data_loaders.insar.checks.mosaic import Mosaic
from mvnet.data_loaders.insar.checks.sources import LOCAL, Access, check_archived, check_sources, drivers, names_sources
from mvnet.data_loaders.insar.checks.whole import check_whole
from mvnet.data_loaders.insar.layers import Layer
from mvnet.data_loaders.isolated import parse_isolated
from mvnet.data_loaders.optional import import_optional

_ARCHIVED = re.compile(r"^/vsizip/(?P<archive>.+?\.zip)/(?P<name>.+)$", re.IGNORECASE)
_FRAGILE = (b"CDF", b"\x89HDF")  # beginnings of files of which GDAL's drivers die when they are damaged

_MOST_BANDS = 1000


@dataclass(frozen=True, kw_only=True)
class RasterLayer(Layer):
    """A band of anything GDAL opens. masked: has a mask of its own. blocks: of a file some of whose blocks were never
    written, None of others. access: what may be opened besides."""

    uri: str
    band: int = 1
    masked: bool = False
    blocks: Blocks | Mosaic | None = field(default=None, compare=False, repr=False)
    access: Access = LOCAL

    def count_unwritten(self) -> int:
        """Pixels of blocks that were never written."""
        return 0 if self.blocks is None else self.blocks.pixels_missing(self.shape)

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        window = import_optional("rasterio.windows", "insar").Window.from_slices(rows, columns)
        with open_raster(self.uri, self.access) as source:
            values = source.read(self.band, window=window)
            inside = source.read_masks(self.band, window=window) if self.masked else None
        lost = None if self.blocks is None or self.nodata is not None else self.blocks.mask(rows, columns)
        if inside is None and (lost is None or not lost.any()):
            return values
        values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
        for mask in (lost, None if inside is None else inside == 0):
            if mask is not None:
                values[mask] = np.nan
        return values


def gdal() -> Any:
    """The rasterio module; it no longer warns of rasters in radar geometry, which are no fault."""
    rasterio = import_optional("rasterio", "insar")
    warnings.filterwarnings("ignore", category=rasterio.errors.NotGeoreferencedWarning)
    return rasterio


@contextmanager
def open_raster(uri: str | Path, access: Access = LOCAL) -> Iterator[Any]:
    """A rasterio dataset, opened by a driver that is allowed; Python in a VRT never runs."""
    rasterio = gdal()
    options = {} if access.network else {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none"}
    with (
        rasterio.Env(GDAL_VRT_ENABLE_PYTHON="NO", **options) as env,
        rasterio.io.DatasetReader(str(uri), driver=drivers(env.drivers(), access)) as source,
    ):
        yield source


def raster_layer(path: str | Path, access: Access = LOCAL) -> RasterLayer:
    """The first band of a file that GDAL opens.

    Args:
        path: of the file.
        access: what may be opened besides it.
    Raises:
        DataError: not readable, truncated, no band, a source elsewhere.
    """
    with open_checked(path, str(path), access) as source:
        return _band_layer(source, path, 1, str(path), access)


def raster_layers(uri: str | Path, shown: str | Path | None = None, access: Access = LOCAL) -> list[RasterLayer]:
    """All bands of what GDAL opens under a name, `part` their names, "" without; errors as `raster_layer`.

    shown: what to call it in messages.
    """
    shown = str(uri if shown is None else shown)
    with open_checked(uri, shown, access) as source:
        if source.count > _MOST_BANDS:
            raise DataError(f"{shown}: found {source.count} bands, expected at most {_MOST_BANDS}")
        return [_band_layer(source, uri, band, shown, access) for band in range(1, max(1, source.count) + 1)]


@contextmanager
def open_checked(uri: str | Path, shown: str, access: Access) -> Iterator[Any]:
    """An open dataset that refers to nothing that is not allowed; arguments as of `raster_layers`."""
    with reading(shown, "a raster that GDAL opens"):
        path, archived = Path(uri), _ARCHIVED.match(str(uri))
        if path.is_file():
            _check_texts(path)
            check_sources(path, access)
            _probe(path)
        elif archived is not None and archived["name"].lower().endswith(".vrt"):
            with zipfile.ZipFile(archived["archive"]) as archive:
                check_archived(archive, archived["name"], shown)
        with open_raster(uri, access) as source:
            if path.is_file():
                check_sources(path, access, source.files)
            yield source


def is_raster(path: Path) -> bool:
    """Whether GDAL opens a file or folder, whole or not, or takes it for a text that names rasters."""
    if names_sources(path):
        return True
    try:
        with reading(path, "a raster that GDAL opens"):
            _check_texts(path)
            _probe(path)
            with open_raster(path) as source:
                return source.count > 0
    except DataError:
        return False


def _probe(path: Path) -> None:
    """Let another process read what GDAL may die of."""
    if not path.is_file():
        return
    with open(path, "rb") as file:
        fragile = file.read(4).startswith(_FRAGILE)
    if fragile:
        parse_isolated("GDAL", path)


def _check_texts(path: Path) -> None:
    """Parse what GDAL will take for XML, a file or the headers beside it: it speaks of its own errors in raw bytes."""
    for place in (path, *(Path(f"{path}{ending}") for ending in (".xml", ".vrt", ".aux.xml"))):
        if place.is_file() and (place != path or names_sources(path) or place.suffix == ".xml"):
            with reading(place, "XML"):
                ElementTree.parse(place)


_BAND_NAMES = ("long_name", "NETCDF_VARNAME", "BandName", "BAND_NAME", "band_name", "NAME", "Name")


def _band_layer(source: Any, uri: str | Path, band: int, shown: str, access: Access) -> RasterLayer:
    if source.count == 0:
        names = ", ".join(name.rpartition(":")[2] for name in source.subdatasets[:12])
        raise DataError(f"{shown}: found {len(source.subdatasets)} subdatasets ({names}), expected a layer to be named")
    kind, tags = source.dtypes[band - 1], source.tags(band)
    known = not (source.transform.is_identity and source.crs is None)
    return RasterLayer(
        path=shown,
        shape=(source.height, source.width),
        dtype="complex64" if kind == "complex_int16" else kind,
        nodata=source.nodatavals[band - 1],
        crs=source.crs,
        transform=source.transform if known else None,
        tags={**source.tags(), **tags},
        part=source.descriptions[band - 1] or next((tags[key] for key in _BAND_NAMES if tags.get(key)), ""),
        units=source.units[band - 1] or "",
        uri=str(uri),
        band=band,
        masked=import_optional("rasterio.enums", "insar").MaskFlags.per_dataset in source.mask_flag_enums[band - 1],
        blocks=check_whole(source, band, shown),
        access=access,
    ).scaled(source.scales[band - 1], source.offsets[band - 1])
