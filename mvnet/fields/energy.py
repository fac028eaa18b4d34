"""Fields that are made of an energy: z' = B(t, z) grad E(t, z)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from mvnet.fields.base import VectorField


def gradient_of(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Gradient of a function by automatic differentiation; itself differentiable, also under `torch.func`.

    Args:
        function: (..., d) -> (...), one number for every state, of that state alone.
        x: where.
    Returns:
        shape of x.
    """
    if torch._C._are_functorch_transforms_active() or torch.compiler.is_compiling():
        return torch.func.grad(lambda y: function(y).sum())(x)
    tracked = torch.is_grad_enabled()  # elsewhere this costs a third
    with torch.enable_grad():
        y = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
        value = function(y).sum()
        if not value.requires_grad:
            return torch.zeros_like(x)
        tracked = tracked and (x.requires_grad or _reaches_another_leaf(value, y))
        return torch.autograd.grad(value, y, create_graph=tracked, materialize_grads=True)[0]


def _reaches_another_leaf(value: Tensor, leaf: Tensor) -> bool:
    """Whether something besides the leaf requires the gradient of a value: a parameter, or a further input."""
    waiting, seen = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if getattr(node, "variable", leaf) is not leaf:
            return True
        waiting.extend(following for following, _ in node.next_functions)
    return False


class EnergyVectorField(VectorField):
    """z' = B(t, z) grad E(t, z), an `EnergyField`. A subclass gives the energy and the structure B.

    Where the parameters change in time, E changes at the rate dE/dt = <grad E, B grad E> + dE/dt at fixed z: what the
    word "energy" in `preserves` says is said of the first summand.
    """

    @abstractmethod
    def energy(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """E(t, z)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: states (..., d).
            args: further inputs.
        Returns:
            shape (...).
        """

    @abstractmethod
    def structure(self, t: Tensor, z: Tensor, v: Tensor, *args: Tensor) -> Tensor:
        """B(t, z) v

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: states (..., d).
            v: covectors (..., d).
            args: further inputs.
        Returns:
            shape (..., d).
        """

    def gradient(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """Gradient of E(t, .)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: states (..., d).
            args: further inputs.
        Returns:
            shape (..., d).
        """
        return gradient_of(lambda y: self.energy(t, y, *args), z)

    def forward(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """B(t, z) grad E(t, z)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: states (..., d).
            args: further inputs.
        Returns:
            shape (..., d).
        """
        return self.structure(t, z, self.gradient(t, z, *args), *args)
