"""Densities: a distribution of latents, transported by an invertible network (paper section 4.2.3)."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from mvnet.invertible.base.contract import Invertible, sum_samples, wide


class Base(Protocol):
    """The distribution of latents."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density.

        Args:
            z: shape (B, ...).
        Returns:
            shape (B,).
        """
        ...

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents.

        Args:
            count: B.
            generator: source of the random numbers; torch's global one when None.
        Returns:
            shape (B, ...).
        """
        ...


class StandardNormal(nn.Module):
    """Independent normal numbers.

    Args:
        shape: of one sample.
    """

    place: Tensor

    def __init__(self, *shape: int):
        super().__init__()
        self.shape = shape
        self.register_buffer("place", torch.zeros(()), persistent=False)

    def log_prob(self, z: Tensor) -> Tensor:
        """-|z|^2 / 2 - n log(2 pi) / 2, summed over a sample.

        Args:
            z: shape (B, ...), of any size.
        Returns:
            shape (B,).
        """
        z = wide(z)
        return sum_samples(-(z.square() + math.log(2 * math.pi)) / 2)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents in the dtype and on the device of the module.

        Args:
            count: B.
            generator: source of the random numbers; torch's global one when None.
        Returns:
            shape (B, *shape).
        """
        device = self.place.device if generator is None else generator.device
        drawn = torch.randn(count, *self.shape, generator=generator, dtype=self.place.dtype, device=device)
        return drawn.to(self.place.device)


class Samples(NamedTuple):
    """Draws, and their log-density."""

    x: Tensor
    log_prob: Tensor


class Flow(nn.Module):
    """A density: the base's, transported by the inverse of a chain.

    log p(x) = log q(f(x)) + log|det df/dx|                                            paper (48)

    Args:
        base: distribution q of the latents.
        chain: f, data -> latent.

    Examples:
        >>> import torch
        >>> from mvnet.invertible import Chain, ChannelMix, Flow, StandardNormal
        >>> flow = Flow(StandardNormal(2), Chain(ChannelMix(2)))
        >>> x, density = flow.sample_and_log_prob(3, generator=torch.Generator().manual_seed(0))
        >>> torch.allclose(flow.log_prob(x), density)
        True
    """

    def __init__(self, base: Base, chain: Invertible):
        super().__init__()
        self.base, self.chain = base, chain

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of data; minus its mean is the loss (49) of maximum likelihood.

        Args:
            x: shape (B, ...).
            context: of the same batch.
        Returns:
            shape (B,).
        """
        z, change = self.chain(x, context)
        return self.base.log_prob(z) + change

    def sample(self, count: int, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw data: x = f^-1(z), z ~ q.

        Args:
            count: B.
            context: of the same batch.
            generator: source of the random numbers; torch's global one when None.
        Returns:
            shape (B, ...), differentiable in the parameters.
        """
        return self.chain.inverse(self.base.sample(count, generator), context)[0]

    def sample_and_log_prob(
        self, count: int, context: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Samples:
        """Draw data together with their log-density, in one pass.

        Args:
            count: B.
            context: of the same batch.
            generator: source of the random numbers; torch's global one when None.
        Returns:
            draws of shape (B, ...), and shape (B,).
        """
        z = self.base.sample(count, generator)
        x, change = self.chain.inverse(z, context)
        return Samples(x, self.base.log_prob(z) - change)
