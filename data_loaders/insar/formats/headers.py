"""Text headers and coordinates of interferograms: keyword files, GAMMA parameters, CF grids."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.checks.extent import LONGEST_AXIS
from mvnet.data_loaders.insar.checks.hdf5_chunks import read_checked
from mvnet.data_loaders.insar.headerless.byte_order import detect_order
from mvnet.data_loaders.insar.layers import RawLayer
from mvnet.data_loaders.optional import import_optional

_WIDTH = ("interferogram_width", "range_samples", "range_samp_1", "width")
_LINES = ("interferogram_azimuth_lines", "azimuth_lines", "az_samp_1", "nlines")
_COORDINATES = (("x", "y"), ("xCoordinates", "yCoordinates"), ("longitude", "latitude"), ("lon", "lat"))
_ENDINGS = (".par", ".off", ".diff_par", ".dem_par")


def keywords(path: Path) -> dict[str, str]:
    """`key: value` or `key value` lines of a text file, keys in lower case; the first word of the value is kept."""
    found = {}
    for line in path.read_text(errors="replace").splitlines():
        match = re.match(r"\s*([A-Za-z_]\w*)\s*[:=\s]\s*(\S+)", line)
        if match:
            found.setdefault(match[1].lower(), match[2])
    return found


class _GammaType(NamedTuple):
    """How GAMMA stores a raster. stored: numpy type without byte order; pairs: two stored numbers, real and imaginary,
    a pixel; size: bytes of a pixel."""

    stored: str
    pairs: bool
    dtype: str
    size: int


_GAMMA_TYPES = (
    _GammaType("i2", True, "complex64", 4),  # SCOMPLEX
    _GammaType("c8", False, "complex64", 8),  # FCOMPLEX
    _GammaType("f4", False, "float32", 4),  # FLOAT
    _GammaType("u1", False, "uint8", 1),  # coherence of LiCSBAS
)
_COHERENCES = (".cc", ".coh", ".cor")


def gamma_layer(path: Path, header: Path | None) -> RawLayer | None:
    """The headerless raster described by a GAMMA parameter file, None if none fits its size.

    GAMMA's numbers are big-endian, those of LiCSBAS and of some conversions little-endian: their magnitudes tell.

    Args:
        path: of the data: FCOMPLEX, SCOMPLEX or FLOAT, which the size and `image_format` distinguish.
        header: .par, .off, .diff_par or .dem_par; None looks beside `path`, first for the same name, and for a
            .dem_par in the folder above.
    Raises:
        DataError: the header given is missing, or does not fit the size of the file.
    """
    if header is not None and not header.is_file():
        raise DataError(f"header: found no such file {header}, expected a GAMMA parameter file")
    for candidate in [header] if header else _beside(path):
        layer = _described_raster(path, keywords(candidate))
        if layer is not None:
            return layer
    if header is not None:
        size = path.stat().st_size
        raise DataError(f"{path}: found no width and length in {header}, expected some that give its {size} bytes")
    return None


def _described_raster(path: Path, words: Mapping[str, str]) -> RawLayer | None:
    """The raster of the width, length and type in a parameter file, None if they do not fit its size."""
    size, width, lines = path.stat().st_size, _first_integer(words, _WIDTH), _first_integer(words, _LINES)
    if width <= 0 or size == 0:
        return None
    short = words.get("image_format", "").upper() == "SCOMPLEX"
    for kind in _GAMMA_TYPES:
        row = width * kind.size
        fits = size == row * lines if lines else size % row == 0
        if not fits or (kind.pairs and not short):
            continue
        if kind.size == 1 and not (lines and path.suffix in _COHERENCES):
            continue
        order = detect_order(path, kind.stored, ">")
        crs, transform = _gamma_georeference(words)
        return RawLayer(
            path=str(path),
            shape=(size // row, width),
            dtype=kind.dtype,
            nodata=None if kind.dtype == "complex64" or (path.suffix in _COHERENCES and kind.size > 1) else 0.0,
            crs=crs,
            transform=transform,
            tags={key.upper(): value for key, value in words.items()},
            stored=order + kind.stored,
            pairs=kind.pairs,
        )
    return None


def _beside(path: Path) -> Iterator[Path]:
    """Parameter files next to the data, those of its own name first."""
    stems = (path.name, path.stem, path.name.split(".")[0])
    named = [path.with_name(stem + ending) for stem in stems for ending in _ENDINGS]
    others = sorted(other for other in path.parent.iterdir() if other.suffix in _ENDINGS or other.name == "dem_par")
    above = sorted(path.resolve().parent.parent.glob("*.dem_par"))
    for candidate in dict.fromkeys([*named, *others, *above]):
        if candidate.is_file() and candidate != path and candidate.stat().st_size < 1_000_000:
            yield candidate


def _gamma_georeference(words: Mapping[str, str]) -> tuple[Any, Any]:
    """CRS and transform of a DEM parameter file (EQA or UTM), whose corner is the centre of the first pixel."""
    names = {"EQA": ("corner_lon", "post_lon", "corner_lat", "post_lat")}
    names["UTM"] = ("corner_east", "post_east", "corner_north", "post_north")
    kind = words.get("dem_projection", "").upper()
    if kind not in names or not all(name in words for name in names[kind]):
        return None, None
    x, dx, y, dy = (float(words[name]) for name in names[kind])
    code = 4326
    if kind == "UTM":
        south = float(words.get("false_northing", 0)) > 0
        code = (32700 if south else 32600) + _integer(words.get("projection_zone", "0"))
    crs = None if code in (32600, 32700) else crs_from(code)
    return crs, import_optional("affine", "insar").Affine(dx, 0, x - dx / 2, 0, dy, y - dy / 2)


def crs_from(definition: Any) -> Any:
    """A rasterio CRS from an EPSG number, WKT or PROJ text; None if it is none."""
    crs = import_optional("rasterio.crs", "insar").CRS
    try:
        return crs.from_epsg(int(definition)) if str(definition).strip().isdigit() else crs.from_user_input(definition)
    except import_optional("rasterio.errors", "insar").CRSError:
        return None


def from_centres(x: np.ndarray, y: np.ndarray) -> Any:
    """The affine transform of a grid whose pixel centres have these coordinates; None if they are not regular."""
    if len(x) < 2 or len(y) < 2:
        return None
    dx, dy = (float(c[-1] - c[0]) / (len(c) - 1) for c in (x, y))
    for c, d in ((x, dx), (y, dy)):
        if d == 0 or not np.allclose(np.diff(c.astype(np.float64)), d, rtol=1e-2, atol=0):
            return None
    return import_optional("affine", "insar").Affine(dx, 0, float(x[0]) - dx / 2, 0, dy, float(y[0]) - dy / 2)


def cf_georeference(get: Callable[[str], Any], attributes: Mapping[str, Any], group: str) -> tuple[Any, Any]:
    """CRS and transform by the CF conventions and rioxarray's, in HDF5, NetCDF and Zarr alike.

    Args:
        get: the array or dataset of a name, None if there is none.
        attributes: of the data.
        group: prefix of the names that belong to the data, "" or ending in "/".
    """
    mapping = text(attributes.get("grid_mapping", "spatial_ref"))
    holder = next((found for name in (mapping, "projection", "crs") if (found := get(group + name)) is not None), None)
    crs = transform = None
    if holder is not None:
        crs, transform = _mapping_crs(holder), _mapping_transform(holder)
    return crs, _coordinate_transform(get, group) if transform is None else transform


def _mapping_crs(holder: Any) -> Any:
    """The CRS that the attributes of a grid-mapping variable define, else its value where that is an EPSG code."""
    attributes = dict(holder.attrs)
    definitions = [attributes.get(key) for key in ("crs_wkt", "spatial_ref", "epsg_code")]
    if attributes.get("epsg_code") is not None and getattr(holder, "shape", None) == ():
        definitions.append(holder[()])
    found = (crs_from(text(definition)) for definition in definitions if definition is not None)
    return next((crs for crs in found if crs is not None), None)


def _mapping_transform(holder: Any) -> Any:
    """The affine transform in GDAL's attribute of a grid-mapping variable, None without."""
    attributes = dict(holder.attrs)
    if "GeoTransform" not in attributes:
        return None
    numbers = [float(n) for n in text(attributes["GeoTransform"]).split()]
    return import_optional("affine", "insar").Affine.from_gdal(*numbers)


def _coordinate_transform(get: Callable[[str], Any], group: str) -> Any:
    """The affine transform of the first regular pair of coordinate variables in a group, None without."""
    for x, y in _COORDINATES:
        columns, rows = get(group + x), get(group + y)
        if columns is None or rows is None:
            continue
        if columns.ndim == rows.ndim == 1 and max(columns.shape[0], rows.shape[0]) <= LONGEST_AXIS:
            transform = from_centres(read_checked(columns), read_checked(rows))
            if transform is not None:
                return transform
    return None


def text(value: Any) -> str:
    """An attribute as text: bytes decoded, an array of one element unpacked."""
    value = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def number(value: Any) -> float | None:
    """An attribute as a finite real number, None if it is none."""
    try:
        found = float(text(value))
    except ValueError:
        return None
    return found if np.isfinite(found) else None


def _first_integer(words: Mapping[str, str], keys: tuple[str, ...]) -> int:
    """The number of the first keyword that is there, 0 without any."""
    return next((_integer(words[key]) for key in keys if key in words), 0)


def _integer(value: str) -> int:
    return int(float(value)) if re.fullmatch(r"[\d.eE+]+", value) else 0
