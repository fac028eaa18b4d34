"""The flows every Lie-group method is tried on: nonlinear, non-autonomous, one for each group action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from mvnet.integrators import (
    METHODS,
    CircleAction,
    Congruence,
    GroupAction,
    RigidMotionAction,
    RotationAction,
    Translation,
)
from mvnet.linalg import gl3, so3, sym3
from mvnet.manifolds.circle import wrap

DTYPE = torch.float64

LIE_GROUP = [name for name, method in METHODS.items() if method.kind == "lie_group"]
"""Methods for every field and every action."""


@dataclass
class Flow:
    """z' = xi(t, z; theta) . z from z0 over the unit interval, and the group that acts on its states."""

    action: GroupAction
    z0: Tensor
    theta: Tensor  # (3, *algebra)
    field: Callable[[Tensor, Tensor, Tensor], Tensor]  # xi(t, z, theta)
    velocity: Callable[[Tensor, Tensor], Tensor]  # xi . z, in the ambient space
    g: Tensor  # an element of the group
    translate: Callable[[Tensor, Tensor], Tensor]  # g . z
    adjoint: Callable[[Tensor, Tensor], Tensor]  # Ad_g xi
    inverse: Callable[[Tensor], Tensor]
    defect: Callable[[Tensor], float]  # distance from the manifold
    difference: Callable[[Tensor, Tensor], Tensor] = torch.sub

    def xi(self, t: Tensor, z: Tensor) -> Tensor:
        return self.field(t, z, self.theta)

    @cached_property
    def solution(self) -> Tensor:
        """z(1) by an eighth-order method in the ambient space, tolerance 1e-13: nothing shared with ours."""

        def slope(t, y):
            z = torch.from_numpy(y).reshape(self.z0.shape)
            return self.velocity(self.xi(torch.tensor(t, dtype=DTYPE), z), z).numpy().ravel()

        start = self.z0.numpy().ravel()
        solved = solve_ivp(slope, (0.0, 1.0), start, method="DOP853", rtol=1e-13, atol=1e-14)
        return torch.from_numpy(solved.y[:, -1]).reshape(self.z0.shape)


def _normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DTYPE)


def _spd(n: int, seed: int) -> Tensor:
    a = torch.eye(3, dtype=DTYPE) + 0.4 * _normal(n, 3, 3, seed=seed)
    return a @ a.mT + 0.1 * torch.eye(3, dtype=DTYPE)


def _spd_field(t: Tensor, p: Tensor, m: Tensor) -> Tensor:
    trace = p.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    return (3 * t).cos() * m[0] + (m[1] @ p + t.sin() * p @ m[2]) / (1 + trace)


def _congruence() -> Flow:
    return Flow(
        action=Congruence(),
        z0=_spd(2, seed=0),
        theta=0.5 * _normal(3, 3, 3, seed=1),
        field=_spd_field,
        velocity=lambda xi, p: xi @ p + p @ xi.mT,
        g=torch.eye(3, dtype=DTYPE) + 0.3 * _normal(3, 3, seed=2),
        translate=lambda g, p: g @ p @ g.mT,
        adjoint=lambda g, xi: g @ xi @ torch.linalg.inv(g),
        inverse=torch.linalg.inv,
        defect=_spd_defect,
    )


def _spd_defect(p: Tensor) -> float:
    """Asymmetry; infinite where p is not positive definite."""
    positive = bool((torch.linalg.eigvalsh(p) > 0).all())
    return float((p - p.mT).abs().max()) if positive else float("inf")


def _planes() -> Flow:
    points = _congruence()

    def to_planes(p: Tensor) -> Tensor:
        return sym3.pack(p, dim=1)

    return Flow(
        action=Congruence(dim=1),
        z0=to_planes(points.z0),
        theta=points.theta,
        field=lambda t, z, m: gl3.from_matrix(_spd_field(t, sym3.unpack(z), m), dim=1),
        velocity=lambda xi, z: to_planes(points.velocity(gl3.to_matrix(xi), sym3.unpack(z))),
        g=points.g,
        translate=lambda g, z: to_planes(points.translate(g, sym3.unpack(z))),
        adjoint=lambda g, xi: gl3.from_matrix(points.adjoint(g, gl3.to_matrix(xi)), dim=1),
        inverse=points.inverse,
        defect=lambda z: _spd_defect(sym3.unpack(z)),
    )


def _rotations() -> Flow:
    def field(t: Tensor, r: Tensor, w: Tensor) -> Tensor:
        return (2 * t).cos() * w[0] + r @ w[1] + (3 * t).sin() * r[..., 0, :1] * (r.mT @ w[2])

    return Flow(
        action=RotationAction(),
        z0=so3.exp(_normal(2, 3, seed=3)),
        theta=0.6 * _normal(3, 3, seed=4),
        field=field,
        velocity=lambda xi, r: so3.hat(xi) @ r,
        g=so3.exp(_normal(3, seed=5)),
        translate=lambda g, r: g @ r,
        adjoint=lambda g, xi: (g @ xi[..., None])[..., 0],
        inverse=lambda g: g.mT,
        defect=lambda r: float((r @ r.mT - torch.eye(3, dtype=DTYPE)).abs().max()),
    )


def _motions() -> Flow:
    def field(t: Tensor, z: Tensor, w: Tensor) -> Tensor:
        r, m = z[..., :3], z[..., 3]
        turned = torch.cat((r @ w[1, :3], (r.mT @ w[1, 3:]) * m.tanh()), -1)
        return (2 * t).cos() * w[0] + turned + (3 * t).sin() * m[..., :1].tanh() * w[2]

    def translate(g: Tensor, z: Tensor) -> Tensor:
        moved = g[:, :3] @ z
        return torch.cat((moved[..., :3], moved[..., 3:] + g[:, 3:]), -1)

    def adjoint(g: Tensor, xi: Tensor) -> Tensor:
        r, x = g[:, :3], g[:, 3]
        w, u = (r @ xi[..., :3, None])[..., 0], (r @ xi[..., 3:, None])[..., 0]
        return torch.cat((w, u - torch.linalg.cross(w, x.expand_as(w))), -1)

    def velocity(xi: Tensor, z: Tensor) -> Tensor:
        moved = so3.hat(xi[..., :3]) @ z
        return torch.cat((moved[..., :3], moved[..., 3:] + xi[..., 3:, None]), -1)

    return Flow(
        action=RigidMotionAction(),
        z0=torch.cat((so3.exp(_normal(2, 3, seed=9)), _normal(2, 3, 1, seed=10)), -1),
        theta=0.6 * _normal(3, 6, seed=11),
        field=field,
        velocity=velocity,
        g=torch.cat((so3.exp(_normal(3, seed=12)), _normal(3, 1, seed=13)), -1),
        translate=translate,
        adjoint=adjoint,
        inverse=lambda g: torch.cat((g[:, :3].mT, -g[:, :3].mT @ g[:, 3:]), -1),
        defect=lambda z: float((z[..., :3] @ z[..., :3].mT - torch.eye(3, dtype=DTYPE)).abs().max()),
    )


def _circle() -> Flow:
    return Flow(
        action=CircleAction(),
        z0=torch.tensor([-3.0, 0.4, 2.9], dtype=DTYPE),
        theta=torch.tensor([1.0, 0.8, 0.7], dtype=DTYPE),
        field=lambda t, z, w: (2 * t).cos() * w[0] + w[1] * z.sin() + w[2] * (z + 3 * t).cos(),
        velocity=lambda xi, z: xi,
        g=torch.tensor(1.3, dtype=DTYPE),
        translate=lambda g, z: wrap(g + z),
        adjoint=lambda g, xi: xi,
        inverse=torch.neg,
        defect=lambda z: max(0.0, float(z.abs().max()) - torch.pi),
        difference=lambda a, b: wrap(a - b),
    )


def _euclidean() -> Flow:
    return Flow(
        action=Translation(),
        z0=_normal(2, 3, seed=6),
        theta=_normal(3, 3, seed=7),
        field=lambda t, z, w: (2 * t).cos() * w[0] + z.sin() * w[1] + (z.roll(1, -1) * t).tanh() * w[2],
        velocity=lambda xi, z: xi,
        g=_normal(3, seed=8),
        translate=torch.add,
        adjoint=lambda g, xi: xi,
        inverse=torch.neg,
        defect=lambda z: 0.0,
    )


FLOWS = {
    "congruence": _congruence(),
    "planes": _planes(),
    "rotations": _rotations(),
    "motions": _motions(),
    "circle": _circle(),
    "euclidean": _euclidean(),
}


PAIRS = [
    pytest.param(name, flow, id=f"{name}-{where}")
    for name, method in METHODS.items()
    if method.kind in ("lie_group", "explicit")
    for where, flow in FLOWS.items()
    if type(flow.action) in getattr(method, "actions", (type(flow.action),))
]
"""Every Lie-group and explicit method with the flows that it integrates."""


@pytest.fixture(params=list(FLOWS))
def flow(request: pytest.FixtureRequest) -> Flow:
    return FLOWS[request.param]
