"""What a vector field is: a value of a Lie algebra for every time, state and further input, and the action it serves.

z' = xi(t, z, *args) . z, left action, right-trivialised: see `mvnet.manifolds.actions`. Everything that a gradient may
be asked for enters through `args` (or is a parameter of the field), never through a closure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.manifolds.actions import GroupAction, Translation


@runtime_checkable
class Field(Protocol):
    """A function or a module; an attribute `action`, where there is one, says how its values move the state."""

    def __call__(self, t: Tensor, z: Tensor, /, *args: Tensor) -> Tensor:
        """xi(t, z, *args) in the Lie algebra of the action, or broadcasting to it; t is a scalar."""
        ...


@dataclass(frozen=True)
class ActingField:
    """A field with its action, whose values are checked.

    Args:
        function: the field.
        action: how xi moves z.
        algebra_shape: the shape that values broadcast to.
    """

    function: Field
    action: GroupAction
    algebra_shape: tuple[int, ...]

    @classmethod
    def of(cls, field: Field, z0: Tensor, action: GroupAction | None = None) -> ActingField:
        """The field at states like z0.

        Args:
            field: as above.
            z0: any state, in the layout of the action.
            action: None takes the attribute `action` of the field, and addition in R^n where it has none.
        Returns:
            the field with its action.
        Raises:
            MvnetError: z0 is not of the action's layout.
        """
        chosen: GroupAction = getattr(field, "action", Translation()) if action is None else action
        return cls(field, chosen, chosen.algebra_shape(z0))

    def __call__(self, t: Tensor, z: Tensor, /, *args: Tensor) -> Tensor:
        """xi(t, z, *args).

        Returns:
            an element of the algebra for every state, or one that broadcasts.
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
