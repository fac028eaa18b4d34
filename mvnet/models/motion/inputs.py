"""What the network sees of curves beside their values: which values are trusted, and what their noise is like.

The noise of a curve is measured from itself. The second difference of lag k, in the frame of the value in the middle,

    e_k(t) = | displacement(y_t, (y_{t-k} + y_{t+k}) / 2) |

has, for independent noise of standard deviation s per component, the median 1.538 sqrt(3/2) s wherever the curve bends
less. e_1 gives s; the ratios e_k / e_1 tell independent noise (1) from noise correlated over frames (growing as the
root of k) and from motion (as k^2). A value far from all chords of the values around it is an outlier (Hampel's rule).
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.data_loaders.motion.gaps import fill_along
from mvnet.models.motion.curves import CurveKind, kind_of

LAGS = (2, 4, 8, 16)
"""Lags, in frames, of the second differences beside lag 1."""

NOISE_FEATURES = 3 * len(LAGS)
"""Numbers for each curve: log e_k / e_1 of its own, their mean and their least value over the recording."""

SMALLEST_NOISE = 1e-4
"""Radians, or share of the extent of a curve of positions: the noise of a clean curve counts as this."""

_SMALLEST_EXTENT = 1e-12  # whose noise has a square in single precision
_MEDIAN = 1.538 * 1.5**0.5  # of the second difference of normal noise in R^3, in its standard deviations
_OUTLIER, _NEAR = 6.0, 7  # Hampel's threshold, in medians of the deviation; half the window of the local median


class CurveBatch(NamedTuple):
    """Curves as the network takes them; B recordings of J joints and T frames.

    Attributes:
        values: (B, J, T, 3, 3) rotations or (B, J, T, 3) positions; finite, filled where nothing is trusted.
        trust: (B, J, T), 1 where a value was seen that is no outlier, else 0.
        seen: (B, J, T), 1 where a value was seen.
        noise: (B, J), standard deviation per component, radians or the unit of positions.
        features: (B, J, NOISE_FEATURES).
        parent: (B, J) long, the joint above; -1 where there is none.
    """

    values: Tensor
    trust: Tensor
    seen: Tensor
    noise: Tensor
    features: Tensor
    parent: Tensor


def curve_batch(values: Tensor, seen: Tensor, parent: Tensor) -> CurveBatch:
    """Outliers, gaps and noise of recordings.

    Args:
        values: (B, J, T, 3, 3) rotations or (B, J, T, 3) positions, anything where not seen.
        seen: (B, J, T) bool.
        parent: (B, J) long, -1 where a joint has none.
    Returns:
        the input of the network.
    """
    kind = kind_of(values, 2)
    values = fill_gaps(values, seen)
    trust = seen & ~find_outliers(values, seen, kind)
    values = fill_gaps(values, trust)
    noise, features = measure_noise(values, trust, kind)
    return CurveBatch(values, trust.to(values), seen.to(values), noise, features, parent)


def fill_gaps(values: Tensor, seen: Tensor) -> Tensor:
    """Values not seen replaced along the geodesic between those seen before and after.

    Args:
        values: (B, J, T, 3, 3) or (B, J, T, 3).
        seen: (B, J, T) bool.
    Returns:
        the same shape; the nearest value at either end, the identity or 0 of a joint never seen.
    """
    kind = kind_of(values, 2)
    curves = values.flatten(0, 1).transpose(0, 1)
    filled = fill_along(curves, seen.flatten(0, 1).T, kind.geodesic)
    result = filled.transpose(0, 1).unflatten(0, seen.shape[:2])
    never = ~seen.any(-1)
    if bool(never.any()):
        rest = torch.eye(3, dtype=values.dtype, device=values.device) if kind.tail == (3, 3) else values.new_zeros(3)
        result = torch.where(never.view(*never.shape, *(1 for _ in values.shape[2:])), rest, result)
    return result


def find_outliers(values: Tensor, seen: Tensor, kind: CurveKind) -> Tensor:
    """Values far from the chords of all pairs of values seen up to three frames before and after.

    e_t = min over q, r <= 3 of | y_t - (r y_{t-q} + q y_{t+r}) / (q + r) |, which one or two other outliers beside it
    leave alone; an outlier exceeds 6 times its median over the curve and over the 15 frames around.

    Args:
        values: (B, J, T, *tail), finite.
        seen: (B, J, T) bool.
        kind: of the curves.
    Returns:
        (B, J, T) bool.
    """
    length, planes = values.shape[2], kind.planes(values)
    deviation = torch.full(seen.shape, torch.inf, dtype=values.dtype, device=values.device)
    for q, r in product((1, 2, 3), repeat=2):
        if q + r >= length:
            continue
        before, middle, after = (slice(start, length - q - r + start) for start in (0, q, q + r))
        chord = (r * planes[..., before] + q * planes[..., after]) / (q + r)
        away = (planes[..., middle] - chord).square().sum(-2).sqrt()
        both = seen[..., before] & seen[..., after]
        away = torch.where(both, away, torch.inf)
        deviation[..., middle] = torch.minimum(deviation[..., middle], away)
    deviation = torch.where(seen & deviation.isfinite(), deviation, torch.nan)
    own = deviation.nanmedian(-1, keepdim=True).values.nan_to_num()
    padded = F.pad(deviation, (_NEAR, _NEAR), value=torch.nan).unfold(-1, 2 * _NEAR + 1, 1)
    near = padded.nanmedian(-1).values.nan_to_num()
    floor = _OUTLIER * SMALLEST_NOISE * extent(values, kind).unsqueeze(-1)
    return deviation.nan_to_num() > torch.maximum(_OUTLIER * torch.maximum(own, near), floor)


def extent(values: Tensor, kind: CurveKind) -> Tensor:
    """What a curve is measured by: 1 radian, or the median distance of positions to their median.

    Args:
        values: (B, J, T, *tail).
        kind: of the curves.
    Returns:
        (B, J), above 0.
    """
    if kind.tail == (3, 3):
        return values.new_ones(values.shape[:2])
    middle = values.median(2, keepdim=True).values
    size = (values - middle).square().sum(-1).median(-1).values.sqrt()
    rounding = 8 * torch.finfo(values.dtype).eps / SMALLEST_NOISE * values.abs().amax((-1, -2))
    return torch.maximum(torch.maximum(size, size.mean(-1, keepdim=True)), rounding).clamp(min=_SMALLEST_EXTENT)


def measure_noise(values: Tensor, trust: Tensor, kind: CurveKind) -> tuple[Tensor, Tensor]:
    """Standard deviation of the noise of every curve, and its features.

    Args:
        values: (B, J, T, *tail), finite.
        trust: (B, J, T) bool.
        kind: of the curves.
    Returns:
        (B, J), and (B, J, NOISE_FEATURES).
    """
    planes, length = kind.planes(values), values.shape[2]
    levels = []
    for lag in (1, *LAGS):
        step = min(lag, max((length - 1) // 2, 0))
        ends, middle = slice(step, length - step), slice(2 * step, None)
        chord = (planes[..., : length - 2 * step] + planes[..., middle]) / 2
        away = kind.displacement(planes[..., ends].flatten(0, 1), chord.flatten(0, 1)).square().sum(1).sqrt()
        away = away.unflatten(0, trust.shape[:2])
        whole = trust[..., ends] & trust[..., : length - 2 * step] & trust[..., middle]
        away = torch.where(whole, away, torch.nan)
        levels.append(away.nanmedian(-1).values.nan_to_num() / _MEDIAN)
    floor = SMALLEST_NOISE * extent(values, kind)
    noise = torch.maximum(levels[0], floor)
    own = torch.stack([(torch.maximum(level, floor) / noise).log() for level in levels[1:]], -1)
    mean, least = own.mean(1, keepdim=True).expand_as(own), own.amin(1, keepdim=True).expand_as(own)
    return noise, torch.cat([own, mean, least], -1)
