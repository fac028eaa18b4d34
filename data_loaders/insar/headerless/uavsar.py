"""UAVSAR's headerless interferograms, which an annotation file (.ann) describes.

X.int, X.int.grd: complex64; X.unw, X.unw.grd, X.cor, X.cor.grd: float32; all little-endian. Files that end in .grd are
on a grid of latitudes and longitudes, the others in slant range; the annotation gives the centre of the first pixel.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.formats.headers import crs_from
from mvnet.data_loaders.insar.layers import RawLayer
from mvnet.data_loaders.optional import import_optional

_NAME = re.compile(r"^(?P<stem>.+?)\.(?P<kind>int|unw|cor)(?P<grid>\.grd)?$")
_SLANT = ("slant range data azimuth lines", "slant range data range samples")
_GROUND = ("ground range data latitude lines", "ground range data longitude samples")
_CORNER = ("starting longitude", "longitude spacing", "starting latitude", "latitude spacing")
_BEST = (".int.grd", ".int", ".unw.grd", ".unw")


def annotation(path: Path) -> dict[str, str]:
    """`Key (unit) = value ; comment` lines of an annotation file, keys in lower case."""
    found = {}
    for line in path.read_text(errors="replace").splitlines():
        match = re.match(r"\s*([^;=(][^=(]*?)\s*(?:\([^)]*\))?\s*=\s*([^;]*)", line)
        if match:
            found.setdefault(match[1].lower(), match[2].strip())
    return found


def find_annotation(path: Path) -> Path | None:
    """The annotation beside a raster of UAVSAR, None if there is none."""
    if path.suffix == ".ann" and path.is_file():
        return path
    match = _NAME.match(path.name)
    if match is None:
        return None
    named = path.with_name(f"{match['stem']}.ann")
    others = list(path.parent.glob("*.ann"))
    return named if named.is_file() else others[0] if len(others) == 1 else None


def uavsar_layer(path: Path, header: Path | None = None) -> RawLayer:
    """The raster, or of an annotation the interferogram beside it.

    Args:
        path: of either.
        header: annotation file; None takes the one beside.
    Raises:
        DataError: no data beside an annotation, no numbers in it, a file of another size.
    """
    if path.suffix == ".ann":
        header = path
        stems = [path.with_name(path.stem + ending) for ending in _BEST]
        found = next((name for name in stems if name.is_file()), None)
        if found is None:
            raise DataError(f"{path}: found none of {', '.join(name.name for name in stems)} beside it, expected one")
        path = found
    header = find_annotation(path) if header is None else header
    match = _NAME.match(path.name)
    if header is None or match is None:
        raise DataError(f"{path}: found no annotation file or another name, expected NAME.int[.grd] beside NAME.ann")
    words = annotation(header)
    try:
        rows, columns = (int(float(words[key])) for key in (_GROUND if match["grid"] else _SLANT))
    except (KeyError, ValueError, OverflowError) as error:
        raise DataError(f"header: found no lines and samples of {path.name} in {header}, expected both") from error
    dtype, stored = ("complex64", "<c8") if match["kind"] == "int" else ("float32", "<f4")
    needed, size = rows * columns * (8 if dtype == "complex64" else 4), path.stat().st_size
    if size != needed or rows < 1 or columns < 1:
        raise DataError(f"{path}: found {size} bytes, expected {needed} for the {rows} x {columns} pixels of {header}")
    crs, transform = _georeference(words) if match["grid"] else (None, None)
    return RawLayer(
        path=str(path),
        shape=(rows, columns),
        dtype=dtype,
        nodata=0.0 if match["kind"] == "unw" else None,
        crs=crs,
        transform=transform,
        stored=stored,
    )


def _georeference(words: dict[str, str]) -> tuple[Any, Any]:
    try:
        x, dx, y, dy = (float(words[f"ground range data {key}"]) for key in _CORNER)
    except (KeyError, ValueError):
        return None, None
    return crs_from(4326), import_optional("affine", "insar").Affine(dx, 0, x - dx / 2, 0, dy, y - dy / 2)
