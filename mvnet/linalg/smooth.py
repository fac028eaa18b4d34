"""Scalar functions whose derivatives stay finite where the naive formula divides 0 by 0."""

from __future__ import annotations

import torch
from torch import Tensor

_SERIES_BELOW = 0.05  # the argument: the series are exact to float64 rounding there


def point_sum(values: Tensor, point_ndim: int) -> Tensor:
    """Sum over the dims of a point.

    Args:
        values: shape (..., *point).
        point_ndim: number of dims of a point, 0 for numbers.
    Returns:
        shape (...).
    """
    return values.flatten(-point_ndim).sum(-1) if point_ndim else values


def expand_points(scalars: Tensor, point_ndim: int) -> Tensor:
    """Numbers per point, shaped to multiply points.

    Args:
        scalars: shape (...).
        point_ndim: number of dims of a point.
    Returns:
        shape (..., 1, ..., 1), a view.
    """
    return scalars.reshape(scalars.shape + (1,) * point_ndim)


def safe_sqrt(q: Tensor) -> Tensor:
    """sqrt(q), with derivative 0 (a subgradient of the norm) instead of inf at q = 0.

    Args:
        q: any shape, q >= 0.
    Returns:
        shape of q.
    """
    positive = q > 0
    return torch.where(positive, torch.where(positive, q, 1.0).sqrt(), 0.0)


def _series(q: Tensor, coefficients: list[float]) -> Tensor:
    """Horner evaluation of sum_k coefficients[k] q^k."""
    total = torch.full_like(q, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * q + c
    return total


def _factorial_series(start: int, terms: int = 8) -> list[float]:
    """Coefficients of sum_k (-q)^k / (2k + start)!, for start 0 (cos) and 1 (sinc)."""
    out, value = [], 1.0
    for k in range(terms):
        out.append(value)
        value *= -1.0 / ((2 * k + start + 1) * (2 * k + start + 2))
    return out


_COS, _SINC = _factorial_series(0), _factorial_series(1)
_ANGLE_OVER_SINE = [1.0]  # a / sin a = sum_k c_k s^k, s = sin^2(a/2), c_{k+1} = c_k (2k + 2) / (2k + 3)
for _k in range(14):
    _ANGLE_OVER_SINE.append(_ANGLE_OVER_SINE[-1] * (2 * _k + 2) / (2 * _k + 3))


def cos_sqrt(q: Tensor) -> Tensor:
    """cos(sqrt(q)), smooth at q = 0.

    Args:
        q: squared angles, radians^2, any shape, q >= 0.
    Returns:
        shape of q.
    """
    small = q < _SERIES_BELOW
    return torch.where(small, _series(torch.where(small, q, 0.0), _COS), torch.where(small, 1.0, q).sqrt().cos())


def sinc_sqrt(q: Tensor) -> Tensor:
    """sin(sqrt(q)) / sqrt(q), smooth at q = 0.

    Args:
        q: squared angles, radians^2, any shape, q >= 0.
    Returns:
        shape of q.
    """
    small = q < _SERIES_BELOW
    a = torch.where(small, 1.0, q).sqrt()
    return torch.where(small, _series(torch.where(small, q, 0.0), _SINC), a.sin() / a)


def angle_over_sine(s: Tensor) -> Tensor:
    """a / sin(a), smooth at a = 0; large but finite at a = pi.

    Args:
        s: sin^2(a/2) in [0, 1], any shape.
    Returns:
        shape of s.
    """
    small = s < _SERIES_BELOW
    large = torch.where(small, 0.5, s).clamp(max=1 - torch.finfo(s.dtype).eps)
    # a = 2 asin(sqrt(s)),  sin(a) = 2 sqrt(s (1 - s))
    exact = torch.atan2(large.sqrt(), (1 - large).sqrt()) / (large * (1 - large)).sqrt()
    return torch.where(small, _series(torch.where(small, s, 0.0), _ANGLE_OVER_SINE), exact)
