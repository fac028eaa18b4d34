"""Munthe-Kaas methods: Runge-Kutta in coordinates of the group around the current point.

    u' = dphi_u^-1 xi(phi(u) . z),  u(0) = 0,    then  z_1 = phi(u_1) . z,    phi = exp or cay

On a commutative group each is the Runge-Kutta method of its tableau (up to coordinates); z stays on its manifold at
every step size. Right-trivialised: dexpinv_u = 1 - ad_u/2 + ad_u^2/12 - ...

Source: paper section 2.4.3; Munthe-Kaas, Appl. Numer. Math. 29 (1999) 115; Munthe-Kaas, Owren, Phil. Trans. R. Soc. A
357 (1999) 957; Iserles et al., Lie-group methods, Acta Numerica 9 (2000) 215.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any, ClassVar, Protocol

from torch import Tensor

from mvnet.fields.base import ActingField, Field
from mvnet.integrators.base import Step
from mvnet.integrators.tableaus import Tableau, combine
from mvnet.manifolds.actions import GroupAction


class Coordinates(Protocol):
    """A map phi from the algebra to the group, with the inverse of its right-trivialised differential."""

    def apply(self, action: GroupAction, u: Tensor, z: Tensor) -> Tensor:
        """phi(u) . z

        Args:
            action: action of the group.
            u: elements of its algebra.
            z: points.
        Returns:
            points.
        """
        ...

    def inverse_differential(self, action: GroupAction, u: Tensor, v: Tensor) -> Tensor:
        """dphi_u^-1 v

        Args:
            action: action of the group.
            u: where the differential is taken, in the algebra.
            v: its argument, in the algebra.
        Returns:
            elements of the algebra.
        """
        ...


@dataclass(frozen=True)
class Exponential:
    """phi = exp; a method of order p needs dexpinv up to p - 2 commutators."""

    commutators: int = 0

    def apply(self, action: GroupAction, u: Tensor, z: Tensor) -> Tensor:
        """exp(u) . z"""
        return action.act(u, z)

    def inverse_differential(self, action: GroupAction, u: Tensor, v: Tensor) -> Tensor:
        """dexp_u^-1 v, truncated"""
        return action.dexpinv(u, v, self.commutators)


@dataclass(frozen=True)
class Cayley:
    """phi = cay: no truncation, no exponential. Singular where an increment u has the eigenvalue 2."""

    def apply(self, action: GroupAction, u: Tensor, z: Tensor) -> Tensor:
        """cay(u) . z"""
        return action.cay_act(u, z)

    def inverse_differential(self, action: GroupAction, u: Tensor, v: Tensor) -> Tensor:
        """dcay_u^-1 v, exact"""
        return action.dcayinv(u, v)


@dataclass(frozen=True)
class Bracket:
    """Adds coefficient * [k_left, k_right] to u of a stage; stage number len(b) is the update."""

    stage: int
    left: int
    right: int
    coefficient: float


@dataclass(frozen=True)
class MuntheKaas:
    """Runge-Kutta in coordinates around the current point.

    u_i = sum_j a_ij k_j + brackets
    k_i = dphi_{u_i}^-1 ( h xi(t + c_i h, phi(u_i) . z) )
    z_1 = phi( sum_i b_i k_i + brackets ) . z
    """

    takes: ClassVar[type] = Field
    kind: ClassVar[str] = "lie_group"
    preserves = frozenset({"manifold"})

    tableau: Tableau
    coordinates: Coordinates = default(default_factory=Exponential)
    brackets: tuple[Bracket, ...] = ()

    @property
    def order(self) -> int:
        """Order of the tableau."""
        return self.tableau.order

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state."""

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        action, phi, slopes = field.action, self.coordinates, []
        for c, row in zip(self.tableau.c, self.tableau.a, strict=True):
            # k_1, ..., k_{i-1} -> u_i -> phi(u_i) . z -> h xi -> k_i = dphi_{u_i}^-1 (h xi)
            u = self._sum(row, slopes, action)
            at = z if u is None else phi.apply(action, u, z)
            k = h * field(t + c * h, at, *args)
            slopes.append(k if u is None else phi.inverse_differential(action, u, k))
        # k_1, ..., k_s -> u -> phi(u) . z
        update = self._sum(self.tableau.b, slopes, action)
        return Step(z if update is None else phi.apply(action, update, z))

    def _sum(self, coefficients: Sequence[float], slopes: Sequence[Tensor], action: GroupAction) -> Tensor | None:
        u = combine(coefficients, slopes)
        for b in self.brackets:
            if b.stage == len(slopes) and u is not None:
                u = u + b.coefficient * action.bracket(slopes[b.left], slopes[b.right])
        return u


TWO_COMMUTATORS = (Bracket(2, 0, 1, -1 / 8), Bracket(4, 0, 3, -1 / 12))
"""For RK4, dexpinv to the order needed with two commutators in all instead of six: Munthe-Kaas & Owren (1999)."""
