"""Elastic alignment of curves: k(x, y) = exp(-d(x, y) / median), d dynamic time warping with the distance of points.

Source: Sakoe, Chiba, IEEE TASSP 26 (1978) 43.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_PAIRS = 4096


def warped_distance(x: Tensor, y: Tensor, band: float = 1 / 3) -> Tensor:
    """Dynamic time warping: the least sum of |x_i - y_j| along a monotone path, |i - j| <= band T.

    R_ij = |x_i - y_j| + min(R_i-1,j-1, R_i-1,j, R_i,j-1), all pairs at once along antidiagonals.

    Args:
        x, y: curves (n, T, C) and (m, T, C).
        band: width of the band that paths stay in, as a share of T.
    Returns:
        (n, m), unit of the curves.
    """
    n, m, t = len(x), len(y), x.shape[1]
    result = x.new_empty(n, m)
    width = _width(band, t)
    y = y.transpose(0, 1).contiguous()  # (t, m, C)
    norm = y.square().sum(-1)
    rows = min(n, max(1, _PAIRS // m))
    store = x.new_empty(t, 2 * width + 1, m, rows)  # cost of (i, j) at [i, j - i + width]
    for start in range(0, n, rows):
        part = x[start : start + rows].transpose(0, 1)  # (t, rows, C)
        cost = store[..., : part.shape[1]]
        for i, point in enumerate(part):
            # x_i, y_j -> |x_i|^2 + |y_j|^2 - 2 x_i . y_j -> |x_i - y_j| of all pairs of curves
            low, high = max(0, i - width), min(t, i + width + 1)
            squares = norm[low:high].unsqueeze(-1) + point.square().sum(-1)
            squares.baddbmm_(y[low:high], point.mT.expand(high - low, -1, -1), alpha=-2)
            cost[i, low - i + width : high - i + width] = squares.clamp_min_(0).sqrt_()
        result[start : start + rows] = _accumulate(cost.reshape(t * (2 * width + 1), -1), t, width).view(m, -1).mT
    return result


def warped_distances(curves: Sequence[tuple[Tensor, Tensor]], band: float = 1 / 3) -> Tensor:
    """`warped_distance` of several views at once, for few curves: in few operations, none of them in place.

    Args:
        curves: of each view, (n, T, C) and (m, T, C).
        band: width of the band that paths stay in, as a share of T.
    Returns:
        (views, n, m), unit of the curves.
    """
    (n, t), m = curves[0][0].shape[:2], len(curves[0][1])
    width, costs = _width(band, t), []
    for x, y in curves:
        # x_i, y_j -> |x_i|^2 + |y_j|^2 - 2 x_i . y_j -> |x_i - y_j|, (T, T, m, n); rounded as in `warped_distance`
        y = y.transpose(0, 1).contiguous()
        norm = y.square().sum(-1, keepdim=True)
        squares = [
            torch.baddbmm(norm + point.square().sum(-1), y, point.mT.expand(t, -1, -1), alpha=-2)
            for point in x.transpose(0, 1)
        ]
        costs.append(torch.stack(squares).clamp_min(0).sqrt().flatten(2).flatten(0, 1))
    # cost of (i, j) at [i, j - i + width]; outside of the curves it is not looked at
    i, k = torch.arange(t).unsqueeze(1), torch.arange(2 * width + 1)
    places = (i * t + (i + k - width).clamp(0, t - 1)).flatten()
    return _accumulate(torch.cat(costs, 1)[places], t, width).view(len(curves), m, n).mT


def _width(band: float, t: int) -> int:
    return max(1, int(band * t)) if t > 1 else 0


def _accumulate(cost: Tensor, t: int, width: int) -> Tensor:
    """R_tt of costs (t (2 width + 1), pairs); entry i of antidiagonal k is cost[i (2 width - 1) + k + width]."""
    infinite = cost.new_full((1, cost.shape[1]), torch.inf)
    first = before = {"low": 0, "values": infinite[:0]}  # antidiagonals k - 2 and k - 1
    for k in range(2 * t - 1):
        low, high = max(0, k - t + 1, (k - width + 1) // 2), min(k, t - 1, (k + width) // 2)
        # costs on the antidiagonal -> + the least of the three R before
        step = max(2 * width - 1, 1)
        here = cost[low * step + k + width : high * step + k + width + 1 : step]
        if k:
            left = _rows(before, low, high, infinite)  # (i, j - 1)
            above = _rows(before, low - 1, high - 1, infinite)  # (i - 1, j)
            corner = _rows(first, low - 1, high - 1, infinite)
            here = here + torch.minimum(torch.minimum(left, above), corner)
        first, before = before, {"low": low, "values": here}
    return before["values"][-1]


def _rows(diagonal: dict, low: int, high: int, infinite: Tensor) -> Tensor:
    """Rows low to high of an antidiagonal, infinite where it has none."""
    values, start = diagonal["values"], diagonal["low"]
    stop = start + len(values) - 1
    parts = [infinite.expand(max(0, min(start, high + 1) - low), -1)] if low < start else []
    parts.append(values[max(low, start) - start : max(min(high, stop) - start + 1, 0)])
    if high > stop:
        parts.append(infinite.expand(high - max(stop, low - 1), -1))
    return parts[0] if len(parts) == 1 else torch.cat(parts)
