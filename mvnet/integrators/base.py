"""The contract of every integrator: a one-step method that may carry a state and may estimate its error.

    state = method.init(field, t, z, args)
    z, error, state = method.step(field, t, h, z, args, state)      once for every interval

`state` is what a method carries from one step to the next (a slope that is used again, an initial value for an
iteration), or None. `error` estimates the local error in the Lie algebra; None for a method without an estimate.

A method may say more of itself:

    actions           types of the actions that it knows, where it is not for all of them
    options           names of its settings that `odeint` takes as keyword arguments, fields of a dataclass
    state_is_a_hint   True where the state does not change the result (an initial value for an iteration): then the
                      modes of gradient that repeat single steps may start every one of them from `init`
    march             its own loop over the steps of a grid, where it saves work between them: see `Marching`
    solve             its own steps between the times: see `Solver`
"""

from __future__ import annotations

from collections.abc import Iterator
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


class Marching(Method, Protocol):
    """A method that takes all steps of a grid of times."""

    def march(self, field: ActingField, times: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> Iterator[Tensor]:
        """The states after every step.

        Args:
            field: the field with its action.
            times: shape (n,).
            z: state at times[0].
            args: further inputs of the field.
        Yields:
            n - 1 states.
        """
        ...


class Solver(Method, Protocol):
    """A method that chooses the steps between the times."""

    def solve(self, field: ActingField, times: Tensor, z: Tensor, args: tuple[Tensor, ...], save: str) -> Tensor:
        """All states, or the last one.

        Args:
            field: the field with its action.
            times: shape (n,); (B, n) where the method takes times of samples.
            z: state at the first time.
            args: further inputs of the field.
            save: "all" or "last".
        Returns:
            (n, *z.shape); z.shape for save="last".
        """
        ...
