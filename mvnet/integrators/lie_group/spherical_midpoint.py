"""The spherical midpoint method: symplectic on products of spheres, without a group element in sight.

    z_1 = z + h X(t + h/2, m),    m = |z| (z + z_1) / |z + z_1|,      X(t, m) orthogonal to m

z (..., 3): each vector keeps its length, since z_1 - z is orthogonal to z_1 + z. For X = m x grad H(m), the Lie-Poisson
equations of so(3)*, it is symplectic on the spheres, and keeps H of a free rigid body exactly.

Source: McLachlan, Modin, Verdier, A minimal-variable symplectic integrator on spheres, Math. Comp. 86 (2017) 2325.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import ActingField, Field
from mvnet.integrators.base import Step
from mvnet.integrators.implicit.equations import Solver, solve
from mvnet.integrators.implicit.newton import NEWTON
from mvnet.manifolds.actions import Translation


@dataclass(frozen=True)
class SphericalMidpoint:
    """The method; the radius of every sphere is that of the first state.

    Args:
        solver: of the equation for z_1.
    """

    takes: ClassVar[type] = Field
    kind: ClassVar[str] = "symplectic"
    actions: ClassVar[tuple[type, ...]] = (Translation,)
    options: ClassVar[tuple[str, ...]] = ("solver",)
    preserves = frozenset({"manifold", "symplectic", "reversible"})
    order: int = 2
    solver: Solver = NEWTON

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state; MvnetError unless z (..., 3) is not 0 and X is tangent to its spheres."""
        if z.shape[-1:] != (3,) or not bool((z.detach().norm(dim=-1) > 0).all()):
            raise MvnetError(f"z0: found shape {tuple(z.shape)}, expected vectors (..., 3) other than zero")
        with torch.no_grad():
            x = field(t, z, *args).expand_as(z)
            along = (x * z).sum(-1).abs() / (x.norm(dim=-1) * z.norm(dim=-1)).clamp(min=torch.finfo(z.dtype).tiny)
        if bool((along > torch.finfo(z.dtype).eps ** 0.5).any()):
            raise MvnetError(
                f"field: found a cosine of {float(along.max()):.1e} with the state, expected values tangent to spheres"
            )

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        radius = z.norm(dim=-1, keepdim=True)

        def increment(d: Tensor) -> Tensor:
            total = 2 * z + d
            m = radius * total / total.norm(dim=-1, keepdim=True)
            return (h * field(t + h / 2, m, *args)).expand_as(z)

        with torch.no_grad():
            start = increment(torch.zeros_like(z))
        d = solve(
            lambda d: d - increment(d),
            start,
            solver=self.solver,
            size=z,
            name=f"step at t = {t.detach():.6g}",
        )
        return Step(z + d)
