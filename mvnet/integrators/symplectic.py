"""Splitting methods: a field that is the sum of parts is solved part by part.

    symplectic_euler    phi_h = f_n(h) ... f_1(h)                                        paper eq. (22) for two parts
    verlet              phi_h = f_1(h/2) ... f_{n-1}(h/2) f_n(h) f_{n-1}(h/2) ... f_1(h/2)     Strang's splitting
    yoshida4            verlet with steps g h, (1 - 2 g) h, g h,    g = 1 / (2 - 2^(1/3))

A composition keeps what all flows of parts keep: symplectic where every part is Hamiltonian, of unit Jacobian where
every part is a shear or free of divergence. Parts that change in time are frozen at the middle of their (sub)step, with
which symmetric compositions have their order on non-autonomous fields also.

Source: paper sections 2.2.2 and 2.2.3; McLachlan, Quispel, Splitting methods, Acta Numerica 11 (2002) 341; Yoshida,
Phys. Lett. A 150 (1990) 262.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import ActingField, SplitField
from mvnet.integrators.base import Step


@dataclass(frozen=True)
class Splitting:
    """A composition of flows of parts, in any number.

    Args:
        order: of the method.
        substeps: their sizes in units of the step, with sum 1.
        symmetric: each substep by Strang's splitting; otherwise the parts one after another.
    """

    takes: ClassVar[type] = SplitField
    kind: ClassVar[str] = "symplectic"

    order: int
    substeps: tuple[float, ...] = (1.0,)
    symmetric: bool = True

    def __post_init__(self) -> None:
        if abs(sum(self.substeps) - 1) > 1e-12:
            raise MvnetError(f"substeps: found {self.substeps} with sum {sum(self.substeps)}, expected sum 1")

    @property
    def preserves(self) -> frozenset[str]:
        """What the flows of the parts preserve; reversible where the composition reads the same from both ends."""
        symmetric = self.symmetric and self.substeps == self.substeps[::-1]
        return frozenset({"symplectic", "volume"} | ({"reversible"} if symmetric else set()))

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state; MvnetError where there are no parts."""
        if not cast(SplitField, field.function).parts:
            raise MvnetError("field: found no parts, expected at least one")

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        parts = list(cast(SplitField, field.function).parts)
        done = 0.0
        for g in self.substeps:
            middle, size = t + (done + g / 2) * h, g * h
            if self.symmetric:
                sequence = [(part, size / 2) for part in parts[:-1]]
                sequence = [*sequence, (parts[-1], size), *reversed(sequence)]
            else:
                sequence = [(part, size) for part in parts]
            for part, duration in sequence:
                z = part.flow(middle, duration, z, *args)
            done += g
        return Step(z)


_OUTER = 1 / (2 - 2 ** (1 / 3))

SYMPLECTIC_EULER = Splitting(1, symmetric=False)
VERLET = Splitting(2)
YOSHIDA4 = Splitting(4, (_OUTER, 1 - 2 * _OUTER, _OUTER))
