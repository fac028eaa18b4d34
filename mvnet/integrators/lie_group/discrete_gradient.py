"""Gonzalez' discrete gradient on a Riemannian manifold: V falls at every step size, along -grad V.

With v = log_z(z_1), the midpoint c = exp_z(v/2) and parallel transport P from z to c:

    v = -h DV,      DV = P^-1 grad V(c) + (V(z_1) - V(z) - <grad V(c), P v>) / |v|^2 v

so that V(z_1) - V(z) = <DV, v> = -|v|^2 / h. V that changes in time is frozen at the middle of the step.

Source: paper section 2.4.3; Celledoni, Eidnes, Owren, Ringholm, Dissipative numerical schemes on Riemannian manifolds
with applications to gradient flows, SIAM J. Sci. Comput. 40 (2018) A3789.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from mvnet.fields.base import ActingField, GradientField
from mvnet.integrators.base import Step
from mvnet.integrators.discrete_gradient import safe_ratio
from mvnet.integrators.implicit.equations import Solver, solve
from mvnet.integrators.implicit.newton import NEWTON
from mvnet.integrators.lie_group.frames import along_frame, from_frame, orthonormal_frame


@dataclass(frozen=True)
class RiemannianGonzalez:
    """The method, on the manifold of the field.

    Args:
        solver: of the equation for v, for every point by itself.
    """

    takes: ClassVar[type] = GradientField
    kind: ClassVar[str] = "discrete_gradient"
    options: ClassVar[tuple[str, ...]] = ("solver",)
    preserves = frozenset({"manifold", "energy"})
    order: int = 2
    solver: Solver = NEWTON

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state; MvnetError unless z lies on the manifold."""
        cast(GradientField, field.function).manifold.check_point(z.detach(), "z0")

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        of, middle = cast(GradientField, field.function), t + h / 2
        manifold, nd = of.manifold, of.manifold.point_ndim
        at = z.unsqueeze(-nd - 1)
        # tangent at z also to first order in z, so that the gradient with respect to z is exact
        basis = manifold.to_tangent(at, orthonormal_frame(manifold, z.detach()))

        def energy(x: Tensor) -> Tensor:
            return of.energy(middle, x, *args)

        def residual(a: Tensor) -> Tensor:
            """<v + h DV, e_i>_z"""
            v = from_frame(basis, a, nd)
            c = manifold.exp(z, v / 2)
            transported = manifold.transport(at, c.unsqueeze(-nd - 1), basis)
            g = along_frame(energy, c, transported, nd)
            defect = energy(manifold.exp(z, v)) - energy(z) - (g * a).sum(-1)
            inner = manifold.inner(at, v.unsqueeze(-nd - 1), basis)
            ratio = safe_ratio(defect, manifold.inner(z, v, v), torch.ones_like(defect))
            return inner + h * (g + ratio[..., None] * inner)

        with torch.no_grad():
            start = -h * along_frame(energy, z, basis, nd)
        name = f"discrete gradient step at t = {t.detach():.6g}"
        starts = (start, torch.zeros_like(start))
        a = solve(residual, *starts, solver=self.solver, size=torch.ones_like(start), name=name, independent=True)
        return Step(manifold.exp(z, from_frame(basis, a, nd)))


RIEMANNIAN_GONZALEZ = RiemannianGonzalez()
