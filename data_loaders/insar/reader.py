"""Opening an interferogram: its format, its layer, and the coherence on the same grid."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.formats.looks import looks_of
from mvnet.data_loaders.insar.formats.products import coherence_beside
from mvnet.data_loaders.insar.formats.registry import ReadOptions, open_layers
from mvnet.data_loaders.insar.interferogram import Interferogram
from mvnet.data_loaders.insar.layers import Layer

_PIXELS = 0.1  # by which two grids may be apart


def open_interferogram(
    path: str | os.PathLike[str],
    coherence: str | os.PathLike[str] | None = None,
    *,
    format: str | None = None,
    layer: str | int | None = None,
    header: str | os.PathLike[str] | None = None,
    nodata: float | None = None,
    looks: float | None = None,
    window: int = 5,
    find_coherence: bool = True,
) -> Interferogram:
    """Open an interferogram of any format; headers are read, and some values where they must tell bands apart.

    Args:
        path: file, or folder of a product: complex, or phase in radians.
        coherence: its coherence on the same grid, 0 to 1 (bytes: 0 to 255). None takes the one in the product or beside
            it under the processor's name; if there is none it is estimated from the phase.
        format: a name in `FORMATS`; None recognises it.
        layer: what to read of several: a band (from 1), a dataset, a polarisation, a pair of a stack by its position
            (from 0) or dates, "NAME:PAIR" for both, "A+B" for a real and an imaginary part.
        header: GAMMA parameter file of a headerless raster.
        nodata: value that means no data, instead of the one the file declares. 0 in a phase raster is data unless it is
            declared or given.
        looks: of the interferogram; None takes those of the file's metadata, where it tells them.
        window: for estimating the coherence.
        find_coherence: False to estimate it even if there is one beside.
    Raises:
        DataError: no such file, unknown format, truncated or damaged file, no such layer, values that are no phase,
            coherence of another shape, CRS or position.
    """
    if looks is not None and looks < 1:
        raise DataError(f"looks: found {looks}, expected at least 1")
    if window < 3 or window % 2 == 0:
        raise DataError(f"window: found {window}, expected an odd number of at least 3")
    path, parameters = Path(path), None if header is None else Path(header)
    (stored, inside), name = open_layers(path, ReadOptions(layer, parameters), format)
    stored = stored if nodata is None else stored.with_nodata(nodata)
    if np.dtype(stored.dtype).kind not in "fc":
        raise DataError(f"{path}: found values of type {stored.dtype}, expected complex numbers or phases in radians")
    if min(stored.shape) < 1:
        raise DataError(f"{path}: found shape {stored.shape}, expected at least one pixel")
    messages = [f"{path.name}: {name}, {stored.dtype}, {stored.shape[0]} x {stored.shape[1]}" + _named(stored)]
    partner, source = _partner(path, coherence, inside if find_coherence else None, parameters, find_coherence)
    if partner is not None:
        partner = _on_grid(partner, stored)
    messages.append(f"coherence: {source}")
    return Interferogram(
        layer=stored,
        kind="complex" if stored.is_complex else "phase",
        format=name,
        nodata=stored.nodata if nodata is None else nodata,
        coherence=partner,
        looks=looks_of(stored.tags) if looks is None else looks,
        window=window,
        messages=messages,
    )


def _partner(
    path: Path, given: str | os.PathLike[str] | None, inside: Layer | None, header: Path | None, look: bool
) -> tuple[Layer | None, str]:
    """The coherence given, in the product, or beside it; and what to say of it."""
    if given is None and inside is not None:
        return inside, f"in {path.name}{_named(inside)}"
    beside = coherence_beside(path) if given is None and look else None
    if given is None and beside is None:
        return None, "estimated from the phase"
    place = Path(beside if given is None else given)  # type: ignore[arg-type]
    found, name = open_layers(place, ReadOptions(None, header if _headerless(place) else None, coherence=True))
    if found.layer.is_complex:
        raise DataError(f"coherence: found complex values in {place}, expected real ones from 0 to 1")
    return found.layer, f"{place.name}, {name}{_named(found.layer)}"


def _named(layer: Layer) -> str:
    """What of the file was read, for messages."""
    return f", {layer.part}" if layer.part else ""


def _headerless(path: Path) -> bool:
    return path.suffix in (".cc", ".coh", ".cor")


def _on_grid(partner: Layer, stored: Layer) -> Layer:
    """The coherence, checked to lie on the grid of the interferogram."""
    if partner.shape != stored.shape:
        raise DataError(f"coherence: found shape {partner.shape} in {partner.path}, expected {stored.shape}")
    if partner.crs is not None and stored.crs is not None and partner.crs != stored.crs:
        found, expected = (crs.to_string()[:60] for crs in (partner.crs, stored.crs))
        raise DataError(f"coherence: found CRS {found} in {partner.path}, expected {expected}")
    if partner.transform is not None and stored.transform is not None:
        if stored.transform.is_degenerate:
            raise DataError(f"{stored.path}: found pixels without extent in its georeference, expected some size")
        apart = _distance(stored.transform, partner.transform, stored.shape)
        if apart > _PIXELS:
            raise DataError(
                f"coherence: found {partner.path} {apart:.3g} pixels away, expected the grid of {stored.path}"
            )
    return replace(partner, tags={})


def _distance(one: Any, other: Any, shape: tuple[int, int]) -> float:
    """Pixels of `one` by which the corners of the image lie apart in two affine transforms."""
    steps = np.array([[one.a, one.b], [one.d, one.e]])
    distances = []
    for x, y in ((0, 0), (shape[1], shape[0])):
        corners = [(t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f) for t in (one, other)]
        distances.append(np.linalg.norm(np.linalg.solve(steps, np.subtract(corners[0], corners[1]))))
    return float(max(distances))
