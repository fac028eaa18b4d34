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
            frame = orthonormal_frame(manifold, z.detach())
            speed = along_frame(lambda x: h * of.energy(t + h, x, *args), z.detach(), frame, nd)
            size = 1 + speed.reshape(count, -1).norm(dim=1)
            x, frame = self._find(
                manifold, equations, z.detach(), frame, size, f"proximal step at t = {t.detach():.6g}"
            )
        a = attach(equations(x, frame), x.new_zeros(count, manifold.dim), dense=manifold.dim)
        return Step(_walk(manifold, x, frame, a) if a.requires_grad else x)

    def _find(
        self,
        manifold: Manifold,
        equations: Callable[[Tensor, Tensor], Function],
        x: Tensor,
        frame: Tensor,
        size: Tensor,
        name: str,
    ) -> tuple[Tensor, Tensor]:
        """The minimiser, from x, and a frame there. Frames are transported, so that an earlier Hessian serves again."""
        tolerance = 16 * torch.finfo(x.dtype).eps if self.tolerance is None else self.tolerance
        zero, count, hessian = x.new_zeros(len(size), manifold.dim), 0, None
        r = equations(x, frame)(zero)
        if not r.isfinite().all():
            raise MvnetError(f"{name}: found values of the potential that are not finite, expected numbers")
        stuck = torch.zeros_like(size, dtype=torch.bool)
        while True:
            norm = r.norm(dim=1)
            pending = ~((norm <= tolerance * size) | stuck)
            if not pending.any():
                return x, frame
            if count == self.iterations:
                raise MvnetError(
                    f"{name}: found a residual of {float((norm / size).max()):.1e} after {count} iterations, "
                    f"expected at most {tolerance:.1e}: take smaller steps or a larger tolerance"
                )
            fresh, count = hessian is None, count + 1
            hessian = jacobian(equations(x, frame), zero) if hessian is None else hessian
            direction = -torch.linalg.solve_ex(hessian, r[..., None])[0][..., 0]
            direction = direction * (REACH / direction.norm(dim=1, keepdim=True)).clamp(max=1)
            s = pending.to(x.dtype)
            for _ in range(self.halvings + 1 if fresh else 1):
                y = _walk(manifold, x, frame, s[:, None] * direction)
                moved = _transport(manifold, x, y, frame)
                value = equations(y, moved)(zero)
                worse = (s > 0) & ~(value.norm(dim=1) < norm)
                # rounding is all that is left where a step no longer helps
                flat = worse & (norm <= rounding(x.dtype) * size)
                stuck = stuck | flat if fresh else stuck
                s = torch.where(flat, 0.0, torch.where(worse, s / 2, s))
                if not worse.any():
                    break
            if fresh or not worse.any():
                x, frame, r = y, moved, value
            if (pending & ~stuck & (value.norm(dim=1) > REUSE * norm)).any():
                hessian = None


def _walk(manifold: Manifold, x: Tensor, frame: Tensor, a: Tensor) -> Tensor:
    """exp_x(sum_i a_i e_i), a (N, dim)"""
    nd = manifold.point_ndim
    return manifold.exp(x, from_frame(frame, a.reshape(*x.shape[: x.ndim - nd], -1), nd))


def _transport(manifold: Manifold, x: Tensor, y: Tensor, frame: Tensor) -> Tensor:
    """The frame at x, moved to y along the geodesic."""
    nd = manifold.point_ndim
    return manifold.transport(x.unsqueeze(-nd - 1), y.unsqueeze(-nd - 1), frame)


REACH = 3.0
"""The longest step of an iteration: functions such as traces grow like exp of the distance."""

REUSE = 0.2
"""A Hessian serves again as long as the slope falls by this factor in every iteration."""

PROXIMAL = Proximal()
