"""Magnus methods: for xi(t) that does not look at the state, on any group action.

    z_1 = exp(Omega) . z,      Omega from xi at the Gauss nodes and their commutators

Order 4:  Omega = h/2 (A_1 + A_2) - sqrt(3)/12 h^2 [A_1, A_2]
Order 6:  a_1 = h A_2,  a_2 = sqrt(15)/3 h (A_3 - A_1),  a_3 = 10/3 h (A_3 - 2 A_2 + A_1),  c = [a_1, a_2],
          Omega = a_1 + a_3/12 + 1/240 [ -20 a_1 - a_3 + c,  a_2 - 1/60 [a_1, 2 a_3 + c] ]

Source: Iserles et al., Acta Numerica 9 (2000) 215; Blanes, Casas, Oteo, Ros, Physics Reports 470 (2009) 151, section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import ActingField, Field
from mvnet.integrators.base import Step
from mvnet.manifolds.actions import GroupAction


def _order4(action: GroupAction, k: Sequence[Tensor]) -> Tensor:
    return (k[0] + k[1]) / 2 - 3**0.5 / 12 * action.bracket(k[0], k[1])


def _order6(action: GroupAction, k: Sequence[Tensor]) -> Tensor:
    a1, a2, a3 = k[1], 15**0.5 / 3 * (k[2] - k[0]), 10 / 3 * (k[2] - 2 * k[1] + k[0])
    c = action.bracket(a1, a2)
    inner = a2 - action.bracket(a1, 2 * a3 + c) / 60
    return a1 + a3 / 12 + action.bracket(-20 * a1 - a3 + c, inner) / 240


@dataclass(frozen=True)
class Magnus:
    """exp(Omega) . z

    Args:
        order: of the method.
        c: nodes, in units of the step.
        exponent: action, (h A_1, ..., h A_s) -> Omega.
    """

    takes: ClassVar[type] = Field
    kind: ClassVar[str] = "magnus"
    preserves = frozenset({"manifold", "linear invariants", "reversible"})

    order: int
    c: tuple[float, ...]
    exponent: Callable[[GroupAction, Sequence[Tensor]], Tensor]

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state; MvnetError where xi depends on z."""
        with torch.enable_grad():
            at = z.detach().requires_grad_()
            xi = field(t.detach(), at, *args)
            slope = None
            if xi.requires_grad:
                # no entry of the derivative cancels another but by chance
                weights = 1 + torch.arange(xi.numel(), dtype=xi.dtype, device=xi.device).reshape(xi.shape).sqrt()
                (slope,) = torch.autograd.grad((weights * xi).sum().real, at, allow_unused=True)
        if slope is not None and bool((slope != 0).any()):
            raise MvnetError(
                "field: found values that depend on the state, expected xi(t) alone for a Magnus method: a "
                "Munthe-Kaas or commutator-free method takes any field"
            )

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        slopes = [h * field(t + c * h, z, *args) for c in self.c]
        return Step(field.action.act(self.exponent(field.action, slopes), z))


MAGNUS4 = Magnus(4, (1 / 2 - 3**0.5 / 6, 1 / 2 + 3**0.5 / 6), _order4)
MAGNUS6 = Magnus(6, (1 / 2 - 15**0.5 / 10, 1 / 2, 1 / 2 + 15**0.5 / 10), _order6)
