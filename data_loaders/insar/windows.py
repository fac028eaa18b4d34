"""Windows spread over a raster, to learn something of it without reading it whole."""

from __future__ import annotations

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.layers import Window


def sample_windows(shape: tuple[int, int], count: int, side: int) -> list[Window]:
    """All of a raster in windows where that takes no more than `count` along an axis, else so many from edge to edge.

    Args:
        shape: (rows, columns).
        count: windows along each axis, at least 1.
        side: of a window in pixels, at least 1.
    Returns:
        rows and columns of every window, row by row.
    Raises:
        DataError: a count or side below 1.
    """
    if min(count, side) < 1:
        raise DataError(f"count and side: found {count} and {side}, expected positive numbers")
    axes = []
    for n in shape:
        if n <= side * count:
            starts = list(range(0, n, side))
        else:
            starts = [round(k * (n - side) / max(count - 1, 1)) for k in range(count)]
        axes.append([slice(start, min(start + side, n)) for start in starts])
    return [(rows, columns) for rows in axes[0] for columns in axes[1]]
