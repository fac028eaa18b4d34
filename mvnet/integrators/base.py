"""The contract of every integrator: a one-step method that may carry a state and may estimate its error.

    state = method.init(field, t, z, args)
    z, error, state = method.step(field, t, h, z, args, state)      once for every interval

`state` is what a method carries from one step to the next (a slope that is used again, an initial value for an
iteration), or None. `error` estimates the local error in the Lie algebra; None for a method without an estimate.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Protocol

from torch import Tensor

from mvnet.fields.base import ActingField


class Step(NamedTuple):
    """Result of a step: z in the shape of the state; error in the shape of the algebra, or None; the next state."""

    z: Tensor
    error: Tensor | None = None
    state: Any = None


class Method(Protocol):
    """A one-step method for z' = xi(t, z, *args) . z."""

    takes: ClassVar[type]
    """The kind of field it integrates, such as `mvnet.fields.Field`."""

    kind: ClassVar[str]
    """Family: "lie_group", "explicit", "adaptive", "implicit", "symplectic", "discrete_gradient", ..."""

    @property
    def order(self) -> int:
        """p: the global error is O(h^p)."""
        ...

    @property
    def preserves(self) -> frozenset[str]:
        """Words of `mvnet.fields.PRESERVED`: what it keeps at every step size."""
        ...

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> Any:
        """State before the first step.

        Args:
            field: the field with its action.
            t: initial time, a scalar tensor.
            z: initial point.
            args: further inputs of the field.
        Returns:
            `state` of the first step.
        """
        ...

    def step(self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any) -> Step:
        """Step from z at t to t + h.

        Args:
            field: the field with its action.
            t, h: time and step size, scalar tensors.
            z: point at t.
            args: further inputs of the field.
            state: state of the previous step.
        Returns:
            the point at t + h, the error estimate and the next state.
        """
        ...
