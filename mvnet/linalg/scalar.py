"""Scalar functions with divided differences that stay accurate when their arguments meet.

f[a, b] = (f(b) - f(a)) / (b - a) loses every digit as b -> a when taken literally. Each `slope` below takes the gap
b - a >= 0 as a third argument, known more accurately than from the rounded a and b, and cancels nothing.
f[a, b, c] (second derivatives only) is Taylor's polynomial about the mean where the arguments are close.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scalar:
    """A smooth function f of one real variable, applied to eigenvalues.

    value(a) = f(a);  slope(a, b, gap) = f[a, b] for a <= b = a + gap, and f'(a) at gap 0;
    even(a) = (f''(a), f''''(a));  f is defined for a + origin > 0, everywhere if origin is None.
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor, Tensor], Tensor]
    even: Callable[[Tensor], tuple[Tensor, Tensor]]
    origin: float | None = None

    def admit(self, low: Tensor, high: Tensor) -> Tensor:
        """Smallest eigenvalue, raised to 2 eps of the largest where rounding alone decides its sign."""
        if self.origin is None:
            return low
        floor = (high + self.origin) * (2 * torch.finfo(high.dtype).eps)
        return torch.where((low + self.origin).abs() < floor, floor - self.origin, low)

    def curvature(self, a: Tensor, b: Tensor, c: Tensor, below: Tensor, above: Tensor) -> Tensor:
        """f[a, b, c] for ascending arguments with gaps below = b - a and above = c - b.

        Close together, with m their mean:  f''(m)/2 + f''''(m)/48 ((a-m)^2 + (b-m)^2 + (c-m)^2).
        """
        span = below + above
        mean = (a + b + c) * (1 / 3)
        edge = (66 * torch.finfo(a.dtype).eps) ** 0.25
        close = span <= edge * (1.0 if self.origin is None else mean + self.origin)
        apart = (self.slope(b, c, above) - self.slope(a, b, below)) / torch.where(close, 1.0, span)
        second, fourth = self.even(mean)
        scatter = (below * below + above * above + span * span) * (1 / 3)
        return torch.where(close, second / 2 + fourth / 48 * scatter, apart)


def _floor(x: Tensor) -> Tensor:
    """Keeps x / x = 1 at x = 0, where every ratio below has its limit."""
    return x.clamp_min(torch.finfo(x.dtype).tiny)


def _log_slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    # log(b / a) / (b - a) = log1p(x) / (x a),  x = gap / a
    x = _floor(gap / a)
    return x.log1p() / (x * a)


def _exp_slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    # (e^b - e^a) / gap = e^b (1 - e^-gap) / gap: overflows only where e^b does
    x = _floor(gap)
    return b.exp() * torch.expm1(-x) / -x


def _sqrt_slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    return 1 / (a.sqrt() + b.sqrt())


def _invsqrt_slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
    s, t = a.sqrt(), b.sqrt()
    return -1 / (s * t * (s + t))


LOG = Scalar(torch.log, _log_slope, lambda a: (-1 / (a * a), -6 / (a * a * a * a)), 0.0)
LOG1P = Scalar(
    torch.log1p,
    lambda a, b, gap: _log_slope(a + 1, b, gap),
    lambda a: (-((1 + a) ** -2), -6 * (1 + a) ** -4),
    1.0,
)
EXP = Scalar(torch.exp, _exp_slope, lambda a: (a.exp(), a.exp()))
SQRT = Scalar(torch.sqrt, _sqrt_slope, lambda a: (-0.25 * a**-1.5, -0.9375 * a**-3.5), 0.0)
INVSQRT = Scalar(torch.rsqrt, _invsqrt_slope, lambda a: (0.75 * a**-2.5, 6.5625 * a**-4.5), 0.0)


def power(exponent: float) -> Scalar:
    """a -> a^exponent.  f[a, b] = a^(exponent - 1) expm1(exponent log1p(x)) / x,  x = gap / a."""

    def slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
        x = _floor(gap / a)
        return a.pow(exponent - 1) * torch.expm1(x.log1p() * exponent) / x

    def even(a: Tensor) -> tuple[Tensor, Tensor]:
        second = exponent * (exponent - 1)
        fourth = second * (exponent - 2) * (exponent - 3)
        return second * a.pow(exponent - 2), fourth * a.pow(exponent - 4)

    return Scalar(lambda a: a.pow(exponent), slope, even, 0.0)


def log_ratio(shift: Tensor) -> Scalar:
    """a -> (shift + log(1 + a)) / (1 + a):  f[a, b] = (log1p[a, b] - f(a)) / (1 + b)."""

    def value(a: Tensor) -> Tensor:
        return (shift + a.log1p()) / (1 + a)

    def slope(a: Tensor, b: Tensor, gap: Tensor) -> Tensor:
        return (LOG1P.slope(a, b, gap) - value(a)) / (1 + b)

    def even(a: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError("log_ratio is used for values only")

    return Scalar(value, slope, even, 1.0)
