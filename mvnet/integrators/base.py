"""The contract of every integrator: a one-step method that may carry a state and may estimate its error.

    state = method.init(field, t, z, args)
    z, error, state = method.step(field, t, h, z, args, state)      once for every interval

`state` is whatever a method hands from one step to the next (a slope that is used again, a starting value for an
iteration), None where there is nothing. `error` estimates the local error in the Lie algebra, None where a method has
no estimate.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Protocol

from torch import Tensor

from mvnet.fields.base import ActingField


class Step(NamedTuple):
    """What a step gives: z of the shape of the state; error of the shape of the algebra or None; the next state."""

    z: Tensor
    error: Tensor | None = None
    state: Any = None


class Method(Protocol):
    """A one-step method for z' = xi(t, z, *args) . z."""

    takes: ClassVar[type]
    """The kind of field it integrates, such as `mvnet.fields.Field`."""

    @property
    def order(self) -> int:
        """p: the error after a unit of time falls as h^p."""
        ...

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> Any:
        """The state before the first step."""
        ...

    def step(self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any) -> Step:
        """From z at t to t + h; t and h are scalars."""
        ...
