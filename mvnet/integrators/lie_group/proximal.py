"""Geodesic implicit Euler for gradient flows, as a proximal map.

    z_1 = argmin_x  V(t + h, x) + d(x, z)^2 / (2 h),       that is  z = exp_{z_1}( h grad V(z_1) )

On a Hadamard manifold, such as Sym+(n) with its affine-invariant metric, and for geodesically convex V the minimiser is
unique and d(z_1, w_1) <= d(z, w) at every h: B-stability, where the geodesic explicit Euler step expands distances.

Newton's method moves its coordinates along: at each iterate an orthonormal frame, in which the Hessian of the function
is at least 1 / h. The gradient is that of the implicit function theorem.

Source: paper section 2.4.3; Bacak, Convex Analysis and Optimization in Hadamard Spaces (2014), section 2.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import ActingField, GradientField
from mvnet.integrators.base import Step
from mvnet.integrators.implicit.equations import attach
from mvnet.integrators.implicit.newton import Function, jacobian, rounding
from mvnet.integrators.lie_group.frames import along_frame, from_frame, orthonormal_frame
from mvnet.manifolds import Manifold


@dataclass(frozen=True)
class Proximal:
    """The proximal step, for every point by itself.

    Args:
        tolerance: of |h grad V(z_1) - log_{z_1} z|, relative to the larger of the two and 1; None: 16 rounding units.
        iterations: largest number of Newton's method.
        halvings: of one of its steps.
    """

    takes: ClassVar[type] = GradientField
    kind: ClassVar[str] = "proximal"
    options: ClassVar[tuple[str, ...]] = ("tolerance", "iterations")
    preserves = frozenset({"manifold", "contractive", "energy"})
    order: int = 1
    tolerance: float | None = None
    iterations: int = 100
    halvings: int = 20

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state; MvnetError unless z lies on the manifold."""
        cast(GradientField, field.function).manifold.check_point(z.detach(), "z0")

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h; h must be positive."""
        if not bool(h > 0):
            raise MvnetError(f"h: found {float(h):.3g}, expected a positive step: the proximal map has no inverse flow")
        of = cast(GradientField, field.function)
        manifold, nd = of.manifold, of.manifold.point_ndim
        count = z[(..., *(0,) * nd)].numel()

        def equations(x: Tensor, frame: Tensor) -> Function:
            """a (N, dim) -> derivative of h V + d^2 / 2 in the directions of the frame at x, at exp_x(a)"""

            def potential(a: Tensor) -> Tensor:
                y = manifold.exp(x, from_frame(frame, a, nd))
                return h * of.energy(t + h, y, *args) + manifold.squared_dist(y, z) / 2

            def slope(a: Tensor) -> Tensor:
                shaped = a.reshape(*z.shape[: z.ndim - nd], -1)
                return torch.func.grad(lambda b: potential(b).sum())(shaped).reshape(a.shape)

            return slope

        with torch.no_grad():
            frozen = z.detach()
            x = self._find(manifold, equations, frozen, lambda x: h * of.energy(t + h, x, *args), f"t = {float(t):.6g}")
        frame = orthonormal_frame(manifold, x)
        a = attach(equations(x, frame), x.new_zeros(count, manifold.dim), dense=manifold.dim)
        return Step(
            manifold.exp(x, from_frame(frame, a.reshape(*z.shape[: z.ndim - nd], -1), nd)) if a.requires_grad else x
        )

    def _find(
        self,
        manifold: Manifold,
        equations: Callable[[Tensor, Tensor], Function],
        z: Tensor,
        scaled: Callable[[Tensor], Tensor],
        name: str,
    ) -> Tensor:
        """The minimiser, from z."""
        nd, x = manifold.point_ndim, z
        tolerance = 16 * torch.finfo(z.dtype).eps if self.tolerance is None else self.tolerance
        frame = orthonormal_frame(manifold, x)
        function = equations(x, frame)
        zero = z.new_zeros(z[(..., *(0,) * nd)].numel(), manifold.dim)
        r = function(zero)
        if not r.isfinite().all():
            raise MvnetError(f"proximal step at {name}: found values of the potential that are not finite")
        stuck = torch.zeros(len(zero), dtype=torch.bool, device=z.device)
        for count in range(self.iterations + 1):
            norm = r.norm(dim=1)
            size = 1 + along_frame(scaled, x, frame, nd).reshape(len(zero), -1).norm(dim=1)
            pending = ~((norm <= tolerance * size) | stuck)
            if not pending.any():
                break
            if count == self.iterations:
                raise MvnetError(
                    f"proximal step at {name}: found a residual of {float(norm.max()):.1e} after {count} iterations, "
                    f"expected at most {tolerance:.1e}: take smaller steps or a larger tolerance"
                )
            direction = -torch.linalg.solve_ex(jacobian(function, zero), r[..., None])[0][..., 0]
            s = torch.ones_like(norm)
            for _ in range(self.halvings + 1):
                a = torch.where(pending, s, 0.0)[:, None] * direction
                y = manifold.exp(x, from_frame(frame, a.reshape(*z.shape[: z.ndim - nd], -1), nd))
                moved = orthonormal_frame(manifold, y)
                value = equations(y, moved)(zero)
                worse = pending & ~(value.norm(dim=1) < norm)
                if not worse.any():
                    break
                flat = worse & (norm <= rounding(z.dtype) * size)
                stuck, pending = stuck | flat, pending & ~flat
                s = torch.where(worse, s / 2, s)
            x, frame = y, moved
            function = equations(x, frame)
            r = function(zero)
        return x


PROXIMAL = Proximal()
