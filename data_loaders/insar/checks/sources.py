"""What a file refers to: other files, which must lie beside it, and places on a network, which are not opened.

A VRT, or HDF5 with external storage, virtual data sets or links, is a small file that reads any other one. Its sources
must lie in its folder or below, links followed, unless the user allows others.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from mvnet.data_loaders.errors import DataError, reading

NETWORK = re.compile(
    r"(?<![a-z0-9])(?!file:)[a-z][a-z0-9+.-]+://[^/]"
    r"|/vsi(?:curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)(?:_streaming)?[/?]"
    r"|^(?:wms|wmts|wcs|daas|eeda|eedai|plmosaic|stacit|stacta|ogcapi):",
    re.IGNORECASE,
)
"""Places that are not on this computer."""
_NETWORK_DRIVERS = ("DAAS", "EEDA", "EEDAI", "HTTP", "NGW", "OGCAPI", "PLMOSAIC", "PostGISRaster", "Rasdaman")
_NETWORK_DRIVERS += ("STACIT", "STACTA", "WCS", "WMS", "WMTS")
_INDEX_DRIVERS = ("GTI", "KMLSUPEROVERLAY", "MAP", "MRF", "OZI", "PDF", "Rasterlite", "SQLite", "GPKG", "MBTiles")
_TAGS = ("sourcefilename", "sourcedataset", "serverurl", "dempath", "filename", "cutlinedataset")
_NAMED = re.compile(r"(filename|dataset|dem_file|dem_path)", re.IGNORECASE)  # options and items that name a file
_INSIDE = re.compile(r"^/vsi(?:zip|gzip|tar|7z|rar)/(?=.)|^/vsisubfile/[\d_]+,", re.IGNORECASE)
_SUBDATASET = re.compile(r'^[A-Za-z0-9_]{2,}:(?:(?:\d+|off:\d+):)?(?:"(?P<quoted>[^"]+)"|(?P<plain>[^:]+))')
_LONGEST = 1 << 24  # bytes of a text that may name sources
_HEAD = 4096  # bytes among which GDAL looks for the beginning of a text
_TEXTS = (b"<VRTDataset", b"<GDAL_WMS", b"<WMS", b"<WCS", b"<GDALWMTS", b"<MRF_META", b"<GDALTileIndexDataset")
_DEPTH = 8  # texts that name texts


class Access(NamedTuple):
    """What may be opened besides the input. network: places on one. external: files outside of its folder."""

    network: bool = False
    external: bool = False


LOCAL = Access()
"""Nothing but the file, and what lies beside it."""
ANYWHERE = Access(network=True, external=True)
"""Whatever the file names: for a look that follows nothing."""


def drivers(names: Iterable[str], access: Access) -> list[str]:
    """Of GDAL's drivers those that open nothing but what is allowed."""
    left_out = (() if access.network else _NETWORK_DRIVERS) + (() if access.external else _INDEX_DRIVERS)
    return [name for name in names if name not in left_out]


def check_sources(path: Path, access: Access, files: Iterable[str] = ()) -> None:
    """Look at what a file refers to before it is opened, and again at what GDAL has opened of it.

    Args:
        path: of the file.
        access: what is allowed.
        files: that GDAL has opened, by name.
    Raises:
        DataError: a source on a network or elsewhere, which is not allowed.
    """
    _check(path, path, access, _DEPTH)
    for name in files:
        check_place(path, name, access, [Path(name)])


def check_archived(archive: zipfile.ZipFile, name: str, shown: str) -> None:
    """DataError if a VRT in an archive names a source outside of the archive, or is longer than any."""
    with archive.open(name) as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise DataError(f"{shown}: found more than {_LONGEST} bytes of text, expected at most as many")
    for source, beside in _named(ElementTree.fromstring(content)):
        if not beside or source.startswith("/") or ".." in source or ":" in source:
            raise DataError(f"{shown}: found a source {source}, expected files of the archive: unpack it")


def check_place(top: Path, source: str, access: Access, places: list[Path], by: Path | None = None) -> None:
    """DataError for a source that is not allowed.

    Args:
        top: the input.
        source: as it is named.
        access: what is allowed.
        places: where it may be.
        by: the file that names it, if that is not the input.
    """
    shown = top if by is None or by == top else f"{top}: {by.name}"
    if NETWORK.search(source):
        if access.network:
            return
        found = re.sub(r"//[^/@\s]*@", "//", source).partition("?")[0]
        raise DataError(f"{shown}: found a source on a network, {found}, expected files, or --allow-network")
    if access.external:
        return
    roots = [os.path.realpath(top.parent), os.path.realpath(os.path.realpath(top) + "/..")]
    real = [os.path.realpath(place) for place in places if not _is_inside_archive(place)]
    inside = all(any(os.path.commonpath([root, place]) == root for root in roots) for place in real)
    if not places or not inside:
        raise DataError(
            f"{shown}: found a source outside of its folder, {source}, expected files beside it, or --allow-external"
        )


def _check(path: Path, top: Path, access: Access, depth: int) -> None:
    """`check_sources` of a text, and of the texts that it names."""
    if (access.network and access.external) or not names_sources(path):
        return
    if path.stat().st_size > _LONGEST or depth == 0:
        raise DataError(f"{path}: found a text of sources without end, expected at most {_DEPTH} in one another")
    with reading(path, "a text that names rasters"):
        for source, beside in _named(ElementTree.parse(path).getroot()):
            places = [path.parent / inner if beside else Path(inner) for inner in _paths(source)]
            check_place(top, source, access, places, path)
            for place in places:
                if place.is_file() and place.resolve() != path.resolve():
                    _check(place, top, access, depth - 1)


def names_sources(path: Path) -> bool:
    """Whether GDAL takes a file for a text that names rasters."""
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    return any(mark in head for mark in _TEXTS)


def _named(root: Any) -> Iterator[tuple[str, bool]]:
    """The sources in a text, and whether their names start at the folder of the text."""
    for element in root.iter():
        tag = str(element.tag).rpartition("}")[2].lower()
        words = {str(key).lower(): str(value) for key, value in element.attrib.items()}
        label = words.get("name", "") + words.get("key", "")
        if tag in _TAGS or (tag in ("option", "argument", "metadataitem", "mdi") and _NAMED.search(label)):
            text = "".join(element.itertext()).strip()
            if not text:
                continue
            if text.startswith("<"):
                yield from _named(ElementTree.fromstring(text))
            else:
                yield text, words.get("relativetovrt", "0").lower() in ("1", "true", "yes", "on")


def _paths(source: str) -> list[str]:
    """The files in a name as GDAL has them: of an archive, of a subdataset, or plain; [] where nobody can tell."""
    inner = source
    while _INSIDE.match(inner):
        inner = _INSIDE.sub("", inner, count=1)
    if inner.startswith("{") or inner.lower().startswith(("/vsi", "vrt:")):
        return []
    match = _SUBDATASET.match(inner)
    return [inner if match is None else match["quoted"] or match["plain"]]


def _is_inside_archive(place: Path) -> bool:
    """Whether GDAL opened a part of the input itself."""
    return str(place).startswith("/vsi")
