"""OPTIMIZERS: name -> constructor, one line each. Every training command offers every name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from mvnet.errors import MvnetError

_SGD_RATE = 10  # learning rate over that of the adaptive methods, whose steps are normalised
_MOMENTUM = 0.9

OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter], float, float], torch.optim.Optimizer]] = {
    "adamw": lambda parameters, rate, decay: torch.optim.AdamW(parameters, rate, weight_decay=decay),
    "adam": lambda parameters, rate, decay: torch.optim.Adam(parameters, rate, weight_decay=decay),
    "sgd": lambda parameters, rate, decay: torch.optim.SGD(
        parameters, _SGD_RATE * rate, momentum=_MOMENTUM, weight_decay=decay
    ),
}
"""name -> (parameters, learning rate, weight decay) -> optimiser."""


def create_optimizer(
    name: str, parameters: Iterable[nn.Parameter], rate: float, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Create an optimiser.

    Args:
        name: a key of `OPTIMIZERS`.
        parameters: to be trained.
        rate: learning rate as for Adam; SGD uses ten times this rate.
        weight_decay: decoupled for "adamw", added to the gradient otherwise.
    Returns:
        the optimiser.
    Raises:
        MvnetError: unknown name; the message lists those that exist.
    """
    if name not in OPTIMIZERS:
        raise MvnetError(f"optimizer: found {name!r}, expected one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name](parameters, rate, weight_decay)
