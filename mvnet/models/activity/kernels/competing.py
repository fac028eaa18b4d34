"""Small random filters in groups, of which at every time one wins.

    f = sqrt of (sum over time of the largest response, for the filter that gave it; count of the smallest)

    k(x, y) = f(x) . f(y) / count,    f standardised on training curves

Filters: length 9, drawn from a normal law, of mean 0 and sum of moduli 1, dilated by powers of 2, each group over a
random set of channels. No label takes part.
Source: Dempster, Schmidt, Webb, Hydra, Data Min. Knowl. Discov. 37 (2023) 1779.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.models.activity.kernels.filters import LENGTH, check_samples, choose_channels, respond

_EACH = 8  # filters in a group
_MOST_CHANNELS = 8
_BLOCK = 2**19


@dataclass(frozen=True)
class CompetingFilters:
    """Groups of filters at every dilation, with the standardisation of what they count.

    Attributes:
        layers: (dilation, channel weights (groups, C), filters (groups, 8, 9)) for each dilation.
        mean, scale: mean and scale of each feature on the training curves, shape (features,).
    """

    layers: tuple[tuple[int, Tensor, Tensor], ...]
    mean: Tensor
    scale: Tensor

    @classmethod
    def estimate(cls, x: Tensor, groups: int = 16, seed: int = 0) -> CompetingFilters:
        """Filters, and their standardisation on training curves.

        Args:
            x: curves (n, T, C), T >= 9.
            groups: at each dilation.
            seed: random seed of the filters.
        Returns:
            the filters.
        Raises:
            MvnetError: fewer than 9 samples.
        """
        check_samples(x.shape[1])
        generator = torch.Generator().manual_seed(seed)
        taken = torch.full((groups,), min(_MOST_CHANNELS, max(1, x.shape[2] // 2)))
        layers = []
        for exponent in range(1 + int(math.log2(max(1.0, (x.shape[1] - 1) / (LENGTH - 1))))):
            w = torch.randn(groups, _EACH, LENGTH, generator=generator)
            w = w - w.mean(-1, keepdim=True)
            mixing = choose_channels(taken, x.shape[2], generator)
            layers.append((2**exponent, mixing.to(x), (w / w.abs().sum(-1, keepdim=True)).to(x)))
        return cls(tuple(layers), x.new_zeros(()), x.new_ones(())).standardised(x)[0]

    def standardised(self, x: Tensor) -> tuple[CompetingFilters, Tensor]:
        """The same filters with mean 0 and variance 1 on training curves.

        Args:
            x: curves (n, T, C).
        Returns:
            the filters, and their features (n, count).
        """
        plain = self.counts(x)
        mean, scale = plain.mean(0), plain.std(0, correction=0).clamp_min(0.5)  # of a win more or less
        return CompetingFilters(self.layers, mean, scale), (plain - mean) / scale

    def __call__(self, x: Tensor) -> Tensor:
        """Standardised features (n, count) of curves (n, T, C)."""
        return (self.counts(x) - self.mean) / self.scale

    def counts(self, x: Tensor) -> Tensor:
        """Roots of what each filter has won.

        Args:
            x: curves (n, T, C).
        Returns:
            (n, count).
        """
        rows = max(1, _BLOCK // (self.layers[0][2].shape[0] * _EACH * x.shape[1]))
        return torch.cat([self._block(part) for part in x.split(rows)])

    def _block(self, x: Tensor) -> Tensor:
        found = []
        for d, mixing, w in self.layers:
            # x -> responses -> the largest and the smallest of each group -> what those won who gave them
            z = respond(x, mixing, w, d).unflatten(1, w.shape[:2])
            largest, smallest = z.amax(2, keepdim=True), z.amin(2, keepdim=True)
            won = torch.empty_like(z)
            found.append((torch.eq(z, largest, out=won) @ largest.mT).clamp_min(0).flatten(1))
            found.append((torch.eq(z, smallest, out=won) @ torch.ones_like(smallest).mT).flatten(1))
        return torch.cat(found, 1).sqrt()
