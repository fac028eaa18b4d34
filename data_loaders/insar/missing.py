"""What of a raster is no data though nobody declared it, and the unit that its amplitudes are read in.

Measured phases and speckle do not repeat: a value that equals its neighbour again and again, where others do not, is a
fill value. A value far outside the rest is none of the raster's either. Both are looked for in blocks spread over the
raster and along its edges, so that the memory needed does not depend on its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

import numpy as np

from mvnet.data_loaders.insar.layers import Window
from mvnet.data_loaders.insar.windows import sample_windows

Read = Callable[[Window], np.ndarray]

_SIDE, _ALONG = 128, 9  # pixels of a sampled block, and blocks along an axis at most
_COUNTED = 1 << 27  # pixels up to which all are counted, not a sample
_STRIP, _TILE = 1 << 22, 256  # pixels counted at a time, and rows of a tile that these are whole numbers of
_WIDE = 1 << 16  # pixels of a row, beyond which it is not read whole
_PAIRS = 32  # equal neighbours that make a fill value
_CROWD = 20  # times as often as a usual value
_SCATTERED = 0.01  # share of lone pixels of a fill value that makes all of them no data
_SUBSAMPLE = 1 << 16  # values in which repetitions are counted
_PROGRAMS = (-9999, -99999, -32768, 32767, 1e20, -1e20, 9.969209968386869e36, -3.4028234663852886e38, -3.4e38)
_REPEATED, _FAR = 10, 1000  # spreads from the median beyond which a repeated phase, and any, is no data
_HOT, _DEAD = 1e6, 1e-9  # of the typical modulus: beyond is no data
_BRIGHT = 1e3  # of it, beyond which a repeated value is no data
_KINDS = 4  # fill values and sentinels looked for, each
_COMFORT = 2.0**20  # moduli from 1 / this to this are read as they are


@dataclass(frozen=True)
class Missing:
    """What is no data beside what the file declares.

    Attributes:
        sentinels: values that never are data.
        fills: values that are no data beside a pixel of the same value; alone they are data.
        low, high: moduli of complex values, or phases, that are data lie between them.
        scale: power of two by which complex values are divided before they become float32.
    """

    sentinels: tuple[complex, ...] = ()
    fills: tuple[complex, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    scale: float = 1.0

    @property
    def margin(self) -> int:
        """Pixels around a window on which its validity depends."""
        return 1 if self.fills else 0

    @property
    def unit(self) -> float:
        """What float32 amplitudes are multiplied by to be in the unit of the file; 1 where float32 cannot hold it."""
        return self.scale if 2.0**-104 < self.scale < 2.0**104 else 1.0

    def valid(self, stored: np.ndarray) -> np.ndarray:
        """Whether pixels are data.

        Args:
            stored: (h, w) complex or phases, with `margin` more pixels around where there are some.
        Returns:
            (h, w) bool.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            size = np.abs(stored) if stored.dtype.kind == "c" else stored
            inside = (size > self.low) & (size < self.high)
        for value in self.sentinels:
            inside &= stored != _like(value, stored)
        for value in self.fills:
            inside &= ~_beside_itself(stored == _like(value, stored))
        return inside


def find_missing(
    read: Read, shape: tuple[int, int], declared: float | None = None, detect: bool = True, count_all: bool = True
) -> tuple[Missing, list[str]]:
    """Look for undeclared no data.

    Args:
        read: values of a window, complex or phases in radians.
        shape: (rows, columns) of the raster.
        declared: value that is known to mean no data.
        detect: look for fill values and sentinels; without, only what cannot be computed with is no data.
        count_all: go through the raster again to tell how many pixels it is.
    Returns:
        what is no data, and a line for every kind of it.
    """
    sample = [_Sampled.of(window, values, declared, shape) for window, values in sampled(read, shape)]
    known = np.concatenate([part.values[part.known] for part in sample])
    if not len(known):
        return Missing(), []
    repeated = _repeated(sample)
    others = known[~np.isin(known, repeated)]
    usual = _usual_count(others, len(known))
    rest = np.concatenate([part.values[part.known & ~part.paired] for part in sample])
    if len(rest) < 0.01 * len(known):  # pixels were repeated by resampling, or the raster is constant
        rest = others if len(others) else known
    is_complex = known.dtype.kind == "c"
    bounds = _complex_bounds(rest) if is_complex else _phase_bounds(rest) if detect else Missing()
    if detect and len(others):
        edge = np.concatenate([part.edge for part in sample])
        sentinels = list(_sentinels(known, rest, bounds, usual))
        fills = []
        for value in repeated:
            count, alone = (known == value).sum(), (rest == value).sum()
            if value in sentinels or count < _CROWD * usual or not (is_complex or value == 0 or value in edge):
                continue
            (fills if alone < _SCATTERED * len(known) else sentinels).append(value)
        bounds = replace(bounds, sentinels=tuple(sentinels), fills=tuple(fills))
    typical = float(np.median(np.abs(rest)))
    return bounds, _describe(bounds, read, shape, declared, sample, typical) if count_all else []


class _Sampled(NamedTuple):
    """A sampled block: known where it is data as far as declared, paired where a known neighbour is equal, and the
    values of its pixels at the edge of the raster."""

    values: np.ndarray
    known: np.ndarray
    paired: np.ndarray
    edge: np.ndarray

    @classmethod
    def of(cls, window: Window, values: np.ndarray, declared: float | None, shape: tuple[int, int]) -> _Sampled:
        known = _known(values, declared)
        paired = np.zeros(values.shape, bool)
        for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
            same = (values[one] == values[other]) & known[one]
            paired[one] |= same
            paired[other] |= same
        border = np.zeros(values.shape, bool)
        for axis, (part, n) in enumerate(zip(window, shape)):
            lines = np.moveaxis(border, axis, 0)
            lines[0] |= part.start == 0
            lines[-1] |= part.stop == n
        return cls(values, known, paired, values[border & known])


def _known(values: np.ndarray, declared: float | None) -> np.ndarray:
    known = np.isfinite(values)
    if declared is not None and not math.isnan(declared):
        known &= values != _like(declared, values)
    return known & (values != 0) if values.dtype.kind == "c" else known


def sampled(read: Read, shape: tuple[int, int]) -> Iterator[tuple[Window, np.ndarray]]:
    """The blocks of `sample_windows` and their values; whole rows are read, as most files store them, unless wide."""
    if shape[1] > _WIDE:
        yield from ((window, read(window)) for window in sample_windows(shape, _ALONG, _SIDE))
        return
    for rows, windows in groupby(sample_windows(shape, _ALONG, _SIDE), key=lambda window: window[0]):
        lines = read((rows, slice(0, shape[1])))
        for window in windows:
            yield window, lines[:, window[1]].copy()


def _repeated(sample: list[_Sampled]) -> tuple[complex, ...]:
    """The values that equal a neighbour most often."""
    values, counts = np.unique(np.concatenate([part.values[part.paired] for part in sample]), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_KINDS]
    return tuple(values[index].item() for index in order if counts[index] >= _PAIRS)


def _usual_count(values: np.ndarray, total: int) -> float:
    """How often the value of a typical pixel occurs among `total` pixels, from some of the values."""
    if not len(values):
        return 0.0
    some = values[:: max(1, len(values) // _SUBSAMPLE)]
    _, place, counts = np.unique(some, return_inverse=True, return_counts=True)
    count = float(np.median(counts[place]))
    return 1.0 if count <= 1 else count * total / len(some)


def _complex_bounds(rest: np.ndarray) -> Missing:
    """Moduli that can be data, and the scale: both from the median of what is not negligible."""
    with np.errstate(over="ignore"):
        size = np.abs(rest.astype(np.complex128))
    size = size[np.isfinite(size)]
    if not len(size):
        return Missing(high=math.inf)
    top = float(np.quantile(size, 0.9))
    typical = float(np.median(size[size >= top * 1e-6]))
    comfortable = 1 / _COMFORT <= typical <= _COMFORT
    scale = 1.0 if comfortable else 2.0 ** round(math.log2(typical))
    return Missing(low=typical * _DEAD, high=max(top, typical) * _HOT, scale=scale)


def _phase_bounds(rest: np.ndarray) -> Missing:
    centre, spread = _spread(rest)
    return Missing(low=centre - _FAR * spread, high=centre + _FAR * spread)


def _spread(rest: np.ndarray) -> tuple[float, float]:
    """Median of phases and the span of 98 % of them, at least a turn."""
    low, centre, high = np.quantile(rest.astype(np.float64), (0.01, 0.5, 0.99))
    return float(centre), max(float(high - low), 2 * math.pi)


def _sentinels(known: np.ndarray, rest: np.ndarray, bounds: Missing, usual: float) -> tuple[complex, ...]:
    """Values far outside the rest that are repeated, or that are fill values of many programs."""
    with np.errstate(over="ignore", invalid="ignore"):
        if known.dtype.kind == "c":
            far = np.abs(known) > bounds.high / _HOT * _BRIGHT
        else:
            centre, spread = _spread(rest)
            far = np.abs(known.astype(np.float64) - centre) > _REPEATED * spread
    values, counts = np.unique(known[far], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_KINDS]
    often = (counts > 1) & (counts >= (_CROWD * usual if usual > 1 else 2))
    real = np.real(values)
    single = np.result_type(real.dtype, np.float32)
    known_fills = np.isin(real.astype(single), np.asarray(_PROGRAMS).astype(single))
    return tuple(values[index].item() for index in order if often[index] or known_fills[index])


def _describe(
    found: Missing,
    read: Read,
    shape: tuple[int, int],
    declared: float | None,
    sample: list[_Sampled],
    typical: float,
) -> list[str]:
    """A line for every kind of no data, with its share of the pixels."""
    total, counts, outside = 0, dict.fromkeys((*found.sentinels, *found.fills), 0), 0
    for stored, inner in _counting(read, shape, found.margin):
        known = _known(stored, declared)
        for value in counts:
            only = Missing((value,)) if value in found.sentinels else Missing(fills=(value,))
            hit = known & ~only.valid(stored)
            counts[value] += int(hit[inner].sum())
            known &= ~hit
        outside += int((known & ~replace(found, sentinels=(), fills=()).valid(stored))[inner].sum())
        total += stored[inner].size
    about = "" if shape[0] * shape[1] <= _COUNTED else "about "
    edge = np.concatenate([part.edge for part in sample])
    lines = []
    for value, count in counts.items():
        where = " outside the swath" if value in found.fills and (edge == _like(value, edge)).any() else ""
        share = f"{about}{100 * count / total:.2g} % of the pixels"
        lines.append(f"{_shown(value)}{where} is taken as no data, {share}; --nodata none keeps it")
    if outside:
        rest = f"the rest, of typically {typical:.3g}"
        lines.append(f"{about}{_plural(outside)} far outside {rest}: taken as no data")
    if found.scale != 1:
        written = "" if found.unit != 1 else "; float32 cannot hold them, so complex output stays divided"
        lines.append(f"amplitudes around {typical:.3g} are divided by {found.scale:.3g} before float32{written}")
    return lines


def _counting(read: Read, shape: tuple[int, int], margin: int) -> Iterator[tuple[np.ndarray, Window]]:
    """Values with a margin, and the place of the window in them, over all of a raster or a sample of a large one."""
    windows = sample_windows(shape, _ALONG, _SIDE)
    if shape[0] * shape[1] <= _COUNTED:
        rows = max(1, _STRIP // shape[1] // _TILE) * _TILE
        sides = [[slice(k, min(k + side, n)) for k in range(0, n, side)] for n, side in zip(shape, (rows, _WIDE))]
        windows = [(down, along) for down in sides[0] for along in sides[1]]
    for window in windows:
        outer, inner = widened(window, shape, margin)
        yield read(outer), inner


def widened(window: Window, shape: tuple[int, int], margin: int) -> tuple[Window, Window]:
    """The window with a margin as far as the raster goes, and the place of the window in it."""
    outer = tuple(slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(window, shape))
    inner = tuple(slice(s.start - o.start, s.stop - o.start) for s, o in zip(window, outer))
    return (outer[0], outer[1]), (inner[0], inner[1])


def _beside_itself(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask with one of their eight neighbours in it."""
    if not mask.any():
        return mask
    height, width = mask.shape
    padded = np.pad(mask, 1)
    around = np.zeros_like(mask)
    for down in range(3):
        for right in range(3):
            if (down, right) != (1, 1):
                around |= padded[down : down + height, right : right + width]
    return mask & around


def _like(value: complex, stored: np.ndarray) -> np.ndarray:
    """The value as the raster stores it."""
    with np.errstate(over="ignore"):
        return np.asarray(value).astype(stored.dtype)


def _shown(value: complex) -> str:
    return f"{value:.6g}"


def _plural(count: int) -> str:
    return "1 pixel is" if count == 1 else f"{count} pixels are"
