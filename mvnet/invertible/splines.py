"""Monotone rational quadratic splines of numbers, with linear tails, and their exact inverse.

On a bin [x_k, x_{k+1}] of width w, with s = (y_{k+1} - y_k) / w and u = (x - x_k) / w,

    y = y_k + (y_{k+1} - y_k) (s u^2 + d_k u (1 - u)) / (s + (d_{k+1} + d_k - 2 s) u (1 - u)),

d_k > 0 the slopes at the knots; beyond the knots y goes on along the tangents. Arguments are clipped to the knots
before the spline is evaluated, so that the branch that is not chosen is finite, with finite derivatives.
Source: paper section 4.1.1; Durkan et al., Neural spline flows (2019), equations (4) to (8).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.invertible.base import wide

LEAST_BIN = 1e-3
"""Of the whole interval."""


class Knots(NamedTuple):
    """A spline of K bins.

    Attributes:
        table: positions, values and slopes at its knots, shape (..., 3, K + 1).
    """

    table: Tensor

    @property
    def x(self) -> Tensor:
        """Positions, shape (..., K + 1)."""
        return self.table[..., 0, :]

    @property
    def y(self) -> Tensor:
        """Values, shape (..., K + 1)."""
        return self.table[..., 1, :]

    @property
    def slope(self) -> Tensor:
        """Slopes, shape (..., K + 1)."""
        return self.table[..., 2, :]


def knots(
    raw: Tensor, bound: float = 3.0, *, tails: tuple[bool, bool] = (False, False), slope_bound: float = 100.0
) -> Knots:
    """Free numbers -> knots on [-bound, bound] x [-bound, bound].

    Bins are soft-maxima of raw numbers, at least `LEAST_BIN` of the interval; slopes are exp(b tanh(raw / b)),
    b = log slope_bound. Zeros give the identity.

    Args:
        raw: shape (..., 3 K + 1): K widths, K heights, K + 1 slopes.
        bound: end of the knots.
        tails: whether the slopes of the lower and of the upper tail are free; 1 where they are not.
        slope_bound: slopes lie in (1 / slope_bound, slope_bound).
    Returns:
        the knots, in float32 or wider.
    Raises:
        MvnetError: another number of parameters, or a bound that is not positive.
    """
    bins, rest = divmod(raw.shape[-1] - 1, 3)
    if rest or bins < 1:
        raise MvnetError(f"raw: found {raw.shape[-1]} numbers, expected 3 K + 1")
    if not 0 < bound < math.inf or not 1 < slope_bound < math.inf:
        raise MvnetError(
            f"bound, slope_bound: found {bound} and {slope_bound}, expected positive numbers, the latter above 1"
        )
    raw = wide(raw)
    # both sets of bins at once: edges are cumulated soft-maxima, from -bound to bound
    share = torch.softmax(raw[..., : 2 * bins].unflatten(-1, (2, bins)), -1)
    places = torch.arange(bins + 1, dtype=raw.dtype, device=raw.device)
    least = 2 * bound * LEAST_BIN * places - bound
    edges = torch.add(least, F.pad(share, (1, 0)).cumsum(-1), alpha=2 * bound * (1 - LEAST_BIN * bins))
    # ends that are not free have slope 1
    limit = math.log(slope_bound)
    limits = raw.new_full((bins + 1,), limit)
    limits[0], limits[-1] = (limit if free else 0.0 for free in tails)
    slope = (limits * torch.tanh(raw[..., 2 * bins :] / limit)).exp()
    return Knots(torch.cat((edges, slope.unsqueeze(-2)), -2))


def rational_quadratic(x: Tensor, spline: Knots) -> tuple[Tensor, Tensor]:
    """Evaluate splines.

    Args:
        x: shape (...), finite.
        spline: knots of shapes that broadcast to (..., K + 1).
    Returns:
        the values, and the logarithms of their slopes, shape (...).
    Raises:
        MvnetError: x is not finite.
    """
    x = wide(x)
    _check_finite(x, "x")
    bin_ = _bin(x, spline.x, spline)
    inside = torch.minimum(torch.maximum(x, spline.x[..., 0]), spline.x[..., -1])
    u = (inside - bin_.x0) / bin_.width
    v = u * (1 - u)
    below = bin_.s + bin_.curve * v
    y = bin_.y0 + bin_.height * (bin_.s * u * u + bin_.d0 * v) / below
    return y + _tail(x - inside, spline.slope), _log_slope(bin_, u, v, below)


def rational_quadratic_inverse(y: Tensor, spline: Knots) -> tuple[Tensor, Tensor]:
    """Where splines take given values: the root of a quadratic equation, in the form that does not cancel.

    Args:
        y: shape (...), finite.
        spline: knots of shapes that broadcast to (..., K + 1).
    Returns:
        the arguments, and the logarithms of the slopes of the inverse, shape (...).
    Raises:
        MvnetError: y is not finite.
    """
    y = wide(y)
    _check_finite(y, "y")
    bin_ = _bin(y, spline.y, spline)
    inside = torch.minimum(torch.maximum(y, spline.y[..., 0]), spline.y[..., -1])
    r = inside - bin_.y0
    # a u^2 + b u + c = 0; rounding can leave the discriminant a little below zero
    a = bin_.height * (bin_.s - bin_.d0) + r * bin_.curve
    b = bin_.height * bin_.d0 - r * bin_.curve
    c = -bin_.s * r
    root = (b * b - 4 * a * c).clamp(min=torch.finfo(y.dtype).tiny).sqrt()
    u = (2 * c / (-b - root)).clamp(0, 1)
    v = u * (1 - u)
    x = bin_.x0 + u * bin_.width
    outside = _tail(y - inside, 1 / spline.slope)
    return x + outside, -_log_slope(bin_, u, v, bin_.s + bin_.curve * v)


class _Bin(NamedTuple):
    x0: Tensor
    y0: Tensor
    width: Tensor
    height: Tensor
    d0: Tensor
    d1: Tensor
    s: Tensor
    curve: Tensor


def _bin(at: Tensor, edges: Tensor, spline: Knots) -> _Bin:
    """The bin that holds each number; the first and the last for those beyond."""
    with torch.no_grad():
        k = (at[..., None] >= edges[..., 1:-1]).sum(-1)
    # one gather for both ends of x, y and slope: (..., 3, K + 1) at (k, k + 1)
    shape = (*k.shape, 3)
    index = torch.stack((k, k + 1), -1)[..., None, :].expand(*shape, 2)
    ends = spline.table.expand(*shape, spline.table.shape[-1]).gather(-1, index)
    (x0, x1), (y0, y1), (d0, d1) = (part.unbind(-1) for part in ends.unbind(-2))
    width, height = x1 - x0, y1 - y0
    s = height / width
    return _Bin(x0, y0, width, height, d0, d1, s, d0 + d1 - 2 * s)


def _log_slope(b: _Bin, u: Tensor, v: Tensor, below: Tensor) -> Tensor:
    # s^2 (d1 u^2 + 2 s u (1 - u) + d0 (1 - u)^2) / (s + (d1 + d0 - 2 s) u (1 - u))^2
    above = b.d1 * u * u + 2 * b.s * v + b.d0 * (1 - u) * (1 - u)
    return 2 * (b.s.log() - below.log()) + above.log()


def _tail(beyond: Tensor, slope: Tensor) -> Tensor:
    """Along the tangent of the end that was passed; beyond is 0 inside."""
    return beyond * torch.where(beyond < 0, slope[..., 0], slope[..., -1])


def _check_finite(x: Tensor, name: str) -> None:
    if not torch.isfinite(x.detach()).all():
        raise MvnetError(f"{name}: found numbers that are not finite, expected finite ones")
