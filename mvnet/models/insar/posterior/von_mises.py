"""Quantiles of the von Mises law, wrapped: noise on the line -> error of a phase, and back.

    e = Q(kappa, g) = F^-1(Phi(g); kappa),      F(e) = int_-pi^e exp(kappa cos t) / (2 pi I_0(kappa)) dt

with Phi the normal distribution function: e is von Mises of concentration kappa where g is standard normal. Q is odd
and increasing in g; sqrt(kappa + 1) Q is tabulated over log kappa and |g|, and interpolated.
Source: Mardia, Jupp, Directional Statistics (2000), section 3.5.4.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LOG_CONCENTRATION = (-5.0, 7.5)
"""Range of log kappa in the table; beyond its ends the law is that of the end."""

_ROWS, _COLUMNS, _FARTHEST = 401, 1401, 7.0
_NODES = 6000
_BISECTIONS = 40


def quantile(log_concentration: Tensor, noise: Tensor) -> Tensor:
    """Q(kappa, g), the error of a phase.

    Args:
        log_concentration: log kappa, shape (...).
        noise: g, shape (..., ) or with further dimensions in front.
    Returns:
        shape of the noise, float32, radians in (-pi, pi).
    """
    table = _table()
    low, high = LOG_CONCENTRATION
    row = ((log_concentration.float() - low) * (2 / (high - low)) - 1).clamp(-1, 1)
    column = noise.float().abs() * (2 / _FARTHEST) - 1
    place = torch.stack([column, row.expand_as(column)], -1).view(1, 1, -1, 2)
    found = F.grid_sample(table[None, None], place, padding_mode="border", align_corners=True).view(noise.shape)
    return found * noise.sign() * (log_concentration.float().clamp(low, high).exp() + 1).rsqrt()


def latent(log_concentration: Tensor, error: Tensor) -> Tensor:
    """g with Q(kappa, g) = e, by bisection.

    Args:
        log_concentration: log kappa, shape (...).
        error: e in radians, in (-pi, pi], the same shape.
    Returns:
        the same shape, within +-7.
    """
    low, high = torch.zeros_like(error), torch.full_like(error, _FARTHEST)
    size = error.abs()
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        short = quantile(log_concentration, middle) < size
        low, high = torch.where(short, middle, low), torch.where(short, high, middle)
    return (low + high) / 2 * error.sign()


def deviation(log_concentration: Tensor) -> Tensor:
    """sqrt(E e^2), the standard deviation of the wrapped error.

    Args:
        log_concentration: log kappa, shape (...).
    Returns:
        the same shape and dtype, radians.
    """
    rows, values = _deviations()
    found = np.interp(log_concentration.detach().cpu().double().numpy(), rows, values)
    return torch.from_numpy(np.asarray(found)).to(log_concentration)


def log_concentration_of(expected_cosine: Tensor) -> Tensor:
    """log kappa with I_1(kappa) / I_0(kappa) = c: the concentration behind a quality.

    Args:
        expected_cosine: c in [0, 1).
    Returns:
        the same shape and dtype, within `LOG_CONCENTRATION`.
    """
    rows = np.linspace(*LOG_CONCENTRATION, 4000)
    kappa = torch.from_numpy(np.exp(rows))
    # -log(1 - c) resolves both ends
    known = -np.log1p(-(torch.special.i1e(kappa) / torch.special.i0e(kappa)).numpy())
    given = expected_cosine.detach().cpu().double().clamp(0, 1 - 1e-7).numpy()
    return torch.from_numpy(np.asarray(np.interp(-np.log1p(-given), known, rows))).to(expected_cosine)


@lru_cache(maxsize=1)
def _table() -> Tensor:
    """(rows, columns) float32: sqrt(kappa + 1) Q at every log kappa and every g >= 0."""
    g = torch.linspace(0, _FARTHEST, _COLUMNS, dtype=torch.float64)
    wanted = torch.special.log_ndtr(-g).numpy()[::-1]  # log of what lies beyond g, increasing
    out = np.empty((_ROWS, _COLUMNS))
    t = np.linspace(0, 1, _NODES)
    for row, kappa in enumerate(np.exp(np.linspace(*LOG_CONCENTRATION, _ROWS))):
        end = min(math.pi, 12 / math.sqrt(kappa))
        e = end * t
        density = np.exp(kappa * (np.cos(e) - 1))
        step = (density[1:] + density[:-1]) / 2 * np.diff(e)
        beyond = np.append(np.cumsum(step[::-1])[::-1], 0.0)
        with np.errstate(divide="ignore"):
            tail = np.log(beyond / (2 * beyond[0]))
        tail[-1] = min(tail[-2] - 40, -800.0)
        out[row] = np.interp(wanted, tail[::-1], e[::-1])[::-1] * math.sqrt(kappa + 1)
    return torch.from_numpy(out).float()


@lru_cache(maxsize=1)
def _deviations() -> tuple[np.ndarray, np.ndarray]:
    """log kappa of the rows, and sqrt(E e^2) of each: the integral of Q^2 over the normal law."""
    rows = np.linspace(*LOG_CONCENTRATION, _ROWS)
    g = np.linspace(0, _FARTHEST, _COLUMNS)
    weight = np.exp(-np.square(g) / 2)
    weight[0] /= 2
    square = np.square(_table().double().numpy()) @ weight / weight.sum()
    return rows, np.sqrt(square / (np.exp(rows) + 1))
