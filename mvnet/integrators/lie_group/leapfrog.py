"""The explicit leapfrog on a group action: reversible, two steps at a time.

    z_{n+1} = exp( 2 h xi(t_n, z_n) ) . z_{n-1},      undone by  z_{n-1} = exp( -2 h xi(t_n, z_n) ) . z_{n+1}

The pair (z_n, z_{n+1}) gives back every earlier state to rounding. The price is a parasitic mode: it oscillates on
fields that contract, and grows there. For reversible and conservative fields.

Source: paper section 2.4.3; Hairer, Lubich, Wanner (2006), section XV.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from mvnet.fields.base import ActingField, Field
from mvnet.integrators.base import Step


class Previous(NamedTuple):
    """The point one step earlier, and that step's size."""

    z: Tensor
    h: Tensor


@dataclass(frozen=True)
class Leapfrog:
    """A midpoint step starts it, at first and wherever the step size changes."""

    takes: ClassVar[type] = Field
    kind: ClassVar[str] = "lie_group"
    preserves = frozenset({"manifold", "reversible"})
    order: int = 2

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """None: the first step has no earlier point."""

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h; the next state is (z, h)."""
        following = Previous(z, h)
        if state is not None and _equal(state.h, h):
            # z_n -> xi;  z_{n-1} -> exp((h + h') xi) . z_{n-1}
            return Step(field.action.act((state.h + h) * field(t, z, *args), state.z), None, following)
        middle = field.action.act(h / 2 * field(t, z, *args), z)
        return Step(field.action.act(h * field(t + h / 2, middle, *args), z), None, following)


def _equal(a: Tensor, b: Tensor) -> bool:
    """Equal up to what a grid of times in this precision has of rounding."""
    return bool((a - b).abs() <= torch.finfo(a.dtype).eps ** 0.5 * b.abs())
