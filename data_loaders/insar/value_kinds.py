"""What numbers of a raster can be: phase, coherence, amplitude, told by range, steps and circular statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal[
    "empty",
    "constant",
    "labels",
    "coherence",
    "amplitude",
    "wrapped phase",
    "unwrapped phase",
    "phase",
    "phase of another unit",
    "noise",
]
"""phase: within +-pi but not up to them; noise: signed values that jump more than phases can."""

CYCLES = ((-math.pi, 2 * math.pi, "radians"), (0.0, 2 * math.pi, "radians"))
OTHER_CYCLES = (
    (-0.5, 1.0, "cycles"),
    (0.0, 1.0, "cycles"),
    (-1.0, 2.0, "half cycles"),
    (-180.0, 360.0, "degrees"),
    (0.0, 360.0, "degrees"),
)
"""Start, period and name of the unit of wrapped phases."""

_SLACK, _EDGE = 0.004, 0.03  # of a period: beyond its ends, and before them
SAMPLE = (5, 128)
"""Windows along each axis that values are told by, and their side in pixels."""

SENTINELS = (-9999.0, -99999.0, -32768.0, 9.969209968386869e36)
"""Numbers that usually mean no data."""
_HOT = 1000  # ranges of nearly all values: a value farther from their median is no measurement
_ROUGH = 0.35  # of the spread is in the steps from pixel to pixel: 1 for white noise, near 0 for smooth values


@dataclass(frozen=True)
class Values:
    """Statistics of sampled windows of a raster.

    values: all finite ones, shape (n,).  steps: differences of neighbours, shape (m,).  rough: rms step / sqrt(2) std.
    """

    values: np.ndarray
    steps: np.ndarray
    rough: float

    @property
    def low(self) -> float:
        """Least value."""
        return float(self.values.min())

    @property
    def high(self) -> float:
        """Greatest value."""
        return float(self.values.max())

    @property
    def step(self) -> float:
        """Median size of a step."""
        return float(np.median(np.abs(self.steps))) if len(self.steps) else 0.0

    def shown(self) -> str:
        """The range, for messages."""
        return f"{self.low:.4g} to {self.high:.4g}" if len(self.values) else "no data"


def clean(window: np.ndarray) -> np.ndarray:
    """The values of a window as float64, NaN in place of usual fill values and what is not finite."""
    values = np.asarray(window, np.float64)
    return np.where(np.isfinite(values) & ~np.isin(values, SENTINELS) & (np.abs(values) < 1e30), values, np.nan)


def gather(windows: Sequence[np.ndarray]) -> Values:
    """Statistics of windows of shape (h, w), NaN where there are no data, without usual fill values and hot pixels."""
    cleaned = [clean(window) for window in windows]
    flat = np.concatenate([values.ravel() for values in cleaned]) if cleaned else np.zeros(0)
    flat = flat[np.isfinite(flat)]
    if len(flat):
        low, middle, high = np.percentile(flat, [0.1, 50, 99.9])
        far = _HOT * max(high - low, 1e-30)
        cleaned = [np.where(np.abs(values - middle) <= far, values, np.nan) for values in cleaned]
        flat = flat[np.abs(flat - middle) <= far]
    steps = [np.diff(values, axis=axis).ravel() for values in cleaned for axis in (0, 1)]
    step = np.concatenate(steps) if steps else np.zeros(0)
    step = step[np.isfinite(step)]
    spread = float(flat.std()) if len(flat) else 0.0
    rough = float(np.sqrt(np.mean(step**2)) / (math.sqrt(2) * spread)) if spread and len(step) else 0.0
    return Values(flat, step, rough)


def kind_of(found: Values) -> Kind:
    """What these values are.

    1. Wrapped phases lie in [-pi, pi] or [0, 2 pi] and are frequent at both ends.
    2. Amplitudes are not negative, and skewed: the upper tail is longer than the lower.
    3. Coherences are not negative, at most 1.
    4. Unwrapped phases are smooth: a step of independent phases has a median of 2 pi (1 - 1 / sqrt 2) = 1.84 rad.
    """
    v = found.values
    if not len(v):
        return "empty"
    if found.low == found.high:
        return "constant"
    if any(wraps(found, start, period) for start, period, _ in CYCLES):
        return "wrapped phase"
    if len(v) > 100 and (v == np.round(v)).all() and len(np.unique(v)) <= 100:
        return "labels"
    if other_cycle(found):
        return "phase of another unit"
    return _positive(found) if found.low >= 0 else _signed(found)


def wraps(found: Values, start: float, period: float, jumps: bool = False) -> bool:
    """Whether the values fill [start, start + period] to its ends and, with `jumps`, also jump between them."""
    v, end = found.values, start + period
    if not (start - _SLACK * period <= found.low < start + _EDGE * period):
        return False
    if not (end - _EDGE * period < found.high <= end + _SLACK * period):
        return False
    if min(np.mean(v < start + 0.1 * period), np.mean(v > end - 0.1 * period)) < 0.005:
        return False
    return not jumps or bool(np.mean(np.abs(found.steps) > 0.75 * period) > 0.002)


def other_cycle(found: Values) -> str | None:
    """The unit, other than radians, in which the values are wrapped phases; None if they are none."""
    return next((unit for start, period, unit in OTHER_CYCLES if wraps(found, start, period, jumps=True)), None)


def _positive(found: Values) -> Kind:
    low, middle, high = np.percentile(found.values, [1, 50, 99])
    if high > 8 * middle:
        return "amplitude"
    if found.high <= 1.02:
        return "coherence"
    if found.rough > _ROUGH and high - middle > 1.3 * (middle - low):
        return "amplitude"
    return _signed(found)


def _signed(found: Values) -> Kind:
    if found.step > math.pi or (found.rough > 0.6 and found.step > 1.95):
        return "amplitude" if found.low >= 0 else "noise"
    if max(abs(found.low), abs(found.high)) <= math.pi * (1 + 2 * _SLACK):
        return "phase"
    if found.rough > 0.5 and np.percentile(np.abs(found.values - np.median(found.values)), 99.9) > (
        4.2 * found.values.std()
    ):
        return "noise"
    return "unwrapped phase"


def is_complex(real: Sequence[np.ndarray], imaginary: Sequence[np.ndarray]) -> bool:
    """Whether two rasters are the parts of complex numbers whose phases go all around.

    With x + j y = m exp(j t): m is constant, or x and y have zero mean, equal variance and no correlation, and
    |mean exp(j t)|, |mean exp(2 j t)| are small. Two smooth rasters that have nothing to do with each other are told
    by the zeros of x + j y, around which its phase turns: s^2 / (2 pi) of them a pixel, s the size of phase steps.

    Args:
        real, imaginary: the same windows of both, NaN where there are no data.
    """
    x, y = (np.concatenate([np.ravel(window) for window in windows]).astype(float) for windows in (real, imaginary))
    inside = np.isfinite(x) & np.isfinite(y) & ((x != 0) | (y != 0))
    x, y = x[inside], y[inside]
    if len(x) < 50 or min(x.max(), y.max()) <= 0 or max(x.min(), y.min()) >= 0:
        return False
    modulus = np.hypot(x, y)
    if modulus.std() < 0.01 * modulus.mean():
        return True
    turn = (x + 1j * y) / modulus
    sizes = np.sqrt([np.mean(x**2), np.mean(y**2)])
    unlike = (
        abs(x.mean()) / sizes[0],
        abs(y.mean()) / sizes[1],
        abs(np.mean(x * y)) / sizes.prod(),
        abs(turn.mean()),
        abs(np.mean(turn**2)),
    )
    if max(unlike) > 0.2 or not 0.75 < sizes[0] / sizes[1] < 1.33:
        return False
    smooth = max(gather(windows).rough for windows in (real, imaginary)) < _ROUGH
    return not smooth or any(_few_zeros(np.arctan2(b, a)) for a, b in zip(real, imaginary))


def _few_zeros(phase: np.ndarray) -> bool:
    """Whether a phase, shape (h, w), turns around fewer points than that of two unrelated smooth fields would."""
    across, down = ((np.diff(phase, axis=axis) + np.pi) % (2 * np.pi) - np.pi for axis in (1, 0))
    turns = across[:-1] + down[:, 1:] - across[1:] - down[:, :-1]
    turns = turns[np.isfinite(turns)]
    if not len(turns):
        return False
    square = (np.nanmean(across**2) + np.nanmean(down**2)) / 2
    return bool(np.mean(np.abs(turns) > np.pi) < 0.2 * square / (2 * np.pi))
