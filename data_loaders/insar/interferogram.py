"""An interferogram on disk: complex values, validity and coherence of any window, and what to write it back with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.layers import Layer, Window


class Block(NamedTuple):
    """values (h, w) complex64, 0 where not valid; valid (h, w) bool; coherence (h, w) float32, 0 if unknown."""

    values: np.ndarray
    valid: np.ndarray
    coherence: np.ndarray


@dataclass(frozen=True)
class Interferogram:
    """A lazily readable interferogram; holds no open file, so it can be pickled and read by several processes.

    layer: the stored raster. kind: "complex", or "phase" in radians, wrapped or not.
    format: as recognised. nodata: value that means no data; NaN, and 0 in complex rasters, always do.
    coherence: its raster, None to estimate it from the phase in a window x window neighbourhood.
    looks: of the phase, None where unknown.
    messages: what was found, one line each.
    """

    layer: Layer
    kind: str
    format: str
    nodata: float | None
    coherence: Layer | None
    looks: float | None
    window: int
    messages: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The file, as messages name it."""
        return self.layer.path

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)"""
        return self.layer.shape

    @property
    def crs(self) -> Any:
        """rasterio CRS, None in radar geometry."""
        return self.layer.crs

    @property
    def transform(self) -> Any:
        """Affine from (column, row) corners to the CRS, None if unknown."""
        return self.layer.transform

    @property
    def tags(self) -> Mapping[str, str]:
        """Metadata of the file."""
        return self.layer.tags

    def read(self, window: Window | None = None, with_coherence: bool = True) -> Block:
        """Values, validity and coherence of a window, all of it for None.

        Phases become exp(j phase); complex values keep their modulus. An estimated coherence is read with a margin, so
        that it does not depend on the window. with_coherence=False spares the estimate and returns zeros.

        Raises:
            DataError: a window outside the raster, a truncated or damaged file, coherence above 1.
        """
        rows, columns = self.layer.bounds(window)
        if not with_coherence:
            values, valid = self._values((rows, columns))
            return Block(values, valid, np.zeros(valid.shape, np.float32))
        if self.coherence is not None:
            values, valid = self._values((rows, columns))
            return Block(values, valid, np.where(valid, _coherence(self.coherence, (rows, columns)), np.float32(0)))
        return self._read_estimating(rows, columns)

    def read_stored(self, window: Window | None = None) -> np.ndarray:
        """The values as they are in the file."""
        return self.layer.read(window)

    def _values(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        stored = self.layer.read(window)
        with np.errstate(invalid="ignore", over="ignore"):
            valid = np.isfinite(stored)
            if self.nodata is not None and not np.isnan(self.nodata):
                valid &= stored != np.asarray(self.nodata, dtype=stored.dtype)
            if self.kind == "complex":
                values = stored.astype(np.complex64)
                valid &= (values != 0) & np.isfinite(values)
            else:
                phase = np.where(valid, stored, 0)
                values = np.empty(phase.shape, np.complex64)  # in the precision of the file: unwrapped phases are large
                values.real, values.imag = np.cos(phase), np.sin(phase)
        values[~valid] = 0
        return values, valid

    def _read_estimating(self, rows: slice, columns: slice) -> Block:
        import torch

        from mvnet.data_loaders.insar.coherence import estimate_coherence, margin

        more = margin(self.window)
        wide = tuple(slice(max(0, s.start - more), min(n, s.stop + more)) for s, n in zip((rows, columns), self.shape))
        values, valid = self._values((wide[0], wide[1]))
        inner = tuple(slice(s.start - o.start, s.stop - o.start) for s, o in zip((rows, columns), wide))
        estimate = estimate_coherence(torch.from_numpy(values), self.window, torch.from_numpy(valid), self.looks or 1)
        return Block(values[inner], valid[inner], estimate.numpy()[inner])


def _coherence(layer: Layer, window: Window) -> np.ndarray:
    """float32 in [0, 1]; bytes are 255ths; NaN, nodata and negative values are 0."""
    stored = layer.read(window)
    lost = ~np.isfinite(stored)
    if layer.nodata is not None:
        lost |= stored == layer.nodata
    values = stored.astype(np.float32)
    if layer.dtype == "uint8":
        values /= 255
    values[lost] = 0
    if values.size and values.max() > 1.01:
        raise DataError(f"coherence: found values up to {values.max():.4g} in {layer.path}, expected 0 to 1")
    return values.clip(0, 1)
