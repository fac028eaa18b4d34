"""Kernels between curves: elastic alignment, and counts of the responses of many small filters.

    elastic   k(x, y) = exp(-g d(x, y) / median),   d dynamic time warping with the distance of points as cost
    filters   k(x, y) = exp(-g |f(x) - f(y)|^2 / median),   f standardised shares of time a filter is above a threshold

Filters: length 9, values -1 and three 2s (84 of them), dilated, each over a random set of channels; thresholds are
quantiles of its response on training curves. No label takes part.
Source: Sakoe, Chiba, IEEE TASSP 26 (1978) 43; Dempster, Schmidt, Webb, MiniRocket, KDD (2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from mvnet.errors import MvnetError

_PAIRS = 4096
_TAPS = torch.tensor(list(combinations(range(9), 3)))  # (84, 3): where a filter is 2
_GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples modulo 1 fill [0, 1] evenly


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
    flat = y.reshape(m * t, -1)
    norm = flat.square().sum(-1)
    rows = max(1, _PAIRS // m)
    width = max(1, int(band * t)) if t > 1 else 0
    for start in range(0, n, rows):
        part = x[start : start + rows]
        # x, y -> x . y -> |x - y| of all pairs of samples, pairs of curves last
        gram = part.reshape(len(part) * t, -1) @ flat.mT
        cost = part.square().sum(-1).reshape(-1, 1) + norm - 2 * gram
        cost = cost.clamp_min_(0).sqrt_().view(len(part), t, m, t).permute(1, 3, 0, 2).reshape(t * t, -1)
        result[start : start + rows] = _accumulate(cost, t, width).view(len(part), m)
    return result


def _accumulate(cost: Tensor, t: int, width: int) -> Tensor:
    """R_tt of costs (t * t, pairs); entry i of antidiagonal k is cost[i (t - 1) + k]."""
    infinite = cost.new_full((1, cost.shape[1]), torch.inf)
    first = before = {"low": 0, "values": infinite[:0]}  # antidiagonals k - 2 and k - 1
    for k in range(2 * t - 1):
        low, high = max(0, k - t + 1, (k - width + 1) // 2), min(k, t - 1, (k + width) // 2)
        # costs on the antidiagonal -> + the least of the three R before
        here = cost[low * (t - 1) + k : high * (t - 1) + k + 1 : max(t - 1, 1)]
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


@dataclass(frozen=True)
class Filters:
    """84 filters at every dilation, with the standardisation of their responses.

    Attributes:
        layers: (dilation, channel weights (84, C), thresholds (84, b)) for each dilation.
        mean, scale: mean and scale of each feature on the training curves, shape (features,).
    """

    layers: tuple[tuple[int, Tensor, Tensor], ...]
    mean: Tensor
    scale: Tensor

    @classmethod
    def estimate(cls, x: Tensor, count: int = 4000, seed: int = 0) -> Filters:
        """Thresholds and standardisation from training curves.

        Args:
            x: curves (n, T, C), T >= 9.
            count: about how many features.
            seed: random seed of the channels and thresholds.
        Returns:
            the filters.
        Raises:
            MvnetError: fewer than 9 samples.
        """
        generator = torch.Generator().manual_seed(seed)
        n, t, c = x.shape
        if t < 9:
            raise MvnetError(f"x: found {t} samples, expected at least 9, the length of a filter")
        exponents = torch.linspace(0, math.log2((t - 1) / 8), min(32, max(1, count // 84)))
        dilations, repeats = torch.exp2(exponents).int().unique(return_counts=True)
        layers, used = [], 0
        for d, share in zip(dilations.tolist(), (repeats / repeats.sum()).tolist()):
            b = max(1, round(share * count / 84))
            taken = torch.exp2(torch.rand(84, generator=generator) * math.log2(min(c, 9) + 1)).int().clamp(1, min(c, 9))
            order = torch.rand(84, c, generator=generator).argsort(-1).argsort(-1)
            mixing = (order < taken.unsqueeze(-1)).to(x)
            # 84 curves at random -> filter k on curve k -> thresholds at golden-ratio quantiles of its response
            response = _responses(x[torch.randint(n, (84,), generator=generator)], mixing, d)
            own = response[torch.arange(84), torch.arange(84)]  # filter k on the k-th curve drawn
            levels = (torch.arange(used + 1, used + 84 * b + 1) * _GOLDEN % 1).view(84, b).to(x)
            used += 84 * b
            at = levels * (t - 1)
            low = at.long()
            sorted_ = own.sort(-1).values
            high = (low + 1).clamp(max=t - 1)
            layers.append((d, mixing, sorted_.gather(1, low).lerp(sorted_.gather(1, high), at - low)))
        plain = cls(tuple(layers), x.new_zeros(()), x.new_ones(()))
        features = plain(x)
        return cls(plain.layers, features.mean(0), features.std(0, correction=0).clamp_min(1e-3))

    def __call__(self, x: Tensor) -> Tensor:
        """Standardised features (n, about count) of curves (n, T, C)."""
        found = []
        t = x.shape[1]
        for d, mixing, thresholds in self.layers:
            # x -> responses z -> share of time above each threshold
            z = _responses(x, mixing, d)
            for inside in (False, True):  # every second filter only where it lies inside the curve
                chosen = slice(int(inside), None, 2)
                part = z[:, chosen, 4 * d : t - 4 * d] if inside and t > 8 * d else z[:, chosen]
                above = [(part > level.unsqueeze(-1)).to(x).mean(-1) for level in thresholds[chosen].unbind(-1)]
                found.append(torch.cat(above, 1))
        return (torch.cat(found, 1) - self.mean) / self.scale


def _responses(x: Tensor, mixing: Tensor, dilation: int) -> Tensor:
    """(n, 84, T): 3 (sum of the three taps that are 2) - (sum of all nine taps) of mixed channels, zeros outside."""
    t = x.shape[1]
    # x -> mixed channels -> the nine taps of each time -> 3 (three of them) - all nine
    y = torch.nn.functional.pad(mixing @ x.mT, (4 * dilation, 4 * dilation))
    taps = y.unfold(-1, t, 1)[:, :, : 8 * dilation + 1 : dilation]  # (n, 84, 9, T) view
    k = torch.arange(84)
    return 3 * sum(taps[:, k, _TAPS[:, i]] for i in range(3)) - taps.sum(2)


def squared_distance(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|^2 per channel.

    Args:
        x, y: shapes (n, C) and (m, C).
    Returns:
        shape (n, m).
    """
    cross = x.square().sum(-1).unsqueeze(-1) + y.square().sum(-1) - 2 * x @ y.mT
    return cross.clamp_min(0) / x.shape[-1]
