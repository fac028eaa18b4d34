"""The coherence of an interferogram: which file it is, in which unit, and its values on the grid of the interferogram.

A coherence of 0 is kept: nothing is known only where its file says so (nodata, NaN, values far outside), or where it
has no pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.insar.layers import Layer, Window
from mvnet.data_loaders.insar.partner.units import CoherenceUnit, find_unit
from mvnet.data_loaders.optional import import_optional

_PIXELS = 0.1  # by which two grids may be apart
_POINTS = 33  # along each axis, where the overlap of two grids is looked at
_NOWHERE = 1e30  # coordinates of a point that a map projection does not reach


@dataclass(frozen=True, kw_only=True)
class CoherenceLayer(Layer):
    """Coherence in [0, 1] on the grid of an interferogram, float32, NaN where unknown.

    source: as stored. unit: of its values. resampled: it has another grid, which its georeference places.
    """

    source: Layer
    unit: CoherenceUnit
    resampled: bool = False

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        if not self.resampled:
            return self.unit.decode(self.source.read((rows, columns)))
        warp = import_optional("rasterio.warp", "insar")
        out = np.full((rows.stop - rows.start, columns.stop - columns.start), np.nan, np.float32)
        part = self._source_window((rows, columns))
        if part is None:
            return out
        local = import_optional("rasterio.crs", "insar").CRS.from_epsg(3857)  # of two grids that both name none
        scale = np.sqrt(abs(self.source.transform.determinant / self.transform.determinant))
        same = self.source.crs is None or self.crs is None or self.source.crs == self.crs
        finer = same and scale < 1 / 1.5
        warp.reproject(
            self.unit.decode(self.source.read(part)),
            out,
            src_transform=_moved(self.source.transform, part),
            src_crs=local if same else self.source.crs,
            src_nodata=np.nan,
            dst_transform=_moved(self.transform, (rows, columns)),
            dst_crs=local if same else self.crs,
            dst_nodata=np.nan,
            resampling=warp.Resampling.average if finer else warp.Resampling.bilinear,
            tolerance=0.0,
        )
        return out

    def _source_window(self, window: Window) -> Window | None:
        """What of the source the window depends on, None if nothing."""
        places = _places_in(self.source, self, window)
        spans = []
        for place, n in zip(places, self.source.shape):
            step = np.ptp(place) / max(1, min(s.stop - s.start for s in window))
            start, stop = (int(f) for f in (np.floor(place.min() - step - 2), np.ceil(place.max() + step + 2)))
            spans.append(slice(max(0, start), min(n, stop)))
        return (spans[0], spans[1]) if all(s.start < s.stop for s in spans) else None


def fit_partner(source: Layer, stored: Layer, given: bool) -> tuple[CoherenceLayer, list[str]]:
    """A coherence on the grid of an interferogram.

    Args:
        source: the coherence as stored.
        stored: the interferogram.
        given: the coherence was asked for: it may cover a part of the interferogram.
    Returns:
        the layer, and lines that say what was done to it.
    Raises:
        DataError: complex values, values of no known unit, a grid that does not fit.
    """
    if source.is_complex:
        raise DataError(f"coherence: found complex values in {source.path}, expected real ones from 0 to 1")
    lines = []
    with reading(source.path, "a raster with the grid of another"):
        same = _same_grid(source, stored)
        share = 1.0 if same else _overlap(source, stored)
    if not same:
        if share < 1 and not given:
            found = f"{100 * share:.3g} % of the interferogram covered by {source.path}"
            raise DataError(f"coherence: found {found}, expected all of it")
        size = f"{source.shape[0]} x {source.shape[1]}"
        part = "" if share == 1 else f", which cover {100 * share:.3g} % of the interferogram"
        lines.append(f"coherence: resampled by georeference from {size} pixels{part}")
    lines += source.tell_unwritten("coherence", "nothing is known there")
    unit, words = find_unit(source.read, source.shape, source.dtype, source.nodata, Path(source.path).name)
    layer = CoherenceLayer(
        path=source.path,
        shape=stored.shape,
        dtype="float32",
        crs=stored.crs,
        transform=stored.transform,
        source=source,
        unit=unit,
        resampled=not same,
    )
    return layer, [*lines, *words]


def try_partner(source: Layer, stored: Layer, given: bool) -> tuple[CoherenceLayer | None, list[str]]:
    """`fit_partner`; of a coherence that nobody asked for and that does not fit only the reason is told."""
    try:
        return fit_partner(source, stored, given)
    except DataError as error:
        if given:
            found, _, expected = str(error).partition(", expected ")
            argument, _, found = found.partition(": found ")
            raise DataError(f"{argument}: found {found}, expected {expected}; --coherence none does without") from error
        return None, [left_out(source.path, error)]


def left_out(path: str | Path, error: Exception) -> str:
    """The line that says why a coherence found by itself is not used."""
    return f"coherence: {Path(path).name} is left out ({str(error).removeprefix('coherence: ')})"


def _same_grid(source: Layer, stored: Layer) -> bool:
    """Whether the pixels are the same.

    Raises:
        DataError: they are not, and no georeference places them; or one that cannot.
    """
    if stored.transform is not None and stored.transform.is_degenerate:
        raise DataError(f"{stored.path}: found pixels without extent in its georeference, expected some size")
    if source.transform is None or stored.transform is None:
        if source.shape != stored.shape:
            raise DataError(f"coherence: found shape {source.shape} in {source.path}, expected {stored.shape}")
        return True
    if source.transform.is_degenerate:
        raise DataError(f"{source.path}: found pixels without extent in its georeference, expected some size")
    if source.shape != stored.shape or (None not in (source.crs, stored.crs) and source.crs != stored.crs):
        return False
    return _distance(stored.transform, source.transform, stored.shape) <= _PIXELS


def _overlap(source: Layer, stored: Layer) -> float:
    """Share of the interferogram that lies within the coherence, or a pixel of it beside.

    Raises:
        DataError: nothing does.
    """
    places = _places_in(source, stored, (slice(0, stored.shape[0]), slice(0, stored.shape[1])))
    inside = np.logical_and(*((place > -1) & (place < n + 1) for place, n in zip(places, source.shape)))
    if inside.any():
        return float(inside.mean())
    if None not in (source.crs, stored.crs) and source.crs != stored.crs:
        found, expected = (crs.to_string()[:60] for crs in (source.crs, stored.crs))
        raise DataError(
            f"coherence: found {source.path} in CRS {found} elsewhere, expected it on the grid in {expected}"
        )
    apart = _distance(stored.transform, source.transform, stored.shape)
    raise DataError(f"coherence: found {source.path} {apart:.3g} pixels away, expected the grid of {stored.path}")


def _places_in(source: Layer, stored: Layer, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the source, at points spread over a window of the other and at its corner pixels."""
    axes = [np.linspace(s.start + 0.5, s.stop - 0.5, _POINTS) for s in window]
    rows, columns = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    x, y = _apply(stored.transform, columns, rows)
    if None not in (source.crs, stored.crs) and source.crs != stored.crs:
        warp = import_optional("rasterio.warp", "insar")
        x, y = (np.asarray(values) for values in warp.transform(stored.crs, source.crs, x, y))
    inside = np.isfinite(x) & np.isfinite(y)
    columns, rows = _apply(~source.transform, np.where(inside, x, _NOWHERE), np.where(inside, y, _NOWHERE))
    return rows, columns


def _apply(transform: Any, x: Any, y: Any) -> tuple[Any, Any]:
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def _moved(transform: Any, window: Window) -> Any:
    """The transform of a window."""
    x, y = _apply(transform, window[1].start, window[0].start)
    parts = (transform.a, transform.b, x, transform.d, transform.e, y)
    return import_optional("affine", "insar").Affine(*parts)


def _distance(one: Any, other: Any, shape: tuple[int, int]) -> float:
    """Pixels of `one` by which the corners of the image lie apart in two affine transforms."""
    steps = np.array([[one.a, one.b], [one.d, one.e]])
    distances = []
    for x, y in ((0, 0), (shape[1], shape[0])):
        corners = [_apply(t, x, y) for t in (one, other)]
        distances.append(np.linalg.norm(np.linalg.solve(steps, np.subtract(corners[0], corners[1]))))
    return float(max(distances))
