"""States of parameters of one view, kept one on top of the other, so that a step acts on all of them at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Stacks:
    """Entries of the state of several parameters as one tensor, of which the state holds the slices."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], tuple[list[Tensor], Tensor]] = {}

    def get(self, state: Any, parameters: list[nn.Parameter], name: str) -> Tensor:
        """The entries on top of each other; writing to the result writes to the state.

        Args:
            state: of the optimiser.
            parameters: with an entry of that name, all of one shape.
            name: of the entry.
        Returns:
            shape (len(parameters), ...).
        """
        slices = [state[parameter][name] for parameter in parameters]
        key = (id(parameters[0]), name)
        kept = self._kept.get(key)
        # the stack is that of these very tensors, unless a state was loaded or another set of parameters has gradients
        if kept is None or len(kept[0]) != len(slices) or any(a is not b for a, b in zip(kept[0], slices)):
            stack = torch.stack(slices)
            slices = list(stack.unbind())
            for parameter, part in zip(parameters, slices):
                state[parameter][name] = part
            self._kept[key] = kept = (slices, stack)
        return kept[1]


def stacked_gradients(parameters: list[nn.Parameter]) -> Tensor:
    """Their gradients on top of each other, in at least single precision.

    Args:
        parameters: of one shape and dtype, with gradients.
    Returns:
        shape (len(parameters), ...).
    """
    gradients = torch.stack([parameter.grad for parameter in parameters if parameter.grad is not None])
    return gradients if gradients.dtype == torch.float64 else gradients.float()


def apply_steps(parameters: list[nn.Parameter], steps: Tensor, shrink: float) -> None:
    """theta <- shrink theta - step, each.

    Args:
        parameters: to be changed.
        steps: shape (len(parameters), ...).
        shrink: of weight decay; 1 for none.
    """
    for parameter, step in zip(parameters, steps.unbind()):
        parameter.mul_(shrink).sub_(step.to(parameter.dtype))
