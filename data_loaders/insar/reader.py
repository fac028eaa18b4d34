"""Opening an interferogram: its format, its layer, and the coherence on the same grid."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.checks.extent import check_extent
from mvnet.data_loaders.insar.checks.sources import Access
from mvnet.data_loaders.insar.formats.locations import Location, local_file, locate
from mvnet.data_loaders.insar.formats.looks import looks_of
from mvnet.data_loaders.insar.formats.products import coherence_beside
from mvnet.data_loaders.insar.formats.registry import OpenedLayers, ReadOptions, open_layers, open_virtual
from mvnet.data_loaders.insar.headerless.raw import RawShape, parse_raw
from mvnet.data_loaders.insar.interferogram import Interferogram
from mvnet.data_loaders.insar.layers import Layer
from mvnet.data_loaders.insar.missing import find_missing
from mvnet.data_loaders.insar.partner.grid import left_out, try_partner

KEEP = "none"
"""The nodata of a file whose undeclared fill values are data."""


def open_interferogram(
    path: str | os.PathLike[str],
    coherence: str | os.PathLike[str] | None = None,
    *,
    format: str | None = None,
    layer: str | int | None = None,
    header: str | os.PathLike[str] | None = None,
    nodata: float | str | None = None,
    looks: float | None = None,
    window: int = 5,
    find_coherence: bool = True,
    shape: str | tuple[int, int] | None = None,
    dtype: str | None = None,
    byte_order: str | None = None,
    allow_network: bool = False,
    allow_external: bool = False,
) -> Interferogram:
    """Open an interferogram of any format; a sample of its values, or a small file's all, are looked at.

    Args:
        path: file, or folder of a product: complex, or phase in radians; also what GDAL opens, see
            `mvnet.data_loaders.insar.formats.locations`.
        coherence: its coherence, 0 to 1, per cent, bytes or 10000ths, on the same grid or georeferenced. None takes the
            one in the product or beside it under the processor's name if it fits; if there is none it is estimated from
            the phase.
        format: a name in `FORMATS`; None recognises it.
        layer: what to read of several: a band (from 1), a dataset, a polarisation, a pair of a stack by its position
            (from 0) or dates, "NAME:PAIR" for both, "A+B" for a real and an imaginary part.
        header: GAMMA parameter file of a headerless raster.
        nodata: value that means no data, instead of the one the file declares. Values that repeat as no measured ones
            do are no data as well; "none" keeps them. A 0 in a phase raster is data unless it is one of these.
        looks: of the interferogram; None takes those of the file's metadata, where it tells them.
        window: for estimating the coherence.
        find_coherence: False to estimate it even if there is one beside.
        shape, dtype, byte_order: of a headerless file: (rows, columns) or "ROWS,COLUMNS", keys of `TYPES`, `ORDERS` in
            `mvnet.data_loaders.insar.headerless.raw`; without the last two the size and the magnitudes tell.
        allow_network: let the path be an address on a network.
        allow_external: let a VRT or HDF5 file read files that do not lie in its folder or below.
    Raises:
        DataError: no such file, unknown format, truncated or damaged file, no such layer, values that are no phase,
            a coherence that was given and does not fit, an address on a network, files elsewhere.
    """
    if looks is not None and looks < 1:
        raise DataError(f"looks: found {looks}, expected at least 1")
    if window < 3 or window % 2 == 0:
        raise DataError(f"window: found {window}, expected an odd number of at least 3")
    access = Access(allow_network, allow_external)
    place, parameters = locate(path, allow_network), None if header is None else Path(header)
    told = parse_raw(shape, dtype, byte_order)
    (stored, inside, notes), name = _open(place, ReadOptions(layer, parameters, raw=told, access=access), format)
    given_nodata = None if nodata is None or nodata == KEEP else _number(nodata)
    stored = stored if given_nodata is None else stored.with_nodata(given_nodata)
    _check_stored(path, place, stored)
    title = Path(place.shown).name
    messages = [f"{title}: {name}, {stored.dtype}, {stored.shape[0]} x {stored.shape[1]}{_named(stored)}", *notes]
    if place.network:
        messages.insert(0, f"network access: {place.shown}")
    messages += stored.tell_unwritten(title, "they have no data")
    known, detect = stored.nodata, nodata != KEEP
    missing, words = find_missing(stored.read, stored.shape, known, detect)
    if given := None if coherence is None else locate(coherence, allow_network):
        partner, more = _given(given, stored, parameters, told, access)
    elif find_coherence:
        partner, more = _found(place, inside, stored, parameters, access)
    else:
        partner, more = None, []
    return Interferogram(
        layer=stored,
        kind="complex" if stored.is_complex else "phase",
        format=name,
        nodata=known,
        coherence=partner,
        looks=looks_of(stored.tags) if looks is None else looks,
        window=window,
        missing=missing,
        messages=[*messages, *words, *more, *([] if partner else ["coherence: estimated from the phase"])],
    )


def _check_stored(path: str | os.PathLike[str], place: Location, stored: Layer) -> None:
    """DataError for values that are no phases, or more of them than the file can hold."""
    if np.dtype(stored.dtype).kind not in "fc":
        raise DataError(f"{path}: found values of type {stored.dtype}, expected complex numbers or phases in radians")
    if min(stored.shape) < 1:
        raise DataError(f"{path}: found shape {stored.shape}, expected at least one pixel")
    check_extent(stored.shape, place.path or local_file(place.uri), stored.path)


def _open(place: Location, options: ReadOptions, format: str | None = None) -> tuple[OpenedLayers, str]:
    """The layers of a place and the name of its format."""
    if place.path is not None:
        layer = place.layer if options.layer is None else options.layer
        return open_layers(place.path, options._replace(layer=layer), format)
    try:
        return open_virtual(place.uri, options), "gdal"
    except DataError as error:
        if place.network:
            raise DataError(f"{place.shown}: found nothing there that GDAL opens, expected a raster") from error
        raise


def _number(nodata: float | str) -> float:
    try:
        return float(nodata)
    except ValueError as error:
        raise DataError(f"nodata: found {nodata!r}, expected a number or {KEEP}") from error


def _given(
    place: Location, stored: Layer, header: Path | None, told: RawShape | None, access: Access
) -> tuple[Layer | None, list[str]]:
    """The coherence that was asked for, and what to say of it."""
    options = ReadOptions(None, header if _headerless(Path(place.uri)) else None, coherence=True, access=access)
    try:
        opened, name = _open(place, options)
    except DataError:
        if told is None:
            raise
        opened, name = _open(place, options._replace(raw=RawShape(told.shape, None, told.byte_order)))
    partner, words = try_partner(opened.layer, stored, given=True)
    said = f"coherence: {Path(place.shown).name}, {name}{_named(opened.layer)}"
    return partner, [said, *opened.notes, *words]


def _found(
    place: Location, inside: Layer | None, stored: Layer, header: Path | None, access: Access
) -> tuple[Layer | None, list[str]]:
    """The coherence in the product, or beside it, if it fits, and what to say of it."""
    if inside is not None:
        partner, words = try_partner(inside, stored, given=False)
        return partner, [f"coherence: in {Path(place.shown).name}{_named(inside)}"] * (partner is not None) + words
    beside = None if place.path is None else coherence_beside(place.path)
    if beside is None:
        return None, []
    try:
        options = ReadOptions(None, header if _headerless(beside) else None, coherence=True, access=access)
        opened, name = open_layers(beside, options)
    except (DataError, OSError) as error:
        return None, [left_out(beside, error)]
    partner, words = try_partner(opened.layer, stored, given=False)
    said = f"coherence: {beside.name}, {name}{_named(opened.layer)}"
    return partner, [said, *opened.notes] * (partner is not None) + words


def _named(layer: Layer) -> str:
    """What of the file was read, for messages."""
    return f", {layer.part}" if layer.part else ""


def _headerless(path: Path) -> bool:
    return path.suffix in (".cc", ".coh", ".cor")
