"""Problems for the methods that ask something of the field: non-autonomous, nonlinear, with parameters as arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from mvnet.fields import SeparableHamiltonian
from mvnet.linalg import so3
from mvnet.manifolds import SPD
from mvnet.manifolds.actions import Congruence, RotationAction

DTYPE = torch.float64


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DTYPE)


@dataclass
class Problem:
    """A field with its start and parameters, and z' = velocity(t, z, theta) in the ambient space."""

    field: Any
    z0: Tensor
    theta: Tensor
    velocity: Callable[[Tensor, Tensor, Tensor], Tensor]
    lift: Callable[[Tensor], Tensor] = lambda z: z
    """From any tensor near z0 to a state: what gradients are tested through."""
    fine: int = 32
    """Number of steps whose error is compared with that of twice as many."""

    @cached_property
    def solution(self) -> Tensor:
        """z(1) by an eighth-order method, tolerance 1e-13."""

        def slope(t, y):
            z = torch.from_numpy(y).reshape(self.z0.shape)
            return self.velocity(torch.tensor(t, dtype=DTYPE), z, self.theta).numpy().ravel()

        solved = solve_ivp(slope, (0.0, 1.0), self.z0.numpy().ravel(), method="DOP853", rtol=1e-13, atol=1e-14)
        return torch.from_numpy(solved.y[:, -1]).reshape(self.z0.shape)


class Mechanics(SeparableHamiltonian):
    """Two coupled pendulums with masses and forces that change in time; theta (3)."""

    def __init__(self):
        super().__init__(
            lambda t, p, w: (1 + w[0] / 3 * (2 * t).sin()) * p.square().sum(-1) / 2 + p.pow(4).sum(-1) / 20,
            lambda t, q, w: (w[1] * t - 1) * q.cos().sum(-1) + w[2] * (3 * t).cos() * q.prod(-1) / 2,
        )


class Tensors:
    """-grad V on Sym+(3), V = a tr(P A(t)) + b tr(P^-1) + c log det P; theta = (a, b, c), a, b > 0: convex."""

    manifold = SPD(3)
    action = Congruence()

    def _weights(self, t: Tensor, z: Tensor) -> Tensor:
        return torch.diag(1 + torch.stack((t, t.sin(), 1 - t)) / 2).to(z)

    def __call__(self, t: Tensor, z: Tensor, w: Tensor) -> Tensor:
        """xi = (-a P A + b P^-1 - c) / 2"""
        identity = torch.eye(3, dtype=z.dtype)
        return (-w[0] * z @ self._weights(t, z) + w[1] * torch.linalg.inv(z) - w[2] * identity) / 2

    def energy(self, t: Tensor, z: Tensor, w: Tensor) -> Tensor:
        traces = ((z @ self._weights(t, z)).diagonal(dim1=-2, dim2=-1), torch.linalg.inv(z).diagonal(dim1=-2, dim2=-1))
        return w[0] * traces[0].sum(-1) + w[1] * traces[1].sum(-1) + w[2] * torch.linalg.det(z).log()


class Pendulum:
    """A point of unequal masses on the sphere |q| = 1 in a force that turns; theta (2)."""

    mass = torch.tensor([1.0, 1.5, 0.7], dtype=DTYPE)

    def potential(self, t: Tensor, q: Tensor, w: Tensor) -> Tensor:
        return q[..., 2] + w[0] * (2 * t).cos() * q[..., 0] + w[1] * q[..., 1].square()

    def constraint(self, q: Tensor) -> Tensor:
        return (q.square().sum(-1, keepdim=True) - 1) / 2

    def __call__(self, t: Tensor, z: Tensor, w: Tensor) -> Tensor:
        """p' = F - lambda q with lambda = (q . F / m + |v|^2) / (q . q / m)"""
        q, p = z.chunk(2, dim=-1)
        mass = self.mass.to(z)
        v = p / mass
        force = -torch.stack((w[0] * (2 * t).cos() + 0 * q[..., 0], 2 * w[1] * q[..., 1], 1 + 0 * q[..., 0]), -1)
        pull = ((q * force / mass).sum(-1) + v.square().sum(-1)) / (q.square() / mass).sum(-1)
        return torch.cat((v, force - pull[..., None] * q), -1)

    def state(self, x: Tensor) -> Tensor:
        """Any (..., 6) -> [q, p] with |q| = 1 and q . p / m = 0"""
        q, p = x.chunk(2, dim=-1)
        q = q / q.norm(dim=-1, keepdim=True)
        mass = self.mass.to(x)
        along = (q * p / mass).sum(-1, keepdim=True) / (q.square() / mass).sum(-1, keepdim=True)
        return torch.cat((q, p - along * q), -1)


class Turning:
    """R' = hat(w(t)) R: a velocity that does not look at the state."""

    action = RotationAction()

    def __call__(self, t: Tensor, z: Tensor, w: Tensor) -> Tensor:
        return (2 * t).cos() * w[0] + (1 + t).log() * w[1] + (3 * t).sin() * w[2]


def top(t: Tensor, z: Tensor, w: Tensor) -> Tensor:
    """Euler's equations m' = m x grad H with moments of inertia that change in time."""
    return torch.linalg.cross(z, z * w[0] * (1 + (2 * t).sin() * w[1]) + w[2])


def _symmetric(p: Tensor) -> Tensor:
    return (p + p.mT) / 2


_MECHANICS = Mechanics()
HAMILTONIAN = Problem(
    _MECHANICS, 0.8 * normal(3, 4, seed=0), torch.tensor([0.9, 0.4, 0.7], dtype=DTYPE), _MECHANICS.__call__
)
_PENDULUM = Pendulum()
CONSTRAINED = Problem(
    _PENDULUM,
    _PENDULUM.state(0.5 * normal(3, 6, seed=1)),
    torch.tensor([0.8, 0.5], dtype=DTYPE),
    _PENDULUM,
    lift=_PENDULUM.state,
)
_TENSORS = Tensors()
GRADIENT = Problem(
    _TENSORS,
    _symmetric(torch.eye(3, dtype=DTYPE) + 0.3 * normal(1, 3, 3, seed=2)),
    torch.tensor([0.6, 0.5, 0.3], dtype=DTYPE),
    lambda t, z, w: 2 * _symmetric(_TENSORS(t, z, w) @ z),
    lift=_symmetric,
    fine=4,
)
_TURNING = Turning()
LINEAR = Problem(
    _TURNING, so3.exp(normal(2, 3, seed=3)), 1.5 * normal(3, 3, seed=4), lambda t, z, w: so3.hat(_TURNING(t, z, w)) @ z
)
SPHERE = Problem(top, normal(2, 3, seed=5), normal(3, 3, seed=6), top)

STRUCTURED: dict[str, Problem] = {
    "symplectic_euler": HAMILTONIAN,
    "verlet": HAMILTONIAN,
    "yoshida4": HAMILTONIAN,
    "gonzalez": HAMILTONIAN,
    "mean_value": HAMILTONIAN,
    "itoh_abe": HAMILTONIAN,
    "rattle": CONSTRAINED,
    "projection": CONSTRAINED,
    "proximal": GRADIENT,
    "riemannian_gonzalez": GRADIENT,
    "magnus4": LINEAR,
    "magnus6": LINEAR,
    "spherical_midpoint": SPHERE,
}
"""Method -> a problem that it can solve."""
