"""What optimisers of matrices share: kernels of one kind are one batch, and so are their states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from mvnet.linalg.matrix_view import MatrixView
from mvnet.optim.adam import adam_step
from mvnet.optim.base import StructuredOptimizer, at_least_single
from mvnet.optim.roles import group_by_view, matrix_views

FEWEST = 512
"""Weights of the equivariant kernels that have a geometry of their own. By Schur's lemma a kernel is a sum of blocks,
one for each irreducible representation: those of a kernel of fewer weights are so small that it learns better entry by
entry, as measured on the networks of this project."""


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
    return at_least_single(gradients)


def apply_steps(parameters: list[nn.Parameter], steps: Tensor, shrink: float) -> None:
    """theta <- shrink theta - step, each.

    Args:
        parameters: to be changed.
        steps: shape (len(parameters), ...).
        shrink: of weight decay; 1 for none.
    """
    for parameter, step in zip(parameters, steps.unbind()):
        parameter.mul_(shrink).sub_(step.to(parameter.dtype))


class MatrixOptimizer(StructuredOptimizer):
    """Base class: the matrices of a network in batches of one kind, and Adam's steps for all else.

    A subclass implements `advance_matrices`.

    Args:
        params: parameters or groups.
        defaults: options of a group; "fewest" and those of Adam are among them.
        views: the matrices among the parameters, as `mvnet.optim.roles.matrix_views(model)` gives them.
    """

    treats = ("matrix",)
    extra = ("_views", "_stacks")

    def __init__(self, params: Any, defaults: dict[str, Any], views: Mapping[nn.Parameter, MatrixView] | None):
        self._views, self._stacks = dict(views or {}), Stacks()
        super().__init__(params, defaults)

    @classmethod
    def for_model(cls, model: nn.Module, lr: float, weight_decay: float = 0.0, **options: Any) -> Self:
        """The optimiser of a network, whose matrices it finds.

        Args:
            model: the network.
            lr: learning rate.
            weight_decay: decoupled.
            **options: further arguments of the class.
        Returns:
            the optimiser.
        """
        return super().for_model(model, lr, weight_decay, views=matrix_views(model), **options)

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step."""
        matrices, others = group_by_view(parameters, self._views, group["fewest"])
        adam_step(self.state, group, others, decoupled=True)
        for view, batch in matrices:
            self.advance_matrices(group, view, batch)

    def advance_matrices(self, group: dict[str, Any], view: MatrixView, batch: list[nn.Parameter]) -> None:
        """One step of matrices of one kind.

        Args:
            group: its options.
            view: what their weights stand for.
            batch: parameters with gradients.
        """
        raise NotImplementedError

    def _get(self, batch: list[nn.Parameter], name: str) -> Tensor:
        """Entries of the state on top of each other."""
        return self._stacks.get(self.state, batch, name)
