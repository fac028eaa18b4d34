"""The coupling layer: y_1 = x_1, y_2 = gamma(x_2, f(x_1)), with any network f.

Source: paper section 4.1.1, equations (42) and (43).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.invertible.base import Invertible, Mapped, Recomputed, sum_samples
from mvnet.invertible.couplings.laws import Additive, Law
from mvnet.invertible.couplings.partitions import Channels, Partition
from mvnet.invertible.lipschitz import lipschitz_bound


class Coupling(Invertible):
    """One part of the input changes the other.

    Args:
        network: f, from the part that is kept to `law.count` numbers for each of the other part, number by number along
            the channels; it is called with the context too when the layer is conditional.
        law: gamma.
        partition: which part is kept.
        conditional: whether a context is needed.
    Shape:
        (B, C, ...) -> the same.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from mvnet.invertible import Affine, Checkerboard, Coupling
        >>> layer = Coupling(nn.Conv2d(3, 6, 3, padding=1), Affine(), Checkerboard())
        >>> x = torch.randn(2, 3, 8, 8)
        >>> torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-5)
        True
    """

    keeps_precision = False

    def __init__(
        self,
        network: nn.Module,
        law: Law | None = None,
        partition: Partition | None = None,
        conditional: bool = False,
    ):
        super().__init__()
        self.network, self.conditional = network, conditional
        self.law: Law = law or Additive()
        self.partition: Partition = partition or Channels()

    def recompute(self, z: Tensor, context: Tensor | None = None) -> Recomputed:
        """As of every layer, with one evaluation of the network."""
        kept, changed = self.partition.split(z)
        x1 = kept.detach().requires_grad_()
        with torch.enable_grad():
            h = self._numbers(x1, changed, context)
        with torch.no_grad():
            x2 = self.law.invert(changed, h)[0]
            x = self.partition.merge(kept, x2)
        x2 = x2.detach().requires_grad_()
        with torch.enable_grad():
            y, change = self.law.apply(x2, h)
            again, total = self.partition.merge(x1, y), self._total(change, y)
        return Recomputed(x, again, total, (x1, x2), self.partition.merge)

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """Norms of [[1, 0], [m, s]], m and s the bounds of the derivatives of gamma and of its inverse"""
        bound = lipschitz_bound(self.network)
        slopes = None if bound is None else self.law.slopes(bound, radius)
        return None if slopes is None else (_shear_norm(*slopes[0]), _shear_norm(*slopes[1]))

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        kept, changed = self.partition.split(x)
        y, change = self.law.apply(changed, self._numbers(kept, changed, context))
        return self.partition.merge(kept, y), self._total(change, y)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        kept, changed = self.partition.split(z)
        x, change = self.law.invert(changed, self._numbers(kept, changed, context))
        return self.partition.merge(kept, x), self._total(change, x)

    def _numbers(self, kept: Tensor, changed: Tensor, context: Tensor | None) -> Tensor:
        h = self.network(kept, context) if self.conditional else self.network(kept)
        expected = (changed.shape[0], self.law.count * changed.shape[1], *changed.shape[2:])
        if tuple(h.shape) != expected:
            raise MvnetError(f"network: found a value of shape {tuple(h.shape)}, expected {expected}")
        return h

    @staticmethod
    def _total(change: Tensor, y: Tensor) -> Tensor:
        return sum_samples(change if change.shape[1:].numel() == 1 else change.expand_as(y))


def _shear_norm(m: float, s: float) -> float:
    """Largest singular value of [[1, 0], [m, s]]."""
    # of A^T A: trace 1 + m^2 + s^2, determinant s^2
    trace = 1 + m * m + s * s
    return math.sqrt((trace + math.sqrt(max(trace * trace - 4 * s * s, 0.0))) / 2)
