"""The blocks in which a raster is stored, and which of them were never written."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Blocks(NamedTuple):
    """Blocks of a raster. shape: rows and columns of a block. missing: (block rows, block columns) bool, never written.
    end: of the last byte of any, 0 where unknown."""

    shape: tuple[int, int]
    missing: np.ndarray
    end: int = 0

    def pixels_missing(self, shape: tuple[int, int]) -> int:
        """How many pixels of a raster (rows, columns) were never written."""
        sides = []
        for count, side, length in zip(self.missing.shape, self.shape, shape):
            starts = np.arange(count) * side
            sides.append(np.minimum(starts + side, length) - starts)
        return int(sides[0] @ (self.missing @ sides[1]))

    def mask(self, rows: slice, columns: slice) -> np.ndarray:
        """The pixels of a window that were never written, (h, w) bool."""
        places = [np.arange(part.start, part.stop) // side for part, side in zip((rows, columns), self.shape)]
        return self.missing[np.ix_(*places)]
