"""A zip archive that holds one raster, and perhaps its coherence, read without unpacking it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.formats.bands import choose_layers
from mvnet.data_loaders.insar.formats.products import coherence_names
from mvnet.data_loaders.insar.layers import Layer
from mvnet.data_loaders.insar.rasters import raster_layers

_BESIDE = re.compile(
    r"(^|/)(__MACOSX/|\.)|\.(xml|rsc|hdr|txt|md|pdf|html?|png|jpe?g|kml|kmz|json|md5|par|ann|prj|tfw|csv|log|ovr)$"
)
_COHERENCE = re.compile(r"(^|[_.\-/])(coh|cor|corr|cc|coherence)([_.\-]|$)", re.IGNORECASE)
_MANY = 200


def zip_names(path: Path) -> list[str]:
    """Names of the files in an archive, none if it is no archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name for name in archive.namelist() if not name.endswith("/")]
    except (zipfile.BadZipFile, OSError):
        return []


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive of files that may be rasters."""
    return path.is_file() and path.suffix.lower() == ".zip" and bool(_rasters(zip_names(path)))


def archive_layers(path: Path, wanted: str | int | None, coherence: bool) -> tuple[Layer, Layer | None]:
    """The interferogram of an archive and its coherence.

    Args:
        path: of the archive.
        wanted: part of the name of the file, if there are several.
        coherence: the archive is read for its coherence.
    Raises:
        DataError: no raster that GDAL opens, or several.
    """
    names = zip_names(path)
    if any(name.rpartition("/")[2] in (".zgroup", ".zarray", "zarr.json") for name in names):
        raise DataError(f"{path}: found a Zarr store in an archive, expected it unpacked")
    opened = {}
    for name in _rasters(names)[:_MANY]:
        try:
            opened[name] = raster_layers(f"/vsizip/{path}/{name}", shown=f"{path}/{name}")
        except DataError:
            continue
    chosen = [name for name in opened if wanted is None or str(wanted).lower() in name.lower()]
    if wanted is None or coherence:
        kept = [name for name in chosen if bool(_COHERENCE.search(name)) == coherence]
        chosen = kept or chosen
    if len(chosen) != 1:
        listed = ", ".join((chosen or list(opened) or names)[:8])
        raise DataError(f"layer: found {listed} in {path}, expected one raster: name it, or unpack the archive")
    folder, _, last = chosen[0].rpartition("/")
    beside = [f"{folder}/{name}".lstrip("/") for name in coherence_names(last)]
    others = [name for name in opened if name != chosen[0] and _COHERENCE.search(name)]
    partner = next((name for name in beside if name in opened), others[0] if len(others) == 1 else None)
    layer, inside = choose_layers(opened[chosen[0]], None, coherence)
    if inside is None and partner is not None and not coherence:
        inside, _ = choose_layers(opened[partner], None, True)
    return layer, inside


def _rasters(names: list[str]) -> list[str]:
    return [name for name in names if not _BESIDE.search(name)]
