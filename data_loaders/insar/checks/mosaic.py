"""What a VRT lays over its raster: pixels under none of its sources, or under parts that were never written, are none.

GDAL reads them as 0 where no value for missing pixels is named.
Source: GDAL's VRT format, SimpleSource: SrcRect of a source lies at DstRect of the raster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mvnet.data_loaders.insar.checks.blocks import Blocks

_STRIP = 1024  # rows looked at together


class Part(NamedTuple):
    """A source. rows, columns: what it covers of the raster. row, column: of the source, at their beginning.
    blocks: of the source, None where all were written."""

    rows: slice
    columns: slice
    row: int
    column: int
    blocks: Blocks | Mosaic | None


class Mosaic(NamedTuple):
    """Sources side by side; a pixel is missing where it is so in all that cover it."""

    parts: tuple[Part, ...]

    def pixels_missing(self, shape: tuple[int, int]) -> int:
        """How many pixels of a raster (rows, columns) no source gives."""
        strips = (slice(top, min(top + _STRIP, shape[0])) for top in range(0, shape[0], _STRIP))
        return sum(int(self.mask(rows, slice(0, shape[1])).sum()) for rows in strips)

    def mask(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a window that no source gives, (h, w) bool."""
        missing = np.ones((rows.stop - rows.start, columns.stop - columns.start), bool)
        for part in self.parts:
            y, x = _overlap(rows, part.rows), _overlap(columns, part.columns)
            if y.start >= y.stop or x.start >= x.stop:
                continue
            inside = _shift(y, part.row - part.rows.start), _shift(x, part.column - part.columns.start)
            lost = False if part.blocks is None else part.blocks.mask(*inside)
            missing[_shift(y, -rows.start), _shift(x, -columns.start)] &= lost
        return missing


def mosaic_of(band: Any, found: Sequence[Blocks | Mosaic | None], shape: tuple[int, int]) -> Mosaic | None:
    """The mosaic of a band of a VRT.

    Args:
        band: its XML element.
        found: of every source in turn what was never written.
        shape: rows and columns of the VRT.
    Returns:
        None where sources are scaled, filtered or computed, so that it cannot be told what they leave out.
    """
    sources = [child for child in band if child.tag.endswith("Source")]
    if len(sources) != len(found) or not all(s.tag in ("SimpleSource", "ComplexSource") for s in sources):
        return None
    parts = []
    for source, blocks in zip(sources, found):
        taken, given = (_rectangle(source.find(name), shape) for name in ("SrcRect", "DstRect"))
        if taken is None or given is None or taken[2:] != given[2:] or source.find("NODATA") is not None:
            return None
        (column, row, *_), (left, top, width, height) = taken, given
        parts.append(Part(slice(top, top + height), slice(left, left + width), row, column, blocks))
    return Mosaic(tuple(parts))


def _rectangle(element: Any, shape: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Left, top, width, height in whole pixels; all of the raster without an element, None of parts of pixels."""
    if element is None:
        return 0, 0, shape[1], shape[0]
    values = [float(element.get(key, "nan")) for key in ("xOff", "yOff", "xSize", "ySize")]
    return tuple(map(int, values)) if all(v.is_integer() and v >= 0 for v in values) else None  # type: ignore


def _shift(a: slice, by: int) -> slice:
    return slice(a.start + by, a.stop + by)


def _overlap(a: slice, b: slice) -> slice:
    return slice(max(a.start, b.start), min(a.stop, b.stop))
