"""GeoTIFF files of results: tiled BigTIFF with overviews, georeferencing and metadata of the interferogram read.

A raster of one band is a Cloud Optimized GeoTIFF: its windows are written to a file beside it first, from which GDAL
makes it. What GDAL's driver for those cannot keep, metadata in namespaces of their own, makes it an ordinary one; so
does a second band, as the driver would interleave the bands. Overviews hold every second, fourth, ... pixel: a mean
of phases taken as numbers is no phase.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.insar.block_store import OutputSpec
from mvnet.data_loaders.insar.interferogram import Interferogram
from mvnet.data_loaders.insar.layers import Window
from mvnet.data_loaders.insar.rasters import RasterLayer, gdal
from mvnet.data_loaders.optional import import_optional
from mvnet.errors import first_line

TILES = (512, 256, 128, 64, 32, 16)
"""Sides of the tiles of a file, the first that divides a block."""

_OURS = ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "TIFF", "RPC", "SUBDATASETS", "")  # not copied by namespace

Write = Callable[[np.ndarray, Window, int], None]
"""write(values (h, w), window, band from 1)"""


@contextmanager
def create_tiff(
    path: Path,
    spec: OutputSpec,
    image: Interferogram,
    tags: Mapping[str, str],
    block: int,
    *,
    count: int = 1,
    same_values: bool = False,
) -> Iterator[Write]:
    """Write a raster window by window.

    Args:
        path: where to write for now.
        spec: what is written; errors name its path.
        image: whose grid and metadata the file has.
        tags: added to those of the image.
        block: side of the windows that will be written.
        count: number of bands.
        same_values: whether the tags of the band are kept too.
    Yields:
        a function that writes a window of a band.
    Raises:
        OSError: no room on the disk, or what else keeps GDAL from writing.
    """
    tile = next(side for side in TILES if block % side == 0)
    optimized = count == 1 and not _namespaces(image)
    packed = {"compress": "DEFLATE", "predictor": "YES"} if spec.dtype == "float32" else {"compress": "DEFLATE"}
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": image.shape[0],
        "width": image.shape[1],
        "count": count,
        "dtype": spec.dtype,
        "nodata": spec.nodata,
        "tiled": True,
        "blockxsize": tile,
        "blockysize": tile,
        "bigtiff": "YES",
    }
    if not optimized:
        profile |= {"compress": "deflate", "zlevel": 3} | ({"predictor": 3} if "predictor" in packed else {})
    if count > 1:
        profile["interleave"] = "band"
    # image.crs is None in radar geometry
    profile |= {key: value for key, value in (("crs", image.crs), ("transform", image.transform)) if value is not None}
    first = path.with_name(f".{secrets.token_hex(8)}.tif") if optimized else path
    with _told(path, spec):
        with gdal().open(first, "w", **profile) as target:
            _copy_metadata(target, image, same_values)
            target.update_tags(**tags)
            for band in range(1, count + 1):
                target.set_band_description(band, spec.description if count == 1 else f"{spec.description} {band}")
                if spec.unit:
                    target.set_band_unit(band, spec.unit)
            place = import_optional("rasterio.windows", "insar").Window.from_slices
            yield lambda values, window, band: target.write(values, band, window=place(*window))
        if optimized:
            _optimize(first, path, tile, packed)
        else:
            _add_overviews(path, tile)


@contextmanager
def _told(path: Path, spec: OutputSpec) -> Iterator[None]:
    """What keeps GDAL from writing, as an OSError."""
    kinds = (gdal().errors.RasterioError, import_optional("rasterio._err", "insar").CPLE_BaseError)
    try:
        yield
    except kinds as error:
        if os.statvfs(path.parent).f_bavail * os.statvfs(path.parent).f_frsize < 1 << 22:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise OSError(f"{spec.path} cannot be written ({first_line(error)})") from error


def _optimize(first: Path, path: Path, tile: int, packed: Mapping[str, str]) -> None:
    """Make the Cloud Optimized GeoTIFF of a GeoTIFF, which goes. Both names are short: GDAL makes longer ones."""
    last = first.with_suffix(".cog")
    options = {"level": 3, "blocksize": tile, "bigtiff": "YES", "overview_resampling": "NEAREST", **packed}
    import_optional("rasterio.shutil", "insar").copy(first, last, driver="COG", **options)
    first.unlink()
    last.rename(path)


def _add_overviews(path: Path, tile: int) -> None:
    """Overviews until one is no larger than a tile."""
    with gdal().open(path, "r+") as file:
        factors = [2**k for k in range(1, 16) if max(file.shape) > tile * 2 ** (k - 1)]
        if factors:
            file.build_overviews(factors, import_optional("rasterio.enums", "insar").Resampling.nearest)


def _namespaces(image: Interferogram) -> list[str]:
    """Namespaces of the metadata of the file read, beside those that GDAL fills."""
    layer = image.layer.origin
    if not isinstance(layer, RasterLayer):
        return []
    with gdal().open(layer.uri) as source:
        return [space for space in source.tag_namespaces() if space not in _OURS]


def _copy_metadata(target: Any, image: Interferogram, same_values: bool) -> None:
    """Tags of every namespace, ground control points and rational polynomials of the file read."""
    layer = image.layer.origin
    if not isinstance(layer, RasterLayer):
        target.update_tags(**image.layer.tags)
        return
    with gdal().open(layer.uri) as source:
        target.update_tags(**_lasting(source.tags()))
        for space in _namespaces(image):
            target.update_tags(ns=space, **source.tags(ns=space))
        if same_values:
            target.update_tags(1, **_lasting(source.tags(layer.band)))
        if source.gcps[0] and layer.transform is None:
            target.gcps = source.gcps
        if source.rpcs is not None:
            target.rpcs = source.rpcs


def _lasting(tags: Mapping[str, str]) -> dict[str, str]:
    """Without statistics, which are those of the values read."""
    return {key: value for key, value in tags.items() if not key.startswith("STATISTICS_")}
