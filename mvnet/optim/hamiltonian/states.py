"""Momenta in the state of an optimiser, and the gradients that push them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.optim.base import at_least_single


def momentum_of(state: Any, parameter: nn.Parameter) -> Tensor:
    """The momentum of a parameter, zero at first; at least in single precision.

    Args:
        state: of the optimiser.
        parameter: any.
    Returns:
        the entry "momentum" itself.
    """
    entry = state[parameter]
    if "momentum" not in entry:
        dtype = torch.promote_types(parameter.dtype, torch.float32)
        entry["momentum"] = torch.zeros_like(parameter, dtype=dtype, memory_format=torch.preserve_format)
    return entry["momentum"]


def gradients_of(group: dict[str, Any], parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """dE/dtheta, at least in single precision, with the term of the weight decay: lambda/2 |theta|^2 belongs to E.

    Args:
        group: its options.
        parameters: with gradients.
    Returns:
        one gradient for each.
    """
    found = []
    for parameter in parameters:
        g = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        g = at_least_single(g)
        found.append(g.add(parameter, alpha=group["weight_decay"]) if group["weight_decay"] else g)
    return found


def move(parameters: Sequence[Tensor], directions: Sequence[Tensor], h: float) -> None:
    """theta <- theta + h v.

    Args:
        parameters: to be changed.
        directions: v, one for each.
        h: step.
    """
    for parameter, v in zip(parameters, directions):
        parameter.add_(v.to(parameter.dtype), alpha=h)
