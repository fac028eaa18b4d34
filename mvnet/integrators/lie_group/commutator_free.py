"""Commutator-free methods: compositions of exponentials of linear combinations of the slopes.

On a commutative group each is the Runge-Kutta method of its coefficients; z stays on its manifold at every step size.

Source: paper section 2.4.3; Celledoni, Marthinsen, Owren, Future Gener. Comput. Syst. 19 (2003) 341; Crouch, Grossman,
J. Nonlinear Sci. 3 (1993) 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from mvnet.fields.base import ActingField, Field
from mvnet.integrators.base import Step
from mvnet.integrators.tableaus import combine
from mvnet.manifolds.actions import GroupAction


@dataclass(frozen=True)
class Composition:
    """exp(e_n) ... exp(e_1) . (point of stage `start`), each e a combination of slopes; e_1 acts first."""

    start: int
    exponents: tuple[tuple[float, ...], ...] = ()

    def apply(self, points: Sequence[Tensor], slopes: Sequence[Tensor], action: GroupAction) -> Tensor:
        """Apply the exponentials one after another.

        Args:
            points: those of the stages so far.
            slopes: those of the stages so far.
            action: action of the group.
        Returns:
            exp(e_n) ... exp(e_1) . points[start]
        """
        z = points[self.start]
        # slopes -> e = sum_j c_j k_j;  z -> exp(e) . z
        for coefficients in self.exponents:
            u = combine(coefficients, slopes)
            z = z if u is None else action.act(u, z)
        return z


@dataclass(frozen=True)
class CommutatorFree:
    """Y_i = stages_i,   k_i = h xi(t + c_i h, Y_i),   z_1 = update;   stage 0 is z itself.

    A composition may start from the point of an earlier stage, which saves an exponential.
    """

    takes: ClassVar[type] = Field
    kind: ClassVar[str] = "lie_group"
    preserves = frozenset({"manifold"})

    order: int
    stages: tuple[Composition, ...]
    update: Composition
    c: tuple[float, ...]

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state."""

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        action, points, slopes = field.action, [z], []
        # k_1, ..., k_{i-1} -> Y_i -> k_i = h xi(t + c_i h, Y_i)
        for i, (stage, c) in enumerate(zip(self.stages, self.c, strict=True)):
            if i:
                points.append(stage.apply(points, slopes, action))
            slopes.append(h * field(t + c * h, points[i], *args))
        # k_1, ..., k_s -> z_1
        return Step(self.update.apply(points, slopes, action))


# Celledoni, Marthinsen & Owren (2003): y_1 starts from Y_2 = exp(k_1/3) . y
CF3 = CommutatorFree(
    order=3,
    stages=(Composition(0), Composition(0, ((1 / 3,),)), Composition(0, ((0.0, 2 / 3),))),
    update=Composition(1, ((-1 / 12, 0.0, 3 / 4),)),
    c=(0.0, 1 / 3, 2 / 3),
)
# the same: Y_4 starts from Y_2 = exp(k_1/2) . y, two exponentials in the update
CF4 = CommutatorFree(
    order=4,
    stages=(
        Composition(0),
        Composition(0, ((1 / 2,),)),
        Composition(0, ((0.0, 1 / 2),)),
        Composition(1, ((-1 / 2, 0.0, 1.0),)),
    ),
    update=Composition(0, ((3 / 12, 2 / 12, 2 / 12, -1 / 12), (-1 / 12, 2 / 12, 2 / 12, 3 / 12))),
    c=(0.0, 1 / 2, 1 / 2, 1.0),
)
# Crouch & Grossman (1993): one slope for each exponential
CG3 = CommutatorFree(
    order=3,
    stages=(Composition(0), Composition(0, ((3 / 4,),)), Composition(0, ((119 / 216, 0.0), (0.0, 17 / 108)))),
    update=Composition(0, ((13 / 51, 0.0, 0.0), (0.0, -2 / 3, 0.0), (0.0, 0.0, 24 / 17))),
    c=(0.0, 3 / 4, 17 / 24),
)
