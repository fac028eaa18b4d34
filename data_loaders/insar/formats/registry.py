"""The file formats interferograms come in.

A format is one entry of `FORMATS`: a name, how to recognise it, how to open it. The first that recognises a path
wins, so the specific ones come first. A product that holds its coherence gives both layers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.checks.sources import LOCAL, Access
from mvnet.data_loaders.insar.formats.archives import archive_layers, is_archive, zip_names
from mvnet.data_loaders.insar.formats.array_files import npy_layer, saved_layers
from mvnet.data_loaders.insar.formats.arrays import (
    grid_transform,
    hdf5_layers,
    is_aria,
    is_hdf5,
    is_mintpy,
    is_nisar,
    is_zarr,
    netcdf_layers,
    zarr_layers,
)
from mvnet.data_loaders.insar.formats.bands import choose_layers
from mvnet.data_loaders.insar.formats.headers import gamma_layer
from mvnet.data_loaders.insar.formats.products import coherence_names
from mvnet.data_loaders.insar.formats.units import in_radians
from mvnet.data_loaders.insar.headerless.raw import RawShape, raw_layer
from mvnet.data_loaders.insar.headerless.uavsar import find_annotation, uavsar_layer
from mvnet.data_loaders.insar.layers import Layer, flip, join
from mvnet.data_loaders.insar.rasters import is_raster, raster_layer, raster_layers


class ReadOptions(NamedTuple):
    """What is asked of a format.

    layer: band number, name or pair of dates inside the file; None chooses. header: parameter file of a headerless
    raster. coherence: the file is read for its coherence, not for its phase. raw: shape and type of a headerless file.
    access: what may be opened besides the file.
    """

    layer: str | int | None = None
    header: Path | None = None
    coherence: bool = False
    raw: RawShape | None = None
    access: Access = LOCAL


class OpenedLayers(NamedTuple):
    """The interferogram, and its coherence where the same product holds it. notes: what was guessed, a line each."""

    layer: Layer
    coherence: Layer | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """name: for the `format` argument. recognises: cheap, reads a header at most. open: DataError if it cannot."""

    name: str
    recognises: Callable[[Path], bool]
    open: Callable[[Path, ReadOptions], OpenedLayers]


def _raster(path: Path | str, options: ReadOptions) -> OpenedLayers:
    return OpenedLayers(*choose_layers(raster_layers(path, access=options.access), options.layer, options.coherence))


def _isce(path: Path, options: ReadOptions) -> OpenedLayers:
    return _raster(_isce_file(path) or path, options)


def _isce_file(path: Path) -> Path | None:
    """What GDAL opens of NAME, NAME.xml and NAME.vrt, any of which may be given."""
    base = path.with_suffix("") if path.suffix in (".xml", ".vrt") else path
    if base.suffix in ("", ".tif"):
        return None
    if base.is_file() and Path(f"{base}.xml").is_file():
        return base
    return Path(f"{base}.vrt") if Path(f"{base}.vrt").is_file() else None


def _envi(path: Path, options: ReadOptions) -> OpenedLayers:
    return _raster(_envi_data(path), options)


def _envi_data(path: Path) -> Path:
    """The data file of an ENVI header."""
    if path.suffix.lower() != ".hdr":
        return path
    names = (path.with_suffix(ending) for ending in ("", ".img", ".dat", ".bin", ".raw", ".int"))
    found = next((name for name in names if name != path and name.is_file()), None)
    if found is None:
        raise DataError(f"{path}: found no data file of this header beside it, expected one")
    return found


def _has_envi_header(path: Path) -> bool:
    candidates = [path] if path.suffix.lower() == ".hdr" else [path.with_suffix(".hdr"), Path(f"{path}.hdr")]
    return any(name.is_file() and head(name, 4) == b"ENVI" for name in candidates)


def _gamma(path: Path, options: ReadOptions) -> OpenedLayers:
    layer = gamma_layer(path, options.header)
    if layer is None:
        raise DataError(
            f"header: found none beside {path} that fits its size, expected a GAMMA parameter file; name it"
        )
    little = f"{path.name}: little-endian, by the magnitudes of its values"
    return OpenedLayers(layer, notes=(little,) if layer.stored.startswith("<") else ())


def _raw(path: Path, options: ReadOptions) -> OpenedLayers:
    if options.raw is None:
        raise DataError("shape: found none, expected ROWS,COLUMNS of a headerless file")
    layer, notes = raw_layer(path, options.raw)
    return OpenedLayers(layer, notes=tuple(notes))


def _netcdf(path: Path, options: ReadOptions) -> OpenedLayers:
    """GMT and GMTSAR grids, classic NetCDF or HDF5, flipped north up; real*.grd is joined with imag*.grd."""
    found, partner = _netcdf_layers(path, options)
    if found.transform is None:  # GDAL wants units or a projection to believe the coordinates
        found = replace(found, transform=grid_transform(path))
    layer, partner = (flip(f) if f and f.transform and f.transform.e > 0 else f for f in (found, partner))
    assert layer is not None
    other = path.with_name(path.name.replace("real", "imag", 1))
    if path.name.startswith("real") and other.is_file() and not options.coherence:
        layer = join(layer, _netcdf(other, options._replace(coherence=True)).layer)
    return OpenedLayers(layer, partner)


def _netcdf_layers(path: Path, options: ReadOptions) -> tuple[Layer, Layer | None]:
    found = netcdf_layers(path, options.layer, options.coherence, options.access)
    return (raster_layer(path, access=options.access), None) if found is None else found


def _dimap(path: Path, options: ReadOptions) -> OpenedLayers:
    """SNAP: i_*.img and q_*.img (or a phase band) in the .data folder, coh*.img beside them."""
    folder = path if path.suffix == ".data" else path.with_suffix(".data")
    bands = {file.stem: file for file in sorted(folder.glob("*.img"))}
    if not bands:
        raise DataError(f"{folder}: found no *.img, expected the bands of {path}")
    layers = [replace(raster_layer(file, access=options.access), part=name) for name, file in bands.items()]
    return OpenedLayers(*choose_layers(layers, options.layer, options.coherence))


_PRODUCT = (r"wrapped_phase\.tif$", r"\.geo\.diff_pha\.tif$", r"\.geo\.diff_unfiltered_pha\.tif$", r"unw_phase\.tif$")
_PRODUCT += (r"\.geo\.unw\.tif$",)


def _product_file(names: list[str]) -> str | None:
    """The interferogram of a HyP3 or LiCSAR product, wrapped rather than unwrapped."""
    return next((name for pattern in _PRODUCT for name in sorted(names) if re.search(pattern, name)), None)


def _product_names(path: Path) -> list[str]:
    if path.is_dir():
        return [str(file) for file in path.glob("*.tif")]
    return [f"/vsizip/{path}/{name}" for name in zip_names(path)] if path.suffix == ".zip" else []


def _product(path: Path, options: ReadOptions) -> OpenedLayers:
    names = _product_names(path)
    chosen = _product_file(names)
    assert chosen is not None  # recognised by it
    stem, _, last = chosen.rpartition("/")
    beside = next((f"{stem}/{name}" for name in coherence_names(last) if f"{stem}/{name}" in names), None)
    coherence = raster_layer(beside, access=options.access) if beside else None
    return OpenedLayers(raster_layer(chosen, access=options.access), coherence)


def head(path: Path, count: int) -> bytes:
    """The first bytes of a file, none of a folder."""
    if not path.is_file():
        return b""
    with open(path, "rb") as file:
        return file.read(count)


def _is_tiff(path: Path) -> bool:
    return head(path, 4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _saved(path: Path, options: ReadOptions) -> OpenedLayers:
    return OpenedLayers(*saved_layers(path, options.layer, options.coherence))


FORMATS: tuple[Format, ...] = (
    Format("geotiff", _is_tiff, _raster),
    Format("product", lambda p: _product_file(_product_names(p)) is not None, _product),  # HyP3, LiCSAR folder or zip
    Format("beam-dimap", lambda p: p.suffix == ".dim" or (p.suffix == ".data" and p.is_dir()), _dimap),
    Format("zarr", is_zarr, lambda p, r: OpenedLayers(*zarr_layers(p, r.layer, r.coherence))),  # and SNAP's .znap
    Format("nisar", is_nisar, lambda p, r: OpenedLayers(*hdf5_layers(p, r.layer, "nisar", r.coherence, r.access))),
    Format("aria", is_aria, lambda p, r: OpenedLayers(*hdf5_layers(p, r.layer, "aria", r.coherence, r.access))),
    Format("mintpy", is_mintpy, lambda p, r: OpenedLayers(*hdf5_layers(p, r.layer, "mintpy", r.coherence, r.access))),
    Format("gmtsar", lambda p: p.suffix in (".grd", ".nc") and _is_netcdf(p), _netcdf),
    Format("hdf5", is_hdf5, lambda p, r: OpenedLayers(*hdf5_layers(p, r.layer, "any", r.coherence, r.access))),
    Format("isce2", lambda p: _isce_file(p) is not None, _isce),
    Format("roi_pac", lambda p: Path(f"{p}.rsc").is_file(), _raster),
    Format("envi", _has_envi_header, _envi),
    Format("npy", lambda p: head(p, 6) == b"\x93NUMPY", lambda p, r: OpenedLayers(npy_layer(p, r.layer))),
    Format("npz", lambda p: p.suffix == ".npz", _saved),
    Format("matlab", lambda p: p.suffix == ".mat" and p.is_file(), _saved),
    Format("zip", is_archive, lambda p, r: OpenedLayers(*archive_layers(p, r.layer, r.coherence))),
    Format("uavsar", lambda p: find_annotation(p) is not None, lambda p, r: OpenedLayers(uavsar_layer(p, r.header))),
    Format("gamma", lambda p: p.is_file() and gamma_layer(p, None) is not None, _gamma),
    Format("gdal", lambda p: p.suffix == ".vrt" or is_raster(p), _raster),
    Format("raw", lambda p: False, _raw),  # by its shape only
)
"""Every format read. A new one is one line here and the function that opens it."""


def _is_netcdf(path: Path) -> bool:
    """A grid of real numbers; complex ones in HDF5 go to the HDF5 reader, as GDAL's NetCDF driver has none."""
    if head(path, 3) == b"CDF":
        return True
    return path.suffix == ".grd" and is_hdf5(path)


_RASTERS = (".tif", ".tiff", ".vrt", ".int", ".grd", ".nc", ".h5", ".zip", ".img", ".npy")
_NAMED = 8  # files of a folder that an error names


def open_layers(path: Path, options: ReadOptions, format: str | None = None) -> tuple[OpenedLayers, str]:
    """The layers of a file or folder and the name of its format.

    Raises:
        DataError: no such file, unknown format, or what the format's own reader says.
    """
    names = [entry.name for entry in FORMATS]
    if format is not None and format not in names:
        raise DataError(f"format: found {format!r}, expected one of {', '.join(names)}")
    if not path.exists() and not path.with_name(path.name + ".vrt").is_file():
        raise DataError(f"{path}: found no such file, expected an interferogram")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path}: found an empty file, expected an interferogram")
    if format is None and options.raw is not None:
        format = "raw"
    if format is None and options.header is not None:
        format = "uavsar" if options.header.suffix == ".ann" else "gamma"
    for entry in FORMATS:
        with reading(path, entry.name):
            if entry.name == format or (format is None and entry.recognises(path)):
                return _in_radians(entry.open(path, options), options), entry.name
    if path.is_dir():
        raise DataError(f"{path}: found a folder of no known product, {_content(path)}, expected the name of one file")
    raise DataError(
        f"{path}: found an unknown format, expected one of {', '.join(names)}; raw needs --shape ROWS,COLUMNS"
    )


def _content(folder: Path) -> str:
    """The files of a folder, rasters first, for an error."""
    files = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    rasters = [name for name in files if name.lower().endswith(_RASTERS)]
    shown = (rasters or files)[:_NAMED]
    more = len(rasters or files) - len(shown)
    return f"with {', '.join(shown)}{f' and {more} more' if more else ''}" if shown else "empty"


def open_virtual(uri: str, options: ReadOptions) -> OpenedLayers:
    """The layers of a place that GDAL alone opens; errors as `open_layers`."""
    return _in_radians(_raster(uri, options), options)


def _in_radians(opened: OpenedLayers, options: ReadOptions) -> OpenedLayers:
    return opened if options.coherence else opened._replace(layer=in_radians(opened.layer))
