"""Shares of time that many small filters are above a threshold.

    k(x, y) = f(x) . f(y) / count,    f standardised shares of time a filter is above a threshold

Filters: length 9, values -1 and three 2s (84 of them), dilated, each over a random set of channels; thresholds are
quantiles of its response on training curves. No label takes part.
Source: Dempster, Schmidt, Webb, MiniRocket, KDD (2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import conv1d
from torch.nn.functional import pad as pad_ends

from mvnet.errors import MvnetError

LENGTH = 9
_TAPS = torch.tensor(list(combinations(range(LENGTH), 3)))  # (84, 3): where a filter is 2
_GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples modulo 1 fill [0, 1] evenly
_DILATIONS = 12
"""At most so many: one more costs as much as ten thresholds."""
_FEW = 8  # channels up to which filtering before mixing is cheaper
_BLOCK = 2**19  # values of responses at once: they stay in the cache


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
        check_samples(t)
        exponents = torch.linspace(0, math.log2((t - 1) / (LENGTH - 1)), min(_DILATIONS, max(1, count // 84)))
        dilations, repeats = torch.exp2(exponents).int().unique(return_counts=True)
        layers, used = [], 0
        for d, share in zip(dilations.tolist(), (repeats / repeats.sum()).tolist()):
            b = max(1, round(share * count / 84))
            taken = torch.exp2(torch.rand(84, generator=generator) * math.log2(min(c, 9) + 1)).int().clamp(1, min(c, 9))
            mixing = choose_channels(taken, c, generator).to(x)
            # 84 curves at random -> filter k on curve k -> thresholds at golden-ratio quantiles of its response
            drawn, place = torch.randint(n, (84,), generator=generator).unique(return_inverse=True)
            own = _responses(x[drawn], mixing, d)[place, torch.arange(84)]
            levels = (torch.arange(used + 1, used + 84 * b + 1) * _GOLDEN % 1).view(84, b).to(x)
            used += 84 * b
            at = levels * (t - 1)
            low = at.long()
            sorted_ = own.sort(-1).values
            high = (low + 1).clamp(max=t - 1)
            layers.append((d, mixing, sorted_.gather(1, low).lerp(sorted_.gather(1, high), at - low)))
        return cls(tuple(layers), x.new_zeros(()), x.new_ones(())).standardised(x)[0]

    def standardised(self, x: Tensor) -> tuple[Filters, Tensor]:
        """The same filters with mean 0 and variance 1 on training curves.

        Args:
            x: curves (n, T, C).
        Returns:
            the filters, and their features (n, count).
        """
        plain = self.shares(x)
        mean, scale = plain.mean(0), plain.std(0, correction=0).clamp_min(1 / x.shape[1])  # of one sample
        return Filters(self.layers, mean, scale), (plain - mean) / scale

    def __call__(self, x: Tensor) -> Tensor:
        """Standardised features (n, about count) of curves (n, T, C)."""
        return (self.shares(x) - self.mean) / self.scale

    def shares(self, x: Tensor) -> Tensor:
        """Shares of time above the thresholds.

        Args:
            x: curves (n, T, C).
        Returns:
            (n, about count), in [0, 1].
        """
        rows = max(1, _BLOCK // (84 * x.shape[1]))
        return torch.cat([self._block(part) for part in x.split(rows)])

    def _block(self, x: Tensor) -> Tensor:
        found, t = [], x.shape[1]
        for d, mixing, thresholds in self.layers:
            for inside in (False, True):  # every second filter only where it lies inside the curve
                # x -> responses z -> share of time above each threshold
                chosen = torch.arange(int(inside), 84, 2)
                z = _responses(x, mixing, d, chosen, padded=not inside or t <= 8 * d)
                weights, above = z.new_full((z.shape[-1],), 1 / z.shape[-1]), torch.empty_like(z)
                levels = thresholds[chosen].unsqueeze(-1).unbind(1)
                found += [torch.gt(z, level, out=above) @ weights for level in levels]
        return torch.cat(found, 1)


def check_samples(samples: int) -> None:
    """Refuse curves shorter than a filter.

    Args:
        samples: of a curve.
    Raises:
        MvnetError: fewer than 9.
    """
    if samples < LENGTH:
        raise MvnetError(f"x: found {samples} samples, expected at least {LENGTH}, the length of a filter")


def choose_channels(taken: Tensor, channels: int, generator: torch.Generator) -> Tensor:
    """Random channels of each filter.

    Args:
        taken: (filters,) how many each has.
        channels: of how many.
        generator: source of the random numbers.
    Returns:
        (filters, channels) bool.
    """
    order = torch.rand(len(taken), channels, generator=generator).argsort(-1).argsort(-1)
    return order < taken.unsqueeze(-1)


def respond(x: Tensor, mixing: Tensor, weights: Tensor, dilation: int, padded: bool = True) -> Tensor:
    """Responses of dilated filters of length 9 to sums of channels, zeros outside the curves.

    Args:
        x: curves (n, T, C).
        mixing: channels of each group of filters, (groups, C).
        weights: (groups, filters, 9).
        dilation: frames between two taps.
        padded: at all times, or only where the filters lie inside the curves.
    Returns:
        (n, groups * filters, T), or T - 8 dilation times where not padded.
    """
    groups, each = weights.shape[:2]
    pad = 4 * dilation if padded else 0
    if x.shape[2] == 1:  # all nine taps of every time -> their sums
        taps = pad_ends(x[..., 0], (pad, pad))
        times = taps.shape[1] - 8 * dilation
        taps = taps.as_strided((len(x), LENGTH, times), (taps.shape[1], dilation, 1))
        return weights.flatten(0, 1) @ taps.contiguous()
    if x.shape[2] <= _FEW:
        mixed = mixing.view(groups, 1, -1, 1) * weights.unsqueeze(2)
        return conv1d(x.mT, mixed.flatten(0, 1), padding=pad, dilation=dilation).contiguous()
    filters = weights.reshape(groups * each, 1, LENGTH)
    return conv1d(mixing @ x.mT, filters, padding=pad, dilation=dilation, groups=groups).contiguous()


def _responses(x: Tensor, mixing: Tensor, dilation: int, chosen: Tensor | None = None, padded: bool = True) -> Tensor:
    """3 (sum of the three taps that are 2) - (sum of all nine taps), of the filters chosen."""
    weights = torch.full((84, LENGTH), -1.0).scatter(1, _TAPS, 2.0).to(x)
    chosen = torch.arange(84) if chosen is None else chosen
    return respond(x, mixing[chosen], weights[chosen].unsqueeze(1), dilation, padded)
