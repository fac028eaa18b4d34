"""Scalar functions with divided differences that stay accurate when their arguments meet.

f[a, b] = (f(b) - f(a)) / (b - a) loses every digit as b -> a when taken literally. Each `slope` below takes
the gap b - a >= 0 as a third argument and cancels nothing. f[a, b, c], which only second derivatives need, is a
closed form or, where the arguments are close, Taylor's polynomial about their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Slope = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Scalar:
    """A smooth function f of one real variable, applied to eigenvalues.

    Attributes:
        value: a -> f(a).
        slope: (a, b, gap) -> f[a, b] for a <= b = a + gap, f'(a) at gap 0.
        curvature: (a, b, c) -> f[a, b, c] for a <= b <= c.
        origin: f lives on a + origin > 0, everywhere if None.
    """

    value: Callable[[Tensor], Tensor]
    slope: Slope
    curvature: Slope
    origin: float | None = None

    def admit(self, low: Tensor, high: Tensor) -> Tensor:
        """An eigenvalue, raised to 2 eps of the largest where rounding alone decides its sign.

        One that is negative beyond rounding stays negative, and f answers with NaN.

        Args:
            low, high: the eigenvalue and the largest of its matrix, planes of one shape.
        Returns:
            the same shape.
        """
        if self.origin is None:
            return low
        floor = (high + self.origin) * (2 * torch.finfo(high.dtype).eps)
        rescued = torch.minimum(torch.add(low, floor, alpha=8) + self.origin, floor)
        return torch.maximum(low, rescued - self.origin)


def _floor(x: Tensor) -> Tensor:
    """Keeps x / x = 1 at x = 0, where every ratio below has its limit; far enough from subnormal numbers."""
    return x.clamp_min(torch.finfo(x.dtype).tiny * 2.0**30)


def _taylor(slope: Slope, even: Callable[[Tensor], tuple[Tensor, Tensor]], origin: float | None) -> Slope:
    """f[a, b, c] from f[., .] apart and, close together, from f'' and f'''' at the mean m.

    f[a, b, c] = f''(m)/2 + f''''(m)/48 ((a-m)^2 + (b-m)^2 + (c-m)^2) + O(span^3)

    Args:
        slope: f[., .].
        even: m -> f''(m), f''''(m).
        origin: f lives on a + origin > 0, everywhere if None.
    Returns:
        f[., ., .].
    """

    def curvature(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        below, above, span = b - a, c - b, c - a
        mean = (a + b + c) * (1 / 3)
        edge = (66 * torch.finfo(a.dtype).eps) ** 0.25
        close = span <= edge * (1.0 if origin is None else mean + origin)
        apart = (slope(b, c, above) - slope(a, b, below)) / torch.where(close, 1.0, span)
        second, fourth = even(mean)
        scatter = (below * below + above * above + span * span) * (1 / 3)
        return torch.where(close, second / 2 + fourth / 48 * scatter, apart)

    return curvature


def _log_slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    # log(b / a) / (b - a) = log1p(x) / (x a),  x = gap / a
    x = _floor(gap / a)
    return x.log1p() / (x * a)


def _log1p_slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    return _log_slope(a + 1, b, gap)


def _exp_slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    # (e^b - e^a) / gap = (e^a + e^b) tanh(gap / 2) / gap. Not expm1: torch.compile makes exp(x) - 1 of it
    x = _floor(gap)
    return (a.exp() + b.exp()) * torch.tanh(x * 0.5) / x


def _sqrt_slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    return 1 / (a.sqrt() + b.sqrt())


def _sqrt_curvature(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    s, t, u = a.sqrt(), b.sqrt(), c.sqrt()
    return -1 / ((s + t) * (t + u) * (u + s))


def _invsqrt_slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    s, t = a.sqrt(), b.sqrt()
    return -1 / (s * t * (s + t))


def _invsqrt_curvature(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    s, t, u = a.sqrt(), b.sqrt(), c.sqrt()
    return (s + t + u) / (s * t * u) / ((s + t) * (t + u) * (u + s))


def _log_even(a: Tensor) -> tuple[Tensor, Tensor]:
    return -(a**-2), -6 * a**-4


LOG = Scalar(torch.log, _log_slope, _taylor(_log_slope, _log_even, 0.0), 0.0)
LOG1P = Scalar(torch.log1p, _log1p_slope, _taylor(_log1p_slope, lambda a: _log_even(1 + a), 1.0), 1.0)
EXP = Scalar(torch.exp, _exp_slope, _taylor(_exp_slope, lambda a: (a.exp(), a.exp()), None))
SQRT = Scalar(torch.sqrt, _sqrt_slope, _sqrt_curvature, 0.0)
INVSQRT = Scalar(torch.rsqrt, _invsqrt_slope, _invsqrt_curvature, 0.0)
INVERSE = Scalar(torch.reciprocal, lambda a, b, gap: -1 / (a * b), lambda a, b, c: 1 / (a * b * c))


def power(exponent: float) -> Scalar:
    """a -> a^exponent.  f[a, b] = (a^e + b^e) tanh(e log1p(x) / 2) / (x a),  x = gap / a,  e the exponent.

    Args:
        exponent: any real number.
    Returns:
        the function with its divided differences, on a > 0.
    """

    def slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
        x = _floor(gap / a)
        return (a.pow(exponent) + b.pow(exponent)) * torch.tanh(x.log1p() * (exponent * 0.5)) / (x * a)

    def even(a: Tensor) -> tuple[Tensor, Tensor]:
        second = exponent * (exponent - 1)
        fourth = second * (exponent - 2) * (exponent - 3)
        return second * a.pow(exponent - 2), fourth * a.pow(exponent - 4)

    return Scalar(lambda a: a.pow(exponent), slope, _taylor(slope, even, 0.0), 0.0)
