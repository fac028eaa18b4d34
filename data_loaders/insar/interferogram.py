"""An interferogram on disk: complex values, validity and coherence of any window, and what to write it back with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mvnet.data_loaders.insar.layers import Layer, Window
from mvnet.data_loaders.insar.missing import Missing, widened


class Block(NamedTuple):
    """values (h, w) complex64, 0 where not valid; valid (h, w) bool; coherence (h, w) float32, NaN where unknown.

    A coherence of 0 is one: it is unknown only where its file declares so, and where the interferogram has no data.
    """

    values: np.ndarray
    valid: np.ndarray
    coherence: np.ndarray


@dataclass(frozen=True)
class Interferogram:
    """A lazily readable interferogram; holds no open file, so it can be pickled and read by several processes.

    layer: the stored raster. kind: "complex", or "phase" in radians, wrapped or not.
    format: as recognised. nodata: value that means no data; NaN, and 0 in complex rasters, always do.
    missing: what else is no data, and the unit of complex values: they are read divided by `missing.scale`.
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
    missing: Missing = field(default_factory=Missing)
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

        Phases become exp(j phase); complex values keep their modulus, divided by `missing.scale`. An estimated
        coherence is read with a margin, so that it does not depend on the window. with_coherence=False spares the
        estimate and returns NaN.

        Raises:
            DataError: a window outside the raster, a truncated or damaged file.
        """
        rows, columns = self.layer.bounds(window)
        if with_coherence and self.coherence is None:
            return self._read_estimating(rows, columns)
        values, valid = self._values((rows, columns))
        coherence = np.full(valid.shape, np.nan, np.float32)
        if with_coherence and self.coherence is not None:
            coherence[valid] = self.coherence.read((rows, columns))[valid]
        return Block(values, valid, coherence)

    def read_stored(self, window: Window | None = None) -> np.ndarray:
        """The values as they are in the file."""
        return self.layer.read(window)

    def _values(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        outer, inner = widened(window, self.shape, self.missing.margin)
        stored = self.layer.read(outer)
        inside = self.missing.valid(stored)[inner]
        return decode(stored[inner], inside, self.nodata, self.missing.scale)

    def _read_estimating(self, rows: slice, columns: slice) -> Block:
        import torch

        from mvnet.data_loaders.insar.coherence import estimate_coherence, margin

        outer, inner = widened((rows, columns), self.shape, margin(self.window))
        values, valid = self._values(outer)
        estimate = estimate_coherence(torch.from_numpy(values), self.window, torch.from_numpy(valid), self.looks or 1)
        coherence = np.where(valid, estimate.numpy(), np.float32(np.nan))
        return Block(values[inner], valid[inner], coherence[inner])


def decode(
    stored: np.ndarray, inside: np.ndarray, nodata: float | None = None, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Values as they are computed with.

    Args:
        stored: (h, w) complex, or phases in radians.
        inside: (h, w) bool, where they may be data.
        nodata: value that means no data; NaN, and 0 in complex ones, always do.
        scale: complex values are divided by it.
    Returns:
        complex64, 0 where not valid, and the valid pixels, (h, w) each.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        valid = inside & np.isfinite(stored)
        if nodata is not None and not np.isnan(nodata):
            valid &= stored != np.asarray(nodata, dtype=stored.dtype)
        if stored.dtype.kind == "c":
            values = (stored if scale == 1 else stored.astype(np.complex128) / scale).astype(np.complex64)
            valid &= (values != 0) & np.isfinite(values)
        else:
            phase = np.where(valid, stored, 0)
            values = np.empty(phase.shape, np.complex64)  # in the precision of the file: unwrapped phases are large
            values.real, values.imag = np.cos(phase), np.sin(phase)
    values[~valid] = 0
    return values, valid
