"""Lie-group methods as data: one registry entry each.

Two families step z' = xi(t, z) . z along a group action:

    Munthe-Kaas      Runge-Kutta for u' = dphi_u^-1 xi(phi(u) . z), u(0) = 0, then z_1 = phi(u_1) . z,
                     in coordinates phi = exp or cay
    commutator-free  compositions of exponentials of linear combinations of the slopes

Where the group is commutative each is an ordinary Runge-Kutta method (up to coordinates); each keeps z on its
manifold at every step size. Right-trivialised throughout: dexpinv_u = 1 - ad_u/2 + ad_u^2/12 - ...

Sources: paper section 2.4.3; Iserles et al., Lie-group methods, Acta Numerica 9 (2000) 215;
Munthe-Kaas, Appl. Numer. Math. 29 (1999) 115; Munthe-Kaas, Owren, Phil. Trans. R. Soc. A 357 (1999) 957;
Celledoni, Marthinsen, Owren, Future Gener. Comput. Syst. 19 (2003) 341;
Crouch, Grossman, J. Nonlinear Sci. 3 (1993) 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from mvnet.integrators.tableaus import EULER, HEUN, KUTTA3, MIDPOINT, RK4, Tableau
from mvnet.manifolds.actions import GroupAction

Field = Callable[[Tensor, Tensor], Tensor]
"""(t, z) -> xi(t, z) in the Lie algebra of the action."""


class Method(Protocol):
    """One step of a one-step method."""

    @property
    def order(self) -> int: ...

    def step(self, velocity: Field, t: Tensor, h: Tensor, z: Tensor, action: GroupAction) -> Tensor: ...


class Coordinates(Protocol):
    """A map phi from the algebra to the group, with the inverse of its right-trivialised differential."""

    def move(self, action: GroupAction, u: Tensor, z: Tensor) -> Tensor: ...

    def pull(self, action: GroupAction, u: Tensor, v: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Exponential:
    """phi = exp; a method of order p needs dexpinv up to p - 2 commutators."""

    commutators: int = 0

    def move(self, action: GroupAction, u: Tensor, z: Tensor) -> Tensor:
        return action.act(u, z)

    def pull(self, action: GroupAction, u: Tensor, v: Tensor) -> Tensor:
        return action.dexpinv(u, v, self.commutators)


@dataclass(frozen=True)
class Cayley:
    """phi = cay: no truncation, no exponential. Singular where an increment u has the eigenvalue 2."""

    def move(self, action: GroupAction, u: Tensor, z: Tensor) -> Tensor:
        return action.cay_act(u, z)

    def pull(self, action: GroupAction, u: Tensor, v: Tensor) -> Tensor:
        return action.dcayinv(u, v)


@dataclass(frozen=True)
class Bracket:
    """Adds coefficient * [k_left, k_right] to u of a stage; stage number len(b) is the update."""

    stage: int
    left: int
    right: int
    coefficient: float


def _combine(coefficients: Sequence[float], slopes: Sequence[Tensor]) -> Tensor | None:
    """sum_j c_j k_j; None where every coefficient is zero."""
    total: Tensor | None = None
    for c, k in zip(coefficients, slopes, strict=True):
        if c:
            term = k if c == 1 else c * k
            total = term if total is None else total + term
    return total


@dataclass(frozen=True)
class MuntheKaas:
    """Runge-Kutta in coordinates around the current point.

    u_i = sum_j a_ij k_j + brackets
    k_i = dphi_{u_i}^-1 ( h xi(t + c_i h, phi(u_i) . z) )
    z_1 = phi( sum_i b_i k_i + brackets ) . z
    """

    tableau: Tableau
    coordinates: Coordinates = field(default_factory=Exponential)
    brackets: tuple[Bracket, ...] = ()

    @property
    def order(self) -> int:
        return self.tableau.order

    def step(self, velocity: Field, t: Tensor, h: Tensor, z: Tensor, action: GroupAction) -> Tensor:
        slopes: list[Tensor] = []
        for c, row in zip(self.tableau.c, self.tableau.a, strict=True):
            u = self._sum(row, slopes, action)
            at = z if u is None else self.coordinates.move(action, u, z)
            k = h * velocity(t + c * h, at)
            slopes.append(k if u is None else self.coordinates.pull(action, u, k))
        update = self._sum(self.tableau.b, slopes, action)
        return z if update is None else self.coordinates.move(action, update, z)

    def _sum(self, coefficients: Sequence[float], slopes: Sequence[Tensor], action: GroupAction) -> Tensor | None:
        u = _combine(coefficients, slopes)
        for b in self.brackets:
            if b.stage == len(slopes) and u is not None:
                u = u + b.coefficient * action.bracket(slopes[b.left], slopes[b.right])
        return u


@dataclass(frozen=True)
class Path:
    """exp(e_n) ... exp(e_1) . (point of stage `start`), each e a combination of slopes; e_1 acts first."""

    start: int
    exponents: tuple[tuple[float, ...], ...] = ()

    def follow(self, points: Sequence[Tensor], slopes: Sequence[Tensor], action: GroupAction) -> Tensor:
        z = points[self.start]
        for coefficients in self.exponents:
            u = _combine(coefficients, slopes)
            z = z if u is None else action.act(u, z)
        return z


@dataclass(frozen=True)
class CommutatorFree:
    """Y_i = path_i,   k_i = h xi(t + c_i h, Y_i),   z_1 = update;   stage 0 is z itself.

    A path may start from the point of an earlier stage, which saves an exponential.
    """

    order: int
    stages: tuple[Path, ...]
    update: Path
    c: tuple[float, ...]

    def step(self, velocity: Field, t: Tensor, h: Tensor, z: Tensor, action: GroupAction) -> Tensor:
        points: list[Tensor] = [z]
        slopes: list[Tensor] = []
        for i, (path, c) in enumerate(zip(self.stages, self.c, strict=True)):
            if i:
                points.append(path.follow(points, slopes, action))
            slopes.append(h * velocity(t + c * h, points[i]))
        return self.update.follow(points, slopes, action)


# Munthe-Kaas & Owren (1999): dexpinv to the order needed with two commutators in all instead of six
_TWO_COMMUTATORS = (Bracket(2, 0, 1, -1 / 8), Bracket(4, 0, 3, -1 / 12))

# Celledoni, Marthinsen & Owren (2003): y_1 starts from Y_2 = exp(k_1/3) . y
_CF3 = CommutatorFree(
    order=3,
    stages=(Path(0), Path(0, ((1 / 3,),)), Path(0, ((0.0, 2 / 3),))),
    update=Path(1, ((-1 / 12, 0.0, 3 / 4),)),
    c=(0.0, 1 / 3, 2 / 3),
)
# the same: Y_4 starts from Y_2 = exp(k_1/2) . y, two exponentials in the update
_CF4 = CommutatorFree(
    order=4,
    stages=(Path(0), Path(0, ((1 / 2,),)), Path(0, ((0.0, 1 / 2),)), Path(1, ((-1 / 2, 0.0, 1.0),))),
    update=Path(0, ((3 / 12, 2 / 12, 2 / 12, -1 / 12), (-1 / 12, 2 / 12, 2 / 12, 3 / 12))),
    c=(0.0, 1 / 2, 1 / 2, 1.0),
)
# Crouch & Grossman (1993): one slope for each exponential
_CG3 = CommutatorFree(
    order=3,
    stages=(Path(0), Path(0, ((3 / 4,),)), Path(0, ((119 / 216, 0.0), (0.0, 17 / 108)))),
    update=Path(0, ((13 / 51, 0.0, 0.0), (0.0, -2 / 3, 0.0), (0.0, 0.0, 24 / 17))),
    c=(0.0, 3 / 4, 17 / 24),
)

METHODS: dict[str, Method] = {
    "lie_euler": MuntheKaas(EULER),
    "lie_midpoint": MuntheKaas(MIDPOINT),
    "rkmk2": MuntheKaas(HEUN),
    "rkmk3": MuntheKaas(KUTTA3, Exponential(1)),
    "rkmk4": MuntheKaas(RK4, Exponential(2)),
    "rkmk4_two_commutators": MuntheKaas(RK4, brackets=_TWO_COMMUTATORS),
    "cg3": _CG3,
    "cf3": _CF3,
    "cf4": _CF4,
    "cayley_rk4": MuntheKaas(RK4, Cayley()),
}
"""name -> method. A new method is one entry; the tests check its order, equivariance and gradients."""
