"""Layers one after the other, the other way round, and on some of the channels (paper section 4)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.invertible.base.contract import Invertible, Mapped, zeros


class Inverted(Invertible):
    """A layer the other way round: `forward` is its inverse.

    Args:
        layer: the layer.
    """

    keeps_precision = False

    def __init__(self, layer: Invertible):
        super().__init__()
        self.layer = layer
        self.conditional = layer.conditional

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        return self.layer.inverse(x, context)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        return self.layer(z, context)

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """The constants of the layer, exchanged."""
        bounds = self.layer.lipschitz(radius)
        return None if bounds is None else (bounds[1], bounds[0])


class Chain(Invertible):
    """Layers one after the other; `chain[i:j]` is the chain of some of them, with the log-determinant of these.

    det(d f_K ... f_1) = prod_k det(d f_k)

    Args:
        layers: first to last, data -> latent. One layer may occur twice: it has one set of parameters.

    Examples:
        >>> import torch
        >>> from mvnet.invertible import ActNorm, Chain, ChannelMix
        >>> chain = Chain(ActNorm(4), ChannelMix(4, "lu"), ChannelMix(4, "cayley"))
        >>> x = torch.randn(5, 4)
        >>> z, change = chain(x)
        >>> torch.allclose(chain.inverse(z)[0], x, atol=1e-5), change.shape
        (True, torch.Size([5]))
        >>> torch.allclose(change, chain[:2](x)[1], atol=1e-5)
        True
    """

    keeps_precision = False

    def __init__(self, *layers: Invertible):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.conditional = any(layer.conditional for layer in layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Invertible]:
        return iter(self.layers)  # pyright: ignore[reportReturnType]

    def __getitem__(self, which: slice) -> Chain:
        return Chain(*list(self)[which])

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        total = zeros(x)
        for layer in self:
            x, change = layer(x, context)
            total = total + change
        return x, total

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        total = zeros(z)
        for layer in reversed(list(self)):
            z, change = layer.inverse(z, context)
            total = total + change
        return z, total

    def states(self, x: Tensor, context: Tensor | None = None) -> list[Mapped]:
        """What every layer gives.

        Args:
            x: shape (B, ...).
            context: as in `forward`.
        Returns:
            value and log-determinant of each layer, the first first; sums of the latter are those of sub-ranges.
        """
        found = []
        for layer in self:
            x, change = layer(x, context)
            found.append((x, change))
        return found

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """Products of the layers' constants"""
        forward = inverse = 1.0
        for layer in self:
            bounds = layer.lipschitz(radius)
            if bounds is None:
                return None
            forward, inverse = forward * bounds[0], inverse * bounds[1]
        return forward, inverse


class Split(Invertible):
    """The first channels go through a layer, the others are latent already and are carried along.

    Multi-scale flows are `Split`s inside each other; with a `Resample` and its `Inverted` around the inner layers the
    shape of the field is kept, and so every number that the inverse needs is in the latent itself.

    Args:
        channels: how many of dimension 1 go through.
        layer: keeps the shape of these.
    """

    keeps_precision = False

    def __init__(self, channels: int, layer: Invertible):
        super().__init__()
        self.channels, self.layer = channels, layer
        self.conditional = layer.conditional

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        inner, change = self.layer(x[:, : self.channels], context)
        return torch.cat((inner, x[:, self.channels :]), 1), change

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        inner, change = self.layer.inverse(z[:, : self.channels], context)
        return torch.cat((inner, z[:, self.channels :]), 1), change

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """The constants of the layer, at least 1."""
        bounds = self.layer.lipschitz(radius)
        return None if bounds is None else (max(1.0, bounds[0]), max(1.0, bounds[1]))

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        if x.ndim < 2 or x.shape[1] < self.channels:
            raise MvnetError(f"{name}: found shape {tuple(x.shape)}, expected at least {self.channels} channels")
