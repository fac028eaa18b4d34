"""Implicit Runge-Kutta methods in R^n, and in exponential coordinates of a group around the current point.

    u_i = sum_j a_ij K_j,    K_i = dexp_{u_i}^-1 ( h xi(t + c_i h, exp(u_i) . z) ),    z_1 = exp( sum_i b_i K_i ) . z

In R^n dexp^-1 is the identity and this is the method of the tableau. With the midpoint's tableau it is the Lie implicit
midpoint rule, K = h xi(t + h/2, exp(K/2) . z): paper section 2.4.3.

Source: paper section 2.2.1; Hairer, Wanner (1996), section IV.8; Iserles et al., Acta Numerica 9 (2000) 215.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from mvnet.fields.base import ActingField, Field
from mvnet.integrators.base import Step
from mvnet.integrators.implicit.equations import Solver, solve
from mvnet.integrators.implicit.newton import NEWTON
from mvnet.integrators.implicit.tableaus import ImplicitTableau
from mvnet.integrators.stability import is_algebraically_stable, is_symmetric, is_symplectic
from mvnet.integrators.tableaus import combine


@dataclass(frozen=True)
class ImplicitRungeKutta:
    """The method of an implicit tableau.

    Args:
        tableau: coefficients.
        solver: of the equations for the stages, all at once; `Newton` or `Anderson`.
    """

    takes: ClassVar[type] = Field
    kind: ClassVar[str] = "implicit"
    options: ClassVar[tuple[str, ...]] = ("solver",)
    state_is_a_hint: ClassVar[bool] = True

    tableau: ImplicitTableau
    solver: Solver = NEWTON

    @property
    def order(self) -> int:
        """Order of the tableau."""
        return self.tableau.order

    @property
    def preserves(self) -> frozenset[str]:
        """Read off the tableau: all but "manifold" is said of R^n."""
        return _preserves(self.tableau)

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state."""

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        action, commutators = field.action, min(max(self.order - 2, 0), 4)

        def slopes(k: Tensor | None) -> Tensor:
            """K_i of the right-hand side, from all K of the left; from u = 0 without any."""
            found = []
            for c, row in zip(self.tableau.c, self.tableau.a, strict=True):
                u = None if k is None else combine(row, k.unbind())
                # u_i -> exp(u_i) . z -> h xi -> dexp_{u_i}^-1 (h xi)
                xi = h * field(t + c * h, z if u is None else action.act(u, z), *args)
                found.append((xi if u is None else action.dexpinv(u, xi, commutators)).expand(field.algebra_shape))
            return torch.stack(found)

        with torch.no_grad():
            explicit = slopes(None)
        k = solve(
            lambda k: k - slopes(k),
            explicit,
            torch.zeros_like(explicit),
            solver=self.solver,
            size=z,
            name=f"implicit step at t = {t.detach():.6g}",
        )
        update = combine(self.tableau.b, k.unbind())
        return Step(z if update is None else action.act(update, z))


@cache
def _preserves(tableau: ImplicitTableau) -> frozenset[str]:
    words = {"manifold", "linear invariants"}
    if is_symplectic(tableau):
        words |= {"quadratic invariants", "symplectic"}
    if is_algebraically_stable(tableau):
        words.add("contractive")
    if is_symmetric(tableau):
        words.add("reversible")
    return frozenset(words)
