"""Vector fields: an element of a Lie algebra for every time, state and further input, and the action it is meant for.

z' = xi(t, z, *args) . z, left action, right-trivialised: see `mvnet.manifolds.actions`. Everything with
respect to which gradients are taken enters through `args` (or is a parameter of the field), never through a closure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.manifolds.actions import GroupAction, Translation


@runtime_checkable
class Field(Protocol):
    """A function or module; its values act on the state by the action in its attribute `action`, if it has one."""

    def __call__(self, t: Tensor, z: Tensor, /, *args: Tensor) -> Tensor:
        """The field at a time and a state.

        Args:
            t: time, a scalar tensor.
            z: state, in the layout of the action.
            args: further inputs.
        Returns:
            xi(t, z, *args) in the Lie algebra of the action, or of a shape that broadcasts to it.
        """
        ...


@dataclass(frozen=True)
class ActingField:
    """A field with its action; the shape of its values is checked.

    Args:
        function: the field.
        action: how xi acts on z.
        algebra_shape: the shape that values broadcast to.
    """

    function: Field
    action: GroupAction
    algebra_shape: tuple[int, ...]

    @classmethod
    def of(cls, field: Field, z0: Tensor, action: GroupAction | None = None) -> ActingField:
        """Bind a field to its action and to the layout of its states.

        Args:
            field: the field.
            z0: any state, in the layout of the action.
            action: None selects the attribute `action` of the field, or addition in R^n where it has none.
        Returns:
            the field with its action.
        Raises:
            MvnetError: z0 is not in the layout of the action.
        """
        chosen: GroupAction = getattr(field, "action", Translation()) if action is None else action
        return cls(field, chosen, chosen.algebra_shape(z0))

    def __call__(self, t: Tensor, z: Tensor, /, *args: Tensor) -> Tensor:
        """xi(t, z, *args)

        Args:
            t: time, a scalar tensor.
            z: state, in the layout of the action.
            args: further inputs.
        Returns:
            an element of the algebra for every state, or a shape that broadcasts.
        Raises:
            MvnetError: the value does not broadcast to the algebra.
        """
        xi = self.function(t, z, *args)
        found, expected = tuple(xi.shape), self.algebra_shape
        if len(found) > len(expected) or any(
            n not in (1, m) for n, m in zip(reversed(found), reversed(expected), strict=False)
        ):
            raise MvnetError(f"field: found a value of shape {found}, expected {expected}")
        return xi
