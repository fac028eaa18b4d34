"""One raster read lazily, window by window, whatever stores it.

A layer holds names and numbers only, no open file: it can be pickled, sent to another process and read by several
threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from mvnet.data_loaders.errors import DataError, reading

Window = tuple[slice, slice]
"""Rows and columns, of step 1."""


_LONGEST_SIDE, _FARTHEST = 1e7, 1e9  # of a pixel, and from the origin, in the unit of the grid


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A raster of (rows, columns).

    path: what to call it in messages.
    dtype: numpy name of the values read; "complex64" also for pairs of integers; integers some of which are NaN are
        read as floats.
    nodata: the value that means none, if one is declared. NaN always does.
    crs: rasterio CRS, None for radar geometry. transform: affine from (column, row) corners, None if unknown.
    tags: metadata of the file.
    part: which of several rasters of the file it is, for messages. units: as the file declares them.
    scale, offset: value = stored * scale + offset. fill: stored number that is read as NaN.

    Raises:
        DataError: a transform of no plane: numbers that are not finite, or beyond all coordinates.
    """

    path: str
    shape: tuple[int, int]
    dtype: str
    nodata: float | None = None
    crs: Any = None
    transform: Any = None
    tags: Mapping[str, str] = field(default_factory=dict)
    part: str = ""
    units: str = ""
    scale: float = 1.0
    offset: float = 0.0
    fill: float | None = None

    def __post_init__(self) -> None:
        if self.transform is None:
            return
        a, b, c, d, e, f = self.transform[:6]
        near = all(abs(n) <= _LONGEST_SIDE for n in (a, b, d, e)) and all(abs(n) <= _FARTHEST for n in (c, f))
        if not near or a * e == b * d:
            found = ", ".join(f"{number:g}" for number in (a, b, c, d, e, f))
            raise DataError(f"{self.path}: found the transform {found}, expected pixels with sides, within the Earth")

    @property
    def is_complex(self) -> bool:
        """Whether the stored values are complex, not phases."""
        return np.dtype(self.dtype).kind == "c"

    @property
    def origin(self) -> Layer:
        """The layer whose file tells where this one lies: itself, or the first of those that it is made of."""
        return self

    def count_unwritten(self) -> int:
        """Pixels in parts of the file that were never written; they are NaN."""
        return 0 if self.origin is self else self.origin.count_unwritten()

    def tell_unwritten(self, name: str, known: str) -> list[str]:
        """A line that counts them, [] without. name: of the file or layer. known: what follows."""
        count = self.count_unwritten()
        share = 100 * count / (self.shape[0] * self.shape[1])
        return [f"{name}: {count} pixels were never written, {share:.2g} %: {known}"] if count else []

    def read(self, window: Window | None = None) -> np.ndarray:
        """The stored values of a window (all of it for None), NaN where the file masks them.

        Raises:
            DataError: a window outside the raster, a truncated or damaged file.
        """
        rows, columns = self.bounds(window)
        with reading(f"{self.path}: rows {rows.start} to {rows.stop}", "a raster"):
            return self._values(self._read(rows, columns))

    def scaled(self, scale: float, offset: float = 0.0) -> Self:
        """The layer of values * scale + offset; nodata become NaN. Float32 unless the values are wider."""
        if (scale, offset) == (1.0, 0.0):
            return self
        wide = np.result_type(self.dtype, np.float32)
        return replace(
            self,
            dtype=str(wide),
            nodata=None,
            fill=self.fill if self.nodata is None else self.nodata,
            scale=self.scale * scale,
            offset=self.offset * scale + offset,
        )

    def with_nodata(self, nodata: float) -> Self:
        """The layer with another stored number that means none."""
        plain = (self.scale, self.offset) == (1.0, 0.0)
        return replace(self, nodata=nodata) if plain else replace(self, fill=nodata)

    def _values(self, stored: np.ndarray) -> np.ndarray:
        if (self.scale, self.offset) == (1.0, 0.0) and self.fill is None:
            return stored
        lost = None if self.fill is None else stored == self.fill
        values = (stored * self.scale + self.offset).astype(self.dtype)
        if lost is not None:
            values[lost] = np.nan
        return values

    def bounds(self, window: Window | None) -> Window:
        """The window with plain bounds, checked."""
        if window is None:
            return slice(0, self.shape[0]), slice(0, self.shape[1])
        found = []
        for part, n in zip(window, self.shape):
            start, stop = part.start or 0, n if part.stop is None else part.stop
            if not 0 <= start < stop <= n or part.step not in (None, 1):
                raise DataError(f"window: found {part.start}:{part.stop}:{part.step}, expected a part of 0:{n}")
            found.append(slice(int(start), int(stop)))
        return found[0], found[1]

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class RawLayer(Layer):
    """Numbers one after the other. stored: numpy type in the file; pairs: two stored numbers, real and imaginary, a
    pixel; start: of the first, in bytes; by_column: the numbers of a column follow each other."""

    stored: str
    pairs: bool = False
    start: int = 0
    by_column: bool = False

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        shape = (*self.shape, 2) if self.pairs else self.shape
        order = "F" if self.by_column else "C"
        values = np.memmap(self.path, self.stored, "r", offset=self.start, shape=shape, order=order)[rows, columns]
        if self.pairs:
            return (values[..., 0] + 1j * values[..., 1]).astype(self.dtype)
        return np.array(values, dtype=self.dtype)  # native byte order, no longer bound to the file


@dataclass(frozen=True, kw_only=True)
class PairLayer(Layer):
    """Real and imaginary part in two layers. A nodata of 0 must be in both parts, any other in one."""

    real: Layer
    imaginary: Layer

    @property
    def origin(self) -> Layer:
        """That of the real part."""
        return self.real.origin

    def with_nodata(self, nodata: float) -> Self:
        """The layer whose parts have another stored number that means none."""
        return replace(self, real=self.real.with_nodata(nodata), imaginary=self.imaginary.with_nodata(nodata))

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        parts, lost = [], []
        for layer in (self.real, self.imaginary):
            stored = layer.read((rows, columns))
            lost.append(np.zeros(stored.shape, bool) if layer.nodata is None else stored == layer.nodata)
            parts.append(stored.astype(np.float32, copy=False))
        both = self.real.nodata == 0
        values = np.empty(parts[0].shape, np.complex64)
        values.real, values.imag = parts
        values[lost[0] & lost[1] if both else lost[0] | lost[1]] = complex(np.nan, np.nan)
        return values


@dataclass(frozen=True, kw_only=True)
class MaskedLayer(Layer):
    """A phase that is NaN where its mask says so.

    mask: on the same grid. zero: a 0 in both the phase and the mask means no data; otherwise 0 or 255 in the mask
    alone do, and of NISAR's three digits (water, subswath of the one and of the other image) a 0 among the last two.
    """

    phase: Layer
    mask: Layer
    zero: bool = False
    digits: bool = False

    @property
    def origin(self) -> Layer:
        """That of the phase."""
        return self.phase.origin

    def with_nodata(self, nodata: float) -> Self:
        """The layer whose phase has another stored number that means none."""
        return replace(self, phase=self.phase.with_nodata(nodata), nodata=nodata)

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        values, mask = self.phase.read((rows, columns)), self.mask.read((rows, columns))
        if self.zero:
            lost = (values == 0) & ((mask == 0) | ~np.isfinite(mask))
        else:
            lost = (mask == 0) | (mask == 255)
            lost |= (mask // 10 % 10 == 0) | (mask % 10 == 0) if self.digits else False
        return np.where(lost, values.dtype.type(np.nan), values)


@dataclass(frozen=True, kw_only=True)
class FlippedLayer(Layer):
    """Another layer from its last row to its first."""

    layer: Layer

    def count_unwritten(self) -> int:
        """Those of the layer."""
        return self.layer.count_unwritten()

    def with_nodata(self, nodata: float) -> Self:
        """The layer with another stored number that means none."""
        return replace(self, layer=self.layer.with_nodata(nodata), nodata=nodata)

    def _read(self, rows: slice, columns: slice) -> np.ndarray:
        n = self.shape[0]
        return self.layer.read((slice(n - rows.stop, n - rows.start), columns))[::-1]


def join(real: Layer, imaginary: Layer) -> PairLayer:
    """The complex layer of two real ones; DataError if their shapes differ."""
    if real.shape != imaginary.shape:
        raise DataError(f"{imaginary.path}: found shape {imaginary.shape}, expected {real.shape} as {real.path}")
    common = {"crs": real.crs, "transform": real.transform, "tags": real.tags}
    return PairLayer(path=real.path, shape=real.shape, dtype="complex64", real=real, imaginary=imaginary, **common)


def flip(layer: Layer) -> FlippedLayer:
    """The layer north up, if its rows go north."""
    common = _common(layer)
    if layer.transform is not None:
        t, n = layer.transform, layer.shape[0]
        common["transform"] = type(t)(t.a, -t.b, t.c + t.b * n, t.d, -t.e, t.f + t.e * n)
    return FlippedLayer(**common, layer=layer)


def mask_by(phase: Layer, mask: Layer, zero: bool = False, digits: bool = False) -> MaskedLayer:
    """The phase, NaN where the mask says so; see `MaskedLayer`."""
    return MaskedLayer(**_common(phase), phase=phase, mask=mask, zero=zero, digits=digits)


def _common(layer: Layer) -> dict[str, Any]:
    names = ("path", "shape", "dtype", "nodata", "crs", "transform", "tags", "part", "units")
    return {name: getattr(layer, name) for name in names}
