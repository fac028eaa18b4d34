"""What a mode of gradient is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import ActingField
from mvnet.integrators.base import Method


@dataclass(frozen=True)
class Problem:
    """A solve, its arguments checked: see `mvnet.integrators.odeint`."""

    name: str
    """Of the method."""
    method: Method
    field: ActingField
    times: Tensor
    z0: Tensor
    args: tuple[Tensor, ...]
    save: str
    inputs: tuple[Tensor, ...] = ()
    every: int | None = None

    def refuse(self, gradient: str, expected: str) -> NoReturn:
        """Refuse the method.

        Args:
            gradient: name of the mode.
            expected: what would work.
        Raises:
            MvnetError: names the mode and the method.
        """
        raise MvnetError(f"gradient: found {gradient!r} with method {self.name!r}, expected {expected}")

    def refuse_settings(self, gradient: str, *names: str) -> None:
        """Refuse what the mode does not read.

        Args:
            gradient: name of the mode.
            *names: "every" and the like.
        Raises:
            MvnetError: one of them is given.
        """
        for name in names:
            if getattr(self, name):
                raise MvnetError(f"{name}: found with gradient {gradient!r}, expected it with another mode only")

    def check_single_steps(self, gradient: str) -> None:
        """Refuse a method that chooses its own steps, or carries a state that matters.

        Args:
            gradient: name of the mode.
        """
        if self.method.kind == "adaptive":
            self.refuse(gradient, "'discrete' for an adaptive method")
        hint = getattr(self.method, "state_is_a_hint", False)
        if not hint and self.method.init(self.field, self.times[0], self.z0, self.args) is not None:
            self.refuse(gradient, "'discrete' for a method that carries a state from step to step")
