"""ACTIVATIONS: name -> sigma, an antiderivative gamma of it, and the range of its slope.

The constants of a field come from the range of sigma', its energies from gamma (paper section 2.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.errors import MvnetError

_LEAK = 0.1  # slope of leaky_relu for negative arguments


@dataclass(frozen=True)
class Activation:
    """sigma, applied to every entry, with what is known about it.

    Args:
        function: sigma.
        antiderivative: gamma with gamma' = sigma.
        slopes: infimum and supremum of sigma'; sigma is monotone where the first is at least 0.
        nonnegative: whether sigma >= 0, so that gamma does not fall.
    """

    function: Callable[[Tensor], Tensor]
    antiderivative: Callable[[Tensor], Tensor]
    slopes: tuple[float, float]
    nonnegative: bool = False

    def __call__(self, s: Tensor) -> Tensor:
        """sigma(s)

        Args:
            s: any shape.
        Returns:
            the same shape.
        """
        return self.function(s)

    @property
    def monotone(self) -> bool:
        """Whether sigma' >= 0."""
        return self.slopes[0] >= 0


def _log_cosh(s: Tensor) -> Tensor:
    """|s| + log(1 + exp(-2 |s|)) - log 2: no overflow."""
    size = s.abs()
    return size + F.softplus(-2 * size) - math.log(2)


def _arctan_integral(s: Tensor) -> Tensor:
    """s arctan(s) - log(1 + s^2) / 2"""
    return s * s.atan() - torch.log1p(s.square()) / 2


def _hardtanh_integral(s: Tensor) -> Tensor:
    """s^2 / 2 in [-1, 1], |s| - 1/2 beyond: Huber's function."""
    inside = s.clamp(-1, 1)
    return inside * (s - inside / 2)


def _elu_integral(s: Tensor) -> Tensor:
    """s^2 / 2 for s > 0, exp(s) - 1 - s below."""
    below = s.clamp(max=0)
    return s.clamp(min=0).square() / 2 + torch.expm1(below) - below


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(torch.tanh, _log_cosh, (0.0, 1.0)),
    "relu": Activation(F.relu, lambda s: F.relu(s).square() / 2, (0.0, 1.0), True),
    "leaky_relu": Activation(lambda s: F.leaky_relu(s, _LEAK), lambda s: s * F.leaky_relu(s, _LEAK) / 2, (_LEAK, 1.0)),
    "elu": Activation(F.elu, _elu_integral, (0.0, 1.0)),
    "sigmoid": Activation(torch.sigmoid, F.softplus, (0.0, 0.25), True),
    "arctan": Activation(torch.atan, _arctan_integral, (0.0, 1.0)),
    "hardtanh": Activation(F.hardtanh, _hardtanh_integral, (0.0, 1.0)),
    "identity": Activation(lambda s: s, lambda s: s.square() / 2, (1.0, 1.0)),
    "sin": Activation(torch.sin, lambda s: 1 - s.cos(), (-1.0, 1.0)),
}


def get_activation(sigma: str | Activation, *, monotone: bool = False) -> Activation:
    """Look up an activation.

    Args:
        sigma: a key of `ACTIVATIONS`, or an activation of one's own.
        monotone: whether sigma' >= 0 is required.
    Returns:
        the activation.
    Raises:
        MvnetError: unknown name, or not monotone where that is required.
    """
    if isinstance(sigma, Activation):
        found, name = sigma, "a function"
    elif sigma in ACTIVATIONS:
        found, name = ACTIVATIONS[sigma], repr(sigma)
    else:
        raise MvnetError(f"sigma: found {sigma!r}, expected one of {', '.join(ACTIVATIONS)}")
    if monotone and not found.monotone:
        choices = ", ".join(n for n, a in ACTIVATIONS.items() if a.monotone)
        raise MvnetError(
            f"sigma: found {name} with slopes in {found.slopes}, expected a monotone one such as {choices}"
        )
    return found
