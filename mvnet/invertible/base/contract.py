"""The contract of invertible layers.

`forward` is data -> latent, `inverse` is latent -> data. Both return the value and log|det| of their own Jacobian: one
number for each sample, a tensor of shape (B,), of opposite sign in the two directions. A sample is an entry of the
first dimension; whatever follows (channels, space) is inside the Jacobian.
Source: paper section 4, equations (48) and (49).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError

Mapped = tuple[Tensor, Tensor]
"""A value, and log|det| of the map that gave it, shape (B,)."""


class Recomputed(NamedTuple):
    """What `Invertible.recompute` finds.

    Attributes:
        x: the input of the layer.
        z, log_det: output and log-determinant, as functions of the leaves, the parameters and the context.
        leaves: the input in parts.
        join: from the gradients with respect to the leaves to that with respect to x.
    """

    x: Tensor
    z: Tensor
    log_det: Tensor
    leaves: tuple[Tensor, ...]
    join: Callable[..., Tensor]


def wide(x: Tensor) -> Tensor:
    """The tensor in a dtype that logarithms and determinants can be computed in.

    Args:
        x: any floating dtype.
    Returns:
        x, in float32 where it was of half precision.
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def sum_samples(x: Tensor) -> Tensor:
    """Sum over everything but the first dimension.

    Args:
        x: shape (B, ...).
    Returns:
        shape (B,).
    """
    return x.flatten(1).sum(1) if x.ndim > 1 else x


def check_context(context: Tensor | None, batch: int, needed: bool) -> None:
    """Raise unless a context can condition a batch.

    Args:
        context: what a layer is conditioned on, first dimension the batch.
        batch: number of samples.
        needed: whether it may be missing.
    Raises:
        MvnetError: the context is missing where it is needed, empty, of another batch or not finite.
    """
    if context is None:
        if needed:
            raise MvnetError(f"context: found None, expected a tensor of batch {batch}")
        return
    if context.ndim == 0 or context.shape[0] != batch or context.numel() == 0:
        raise MvnetError(f"context: found shape {tuple(context.shape)}, expected a tensor of batch {batch}")
    if not torch.isfinite(context.detach()).all():
        raise MvnetError("context: found values that are not finite, expected finite ones")


class Invertible(nn.Module, ABC):
    """A layer with an inverse. A subclass writes `_forward` and `_inverse`; arguments are checked here.

    Attributes:
        conditional: whether a context is needed.
        keeps_precision: whether autocast is switched off inside; layers with networks inside leave it on for these.
    """

    conditional: bool = False
    keeps_precision: bool = True

    def forward(self, x: Tensor, context: Tensor | None = None) -> Mapped:
        """Data -> latent.

        Args:
            x: shape (B, ...).
            context: what the layer is conditioned on, shape (B, ...).
        Returns:
            the latent, and log|det dz/dx| of shape (B,).
        """
        self._check(x, context, "x")
        with self._precision(x):
            return self._forward(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Mapped:
        """Latent -> data.

        Args:
            z: shape (B, ...).
            context: what the layer is conditioned on, shape (B, ...).
        Returns:
            the data, and log|det dx/dz| of shape (B,).
        """
        self._check(z, context, "z")
        with self._precision(z):
            return self._inverse(z, context)

    def recompute(self, z: Tensor, context: Tensor | None = None) -> Recomputed:
        """From the output of `forward` back to its input, and forward again with gradients.

        Args:
            z: what `forward` returned, without gradient.
            context: as `forward` had it.
        Returns:
            the input, and the output as a function of leaves.
        """
        with torch.no_grad():
            x = self.inverse(z, context)[0]
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            again, change = self(leaf, context)
        return Recomputed(x, again, change, (leaf,), lambda gradient: gradient)

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """Upper bounds of the Lipschitz constants of the layer and of its inverse, from the parameters.

        Args:
            radius: a bound on max|x| of all states for which the constants hold; None for all of R^n.
        Returns:
            the two constants; None where no bound is known.
        Source: Behrmann et al., Understanding and mitigating exploding inverses (2021).
        """
        return None

    @abstractmethod
    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped: ...

    @abstractmethod
    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped: ...

    def _precision(self, x: Tensor) -> AbstractContextManager[object]:
        """A determinant in half precision is none."""
        device = x.device.type
        if self.keeps_precision and torch.is_autocast_enabled(device):
            return torch.autocast(device, enabled=False)
        return nullcontext()

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        if x.ndim == 0 or not x.is_floating_point():
            raise MvnetError(f"{name}: found {x.dtype} of shape {tuple(x.shape)}, expected real numbers (B, ...)")
        check_context(context, x.shape[0], self.conditional)


def zeros(x: Tensor) -> Tensor:
    """The log-determinant of a map that keeps volumes.

    Args:
        x: shape (B, ...).
    Returns:
        zeros of shape (B,).
    """
    return wide(x).new_zeros(x.shape[0])
