"""Local polynomial regression of curves with gaps: at every time, means of the values around with signed weights.

With the Gaussian g_s(q) of width s and the trust p_t in [0, 1] of each value y_t, a polynomial in x = q / s is fitted
to the values around t by weighted least squares; its value at x = 0 is a weighted mean of them,

    m_t = sum_q w_tq y_{t+q},    w_tq = g_s(q) p_{t+q} (c_0 + c_1 x + c_2 x^2),    sum_q w_tq = 1,    A_t c = (1, 0, 0)

A the matrix of moments S_k = sum_q g_s(q) p_{t+q} x^k. The mean follows lines (degree 1) or parabolas (degree 2)
without bias, also beside a gap and at the ends, where p = 0. For values in SO(3), entry by entry, m_t is the extrinsic
mean of R_{t+q}: its projection to SO(3) minimises sum_q w_tq |R - R_{t+q}|^2, and R -> g R h takes m to g m h.
Source: Cleveland, Robust locally weighted regression and smoothing scatterplots, JASA 74 (1979) 829; Savitzky and
Golay (1964) for equal weights; Moakher, Means and averaging in the group of rotations (2002), for the mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 3
"""A window ends at this many widths from its centre."""

PRIOR = 1e-4  # weight of a 0 at the centre, which the mean falls back to where nothing is around
_RIDGE = 0.02  # of slope and curvature, over the weight of the window: both are 0 where it holds one value
_BLOCK = 128  # frames that one product of matrices makes


def radius(width: float) -> int:
    """Frames on each side that a window reaches.

    Args:
        width: s, frames.
    Returns:
        the number.
    """
    return math.ceil(REACH * width)


@lru_cache(maxsize=64)
def _band(width: float, powers: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(block + 2 r, powers * block): the moments of every window of a block of frames as one matrix."""
    r = radius(width)
    x = torch.arange(-r, r + 1, dtype=torch.float64) / width
    g = torch.exp(-x.square() / 2)
    kernels = [(g / g.sum() * x**k) for k in range(powers)]
    band = torch.zeros(powers, _BLOCK, _BLOCK + 2 * r, dtype=torch.float64)
    for k, kernel in enumerate(kernels):
        for t in range(_BLOCK):
            band[k, t, t : t + 2 * r + 1] = kernel
    return band.flatten(0, 1).T.contiguous().to(dtype=dtype, device=device)


def moments(values: Tensor, width: float, powers: int) -> Tensor:
    """sum_q g_s(q) (q / s)^k y_{t+q} for k < powers; zero outside the curve.

    Args:
        values: shape (..., T).
        width: s, frames.
        powers: number of moments.
    Returns:
        shape (..., powers, T).

    Examples:
        >>> import torch
        >>> from mvnet.nn.local_polynomial import moments
        >>> moments(torch.ones(2, 50), 2.0, 3).shape
        torch.Size([2, 3, 50])
    """
    r, length = radius(width), values.shape[-1]
    blocks = -(-length // _BLOCK)
    padded = F.pad(values, (r, blocks * _BLOCK - length + r))
    windows = padded.unfold(-1, _BLOCK + 2 * r, _BLOCK)  # (..., blocks, block + 2 r)
    made = windows @ _band(width, powers, values.dtype, values.device)
    made = made.unflatten(-1, (powers, _BLOCK)).movedim(-2, -3)  # (..., powers, blocks, block)
    return made.flatten(-2)[..., :length]


class LocalFit(NamedTuple):
    """What `local_fit` makes of N curves and W widths; E entries of a displacement, D where there is none.

    Attributes:
        means: values of the fits at the centre, (N, 2 W, E, T), of degree 2 and of degree 1 for every width, in this
            order, the narrowest first; (N, W, E, T) for degree 1 alone.
        slopes: (N, W, E, T), change over one width of the fits of degree 1.
        share: (N, W, T), share of each window that is trusted.
    """

    means: Tensor
    slopes: Tensor
    share: Tensor


def local_fit(
    values: Tensor,
    trust: Tensor,
    widths: Sequence[float],
    displacement: Callable[[Tensor, Tensor], Tensor] | None = None,
    degree: int = 2,
) -> LocalFit:
    """Fit polynomials to the windows of every width around every frame.

    Args:
        values: y, shape (N, D, T).
        trust: p, shape (N or 1, 1, T), in [0, 1]; 0 where nothing was seen.
        widths: of the windows, frames.
        displacement: what is fitted, a linear function of the values that is another one in every frame, given by what
            it makes of a sum of values (N, D, K, T) and of the sum of their weights (N or 1, 1, K, T): (N, E, K, T).
            None fits the values.
        degree: 2 for fits of degree 2 and of degree 1, 1 for the latter alone.
    Returns:
        values and slopes of the fits at the centre; 0 where nothing is around.

    Examples:
        >>> import torch
        >>> from mvnet.nn import local_fit
        >>> line = torch.arange(40.0).view(1, 1, 40)
        >>> fit = local_fit(line, torch.ones(1, 1, 40), [2.0, 4.0])
        >>> fit.means.shape, fit.slopes.shape, fit.share.shape
        (torch.Size([1, 4, 1, 40]), torch.Size([1, 2, 1, 40]), torch.Size([1, 2, 40]))
    """
    weighted = values * trust
    means, slopes, shares = [], [], []
    for width in widths:
        s = moments(trust.squeeze(1), width, 2 * degree + 1).unsqueeze(1)  # (N, 1, 2 degree + 1, T)
        t = moments(weighted, width, degree + 1)  # (N, D, degree + 1, T)
        t = t if displacement is None else displacement(t, s[:, :, : degree + 1])
        s0, s1, s2 = s[:, :, 0] + PRIOR, s[:, :, 1], s[:, :, 2]
        t0, t1 = t[:, :, 0], t[:, :, 1]
        ridge = _RIDGE * s0
        b = s2 + ridge
        if degree == 2:
            # (S0 S1 S2; S1 S2 S3; S2 S3 S4) c = (1 0 0), with ridges on the diagonal
            s3, d = s[:, :, 3], s[:, :, 4] + 2 * ridge
            c0, c1, c2 = b * d - s3 * s3, s2 * s3 - s1 * d, s1 * s3 - s2 * b
            det = s0 * c0 + s1 * c1 + s2 * c2
            means.append(c0 / det * t0 + c1 / det * t1 + c2 / det * t[:, :, 2])
        # (S0 S1; S1 S2) c = (1 0)
        det = s0 * b - s1 * s1
        means.append(b / det * t0 - s1 / det * t1)
        slopes.append(s0 / det * t1 - s1 / det * t0)
        shares.append(s0.squeeze(1))
    return LocalFit(torch.stack(means, 1), torch.stack(slopes, 1), torch.stack(shares, 1))
