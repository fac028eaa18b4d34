"""Correlation of the phase noise of an interferogram, measured from itself.

For unit phasors u, lag k along an axis and blocks of 8 x 8 pixels,

    r_k = mean over blocks of |mean over the block of u_p conj u_(p+k)|,      rho_k = (r_k - r_0) / (1 - r_0)

The modulus of a block takes out its fringes. What noise adds to r_k is gone after some pixels; what the signal adds
falls with the square of k where fringes bend. So r_0, the share of the signal, comes from r_4 and r_6 by Richardson
extrapolation. White noise has rho = 0; oversampled, geocoded and overlapping looks have not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.data_loaders.insar.layers import Window
from mvnet.data_loaders.insar.windows import sample_windows

LAGS = 3
"""Lags, in pixels from 1 on, of which the correlation is told."""

_BLOCK = 8
_FAR = (4, 6)  # lags, pixels, of which the share of the signal is extrapolated
_MAX_SIGNAL = 0.97
_FULL = 0.5  # share of pairs from which a block counts
_SAMPLES, _SIDE = 6, 160  # windows along each axis of a large scene, and their side in pixels


class PhaseNoise(NamedTuple):
    """What is known of the noise of an interferogram.

    correlation: (2, LAGS), of the phase noise along rows and along columns; lag 1 first.
    looks: number of looks, NaN where unknown.
    """

    correlation: Tensor
    looks: float = math.nan

    def describe(self) -> str:
        """One line: "rows 0.64 0.23 0.02, columns 0.36 0.12 0.01"."""
        axes = zip(("rows", "columns"), self.correlation.tolist())
        return ", ".join(f"{name} {' '.join(f'{value:.2f}' for value in values)}" for name, values in axes)


def measure_correlation(windows: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
    """Correlation of the phase noise.

    Args:
        windows: of one interferogram, each (h, w) complex and (h, w) bool where it is valid.
    Returns:
        (2, LAGS) float32 in [0, 1], along rows (down a column) first; 0 where too few pixels are valid.
    """
    lags = (*range(1, LAGS + 1), *_FAR)
    total, count = torch.zeros(2, len(lags), dtype=torch.float64), torch.zeros(2, len(lags), dtype=torch.float64)
    for z, valid in windows:
        modulus = z.abs()
        unit = torch.where(valid & (modulus > 0), z / modulus.clamp_min(torch.finfo(modulus.dtype).tiny), 0)
        inside = (unit != 0).to(modulus.dtype)
        for axis in range(2):
            for index, lag in enumerate(lags):
                resultant, pairs = _resultants(unit, inside, axis, lag)
                total[axis, index] += float(resultant.sum())
                count[axis, index] += pairs
    mean = total / count.clamp_min(1)
    near, (first, second) = mean[:, :LAGS], mean[:, LAGS:].unbind(1)
    a, b = (lag**2 for lag in _FAR)
    signal = ((b * first - a * second) / (b - a)).clamp(0, _MAX_SIGNAL)[:, None]
    found = ((near - signal) / (1 - signal)).clamp(0, 1)
    return torch.where(count.min(1, keepdim=True).values > 0, found, 0).float()


def _resultants(unit: Tensor, inside: Tensor, axis: int, lag: int) -> tuple[Tensor, int]:
    """|mean of u_p conj u_(p + lag)| of every block with pairs enough, and their number."""
    size = unit.shape[axis] - lag
    if min(size, unit.shape[1 - axis]) < _BLOCK:
        return unit.real.new_zeros(0), 0
    product = unit.narrow(axis, 0, size) * unit.narrow(axis, lag, size).conj()
    pairs = inside.narrow(axis, 0, size) * inside.narrow(axis, lag, size)
    real, imaginary, share = F.avg_pool2d(torch.stack([product.real, product.imag, pairs])[:, None], _BLOCK)[:, 0]
    full = share >= _FULL
    return torch.hypot(real, imaginary)[full] / share[full], int(full.sum())


def noise_windows(shape: tuple[int, int]) -> list[Window]:
    """Windows of a raster of (rows, columns) that its noise is measured in."""
    return sample_windows(shape, _SAMPLES, _SIDE)
