"""Mechanics on {g(q) = 0}: q' = p / m, p' = -grad V(t, q) - G(q)^T lambda, with G = dg/dq and G p / m = 0.

RATTLE is symplectic on the constraint, and reversible:

    p_h = p - h/2 grad V(t, q) - G(q)^T mu,     q_1 = q + h p_h / m,                        mu:  g(q_1) = 0
    p_1 = p_h - h/2 grad V(t + h, q_1) - G(q_1)^T nu,                                       nu:  G(q_1) p_1 / m = 0

Projection takes a step of RK4 with the multipliers lambda of the differentiated constraint, then the nearest point of
the constraint along G^T / m, then the part of the momentum that is tangent: of fourth order, and not symplectic.

Source: paper section 2.3; Andersen, J. Comput. Phys. 52 (1983) 24; Hairer, Lubich, Wanner (2006), sections IV.4
and VII.1.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import ActingField, ConstrainedField
from mvnet.fields.energy import gradient_of
from mvnet.integrators.base import Step
from mvnet.integrators.implicit.equations import Solver, solve
from mvnet.integrators.implicit.newton import NEWTON
from mvnet.integrators.tableaus import RK4, combine
from mvnet.manifolds.actions import Translation


def constraint_gradients(field: ConstrainedField, q: Tensor) -> Tensor:
    """G(q) = dg/dq

    Args:
        field: the field.
        q: positions (..., n).
    Returns:
        shape (..., m, n).
    """
    count = field.constraint(q).shape[-1]
    return torch.stack([gradient_of(lambda y, i=i: field.constraint(y)[..., i], q) for i in range(count)], -2)


def tangent_momentum(field: ConstrainedField, q: Tensor, p: Tensor) -> Tensor:
    """p - G^T nu with G p / m = 0: the nearest in the metric of kinetic energy.

    Args:
        field: the field.
        q, p: positions and momenta (..., n).
    Returns:
        shape (..., n).
    """
    g = constraint_gradients(field, q)
    return p - _pull(g, _multiplier(field, g, _push(g, p / _mass(field, p))))


def constrained_velocity(field: ConstrainedField, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
    """(p / m, -grad V - G^T lambda), lambda from the constraint differentiated twice in time.

    (G G^T / m) lambda = -G grad V / m + d/dt(G) v,     v = p / m

    Args:
        field: the field.
        t: time, a scalar tensor.
        z: [q, p], shape (..., 2n).
        args: further inputs of the potential.
    Returns:
        shape (..., 2n).
    """
    q, p = z.chunk(2, dim=-1)
    v = p / _mass(field, p)
    g = constraint_gradients(field, q)
    force = -gradient_of(lambda y: field.potential(t, y, *args), q)
    # d/dt(G) v = grad(G v) v, for every constraint
    turn = [
        (gradient_of(lambda y, i=i: (constraint_gradients(field, y)[..., i, :] * v).sum(-1), q) * v).sum(-1)
        for i in range(g.shape[-2])
    ]
    multiplier = _multiplier(field, g, _push(g, force / _mass(field, p)) + torch.stack(turn, -1))
    return torch.cat((v, force - _pull(g, multiplier)), -1)


def constraint_defects(field: ConstrainedField, z: Tensor) -> tuple[Tensor, Tensor]:
    """How far states are off the constraint and its tangent spaces.

    Args:
        field: the field.
        z: [q, p], shape (..., 2n).
    Returns:
        |g(q)| and |G p / m|, the largest entry of each, shape (...).
    """
    q, p = z.chunk(2, dim=-1)
    drift = _push(constraint_gradients(field, q), p / _mass(field, p))
    return field.constraint(q).abs().amax(-1), drift.abs().amax(-1)


def _mass(field: ConstrainedField, like: Tensor) -> Tensor:
    return field.mass.to(like)


def _push(g: Tensor, v: Tensor) -> Tensor:
    """G v"""
    return (g @ v[..., None])[..., 0]


def _pull(g: Tensor, multiplier: Tensor) -> Tensor:
    """G^T lambda"""
    return (g.mT @ multiplier[..., None])[..., 0]


def _multiplier(field: ConstrainedField, g: Tensor, right: Tensor) -> Tensor:
    """(G G^T / m)^-1 right"""
    mass = _mass(field, g).expand(g.shape[-1]) if field.mass.ndim == 0 else _mass(field, g)
    return torch.linalg.solve(g / mass[..., None, :] @ g.mT, right[..., None])[..., 0]


def _check(field: ActingField, z: Tensor) -> None:
    if z.shape[-1] % 2:
        raise MvnetError(f"z0: found shape {tuple(z.shape)}, expected [q, p] of even length along the last dimension")
    with torch.no_grad():
        bound = torch.finfo(z.dtype).eps ** 0.5 * (1 + float(z.abs().max()))
        found = zip(constraint_defects(cast(ConstrainedField, field.function), z), ("g(q)", "G p / m"), strict=True)
        for defect, name in found:
            if not bool((defect <= bound).all()):
                raise MvnetError(
                    f"z0: found |{name}| = {float(defect.max()):.3g}, expected 0, a state on the constraint"
                )


@dataclass(frozen=True)
class Rattle:
    """RATTLE.

    Args:
        solver: of the equation for mu, for every state by itself.
    """

    takes: ClassVar[type] = ConstrainedField
    kind: ClassVar[str] = "constrained"
    actions: ClassVar[tuple[type, ...]] = (Translation,)
    options: ClassVar[tuple[str, ...]] = ("solver",)
    preserves = frozenset({"constraint", "symplectic", "reversible"})
    order: int = 2
    solver: Solver = NEWTON

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state; MvnetError where z is off the constraint."""
        _check(field, z)

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        of, (q, p) = cast(ConstrainedField, field.function), z.chunk(2, dim=-1)
        g = constraint_gradients(of, q)
        p = p - h / 2 * gradient_of(lambda y: of.potential(t, y, *args), q)
        free = q + h * p / _mass(of, p)

        # kappa = h mu: q_1 = free - G^T kappa / m
        def residual(kappa: Tensor) -> Tensor:
            return of.constraint(free - _pull(g, kappa) / _mass(of, q))

        name = f"RATTLE step at t = {t.detach():.6g}"
        start = g.new_zeros(g.shape[:-1])
        kappa = solve(residual, start, solver=self.solver, size=q, name=name, independent=True)
        q1 = free - _pull(g, kappa) / _mass(of, q)
        p = p - _pull(g, kappa) / h - h / 2 * gradient_of(lambda y: of.potential(t + h, y, *args), q1)
        return Step(torch.cat((q1, tangent_momentum(of, q1, p)), -1))


@dataclass(frozen=True)
class Projection:
    """RK4, then back to the constraint.

    Args:
        solver: of the equation for the nearest point, for every state by itself.
    """

    takes: ClassVar[type] = ConstrainedField
    kind: ClassVar[str] = "constrained"
    actions: ClassVar[tuple[type, ...]] = (Translation,)
    options: ClassVar[tuple[str, ...]] = ("solver",)
    preserves = frozenset({"constraint"})
    order: int = 4
    solver: Solver = NEWTON

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state; MvnetError where z is off the constraint."""
        _check(field, z)

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        of, slopes = cast(ConstrainedField, field.function), []
        for c, row in zip(RK4.c, RK4.a, strict=True):
            u = combine(row, slopes)
            slopes.append(h * constrained_velocity(of, t + c * h, z if u is None else z + u, *args))
        update = combine(RK4.b, slopes)
        assert update is not None
        q, p = (z + update).chunk(2, dim=-1)
        g = constraint_gradients(of, q)

        def residual(kappa: Tensor) -> Tensor:
            return of.constraint(q - _pull(g, kappa) / _mass(of, q))

        name = f"projection at t = {t.detach():.6g}"
        start = g.new_zeros(g.shape[:-1])
        kappa = solve(residual, start, solver=self.solver, size=q, name=name, independent=True)
        q1 = q - _pull(g, kappa) / _mass(of, q)
        return Step(torch.cat((q1, tangent_momentum(of, q1, p)), -1))
