"""Gradient flows on SO(3), and Hamiltonian ones on its cotangent bundle (paper section 2.4.3)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from mvnet.fields.activations import Activation, get_activation
from mvnet.fields.base import VectorField
from mvnet.fields.in_time import TimeGrid, check_count, draw
from mvnet.linalg import so3
from mvnet.manifolds.actions import RotationAction
from mvnet.manifolds.rigid_motions import RigidMotionAction
from mvnet.manifolds.rotations import Rotations


class RotationPotential(nn.Module):
    """V(t, R) = sum_k gamma(tr(A_k(t)^T R) + b_k(t)), gamma' = sigma. (The angle from Q to R is one of tr(Q^T R).)

    Args:
        hidden: number of summands.
        grid: in time.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: of the initial parameters.
        generator: source of the initial values; torch's global generator when None.
    """

    def __init__(
        self,
        hidden: int,
        grid: TimeGrid,
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_count("hidden", hidden)
        self.grid, self.sigma = grid, get_activation(sigma)
        self.weight = draw((grid.count, hidden, 3, 3), scale / 3, generator)
        self.bias = draw((grid.count, hidden), scale, generator)

    def _scores(self, t: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.grid.at(t, self.weight, self.bias, batch=r.ndim - 2)
        return (a * r[..., None, :, :]).sum((-2, -1)) + b, a

    def forward(self, t: Tensor, r: Tensor) -> Tensor:
        """V(t, R)

        Args:
            t: time, a scalar tensor, or one time for each state.
            r: rotations (..., 3, 3).
        Returns:
            shape (...).
        """
        return self.sigma.antiderivative(self._scores(t, r)[0]).sum(-1)

    def gradient(self, t: Tensor, r: Tensor) -> Tensor:
        """g with dV = g . w along hat(w) R: g = vee(G R^T - R G^T), G = sum_k sigma(tr(A_k^T R) + b_k) A_k.

        Args:
            t: time, a scalar tensor, or one time for each state.
            r: rotations (..., 3, 3).
        Returns:
            axis vectors (..., 3), the Riemannian gradient right-trivialised.
        """
        s, a = self._scores(t, r)
        m = (self.sigma(s)[..., None, None] * a).sum(-3) @ r.mT
        return so3.vee(m - m.mT)


class RotationGradientFlow(VectorField):
    """-grad V on SO(3), V as in `RotationPotential`; z (..., 3, 3), values are axis vectors (..., 3).

    A compact group carries no geodesically convex function but constants, so nothing is contractive here.

    Args:
        hidden: number of summands of V.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: of the initial parameters.
        generator: source of the initial values; torch's global generator when None.
    """

    preserves: ClassVar[frozenset[str]] = frozenset({"manifold", "energy"})

    def __init__(
        self,
        hidden: int = 4,
        *,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.grid, self.action = TimeGrid(intervals, duration, kind), RotationAction()
        self.manifold = Rotations()
        self.potential = RotationPotential(hidden, self.grid, sigma, scale, generator)

    def energy(self, t: Tensor, z: Tensor) -> Tensor:
        """V(t, z)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: rotations (..., 3, 3).
        Returns:
            shape (...).
        """
        return self.potential(t, z)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """-grad V(t, z)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: rotations (..., 3, 3).
        Returns:
            axis vectors (..., 3).
        """
        return -self.potential.gradient(t, z)


class RotorField(VectorField):
    """The Hamiltonian field of H(t, R, m) = m . (m / I) / 2 + V(t, R) on T*SO(3), right-trivialised.

        R' = hat(w) R,   m' = w x m - grad V(t, R),   w = m / I

    z = [R | m] of shape (..., 3, 4), which `RigidMotionAction` moves: values are (w, -grad V) of shape (..., 6). With
    V = 0 this is the Lie-Poisson equation of the free rigid body, and |m| is kept at every step of every Lie-group
    method. (In the body's frame, with attitude R^T and momentum -m, it reads M' = M x W.)

    Args:
        hidden: number of summands of V; 0 for V = 0.
        intervals, duration, kind: of V in time; see `TimeGrid`.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: of the initial parameters of V.
        generator: source of the initial values; torch's global generator when None.

    Examples:
        >>> import torch
        >>> from mvnet.fields import RotorField
        >>> from mvnet.integrators import odeint
        >>> free = RotorField(0)
        >>> start = torch.cat((torch.eye(3), torch.tensor([[1.0], [2.0], [2.0]])), -1)
        >>> end = odeint(free, start, torch.linspace(0, 5, 6), method="cf4", save="last")
        >>> round(end[:, 3].norm().item(), 4)
        3.0
    """

    preserves: ClassVar[frozenset[str]] = frozenset({"manifold", "symplectic", "volume", "energy"})

    def __init__(
        self,
        hidden: int = 4,
        *,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.grid, self.action = TimeGrid(intervals, duration, kind), RigidMotionAction()
        self.potential = RotationPotential(hidden, self.grid, sigma, scale, generator) if hidden else None
        self.log_inertia = nn.Parameter(torch.tensor([0.0, 0.3, 0.6]))

    @property
    def inertia(self) -> Tensor:
        """I, three positive numbers, learned as logarithms."""
        return self.log_inertia.exp()

    def energy(self, t: Tensor, z: Tensor) -> Tensor:
        """H(t, R, m)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: [R | m], shape (..., 3, 4).
        Returns:
            shape (...).
        """
        r, m = z[..., :3], z[..., 3]
        kinetic = (m.square() / self.inertia).sum(-1) / 2
        return kinetic if self.potential is None else kinetic + self.potential(t, r)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """(m / I, -grad V(t, R))

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: [R | m], shape (..., 3, 4).
        Returns:
            twists (..., 6).
        """
        r, m = z[..., :3], z[..., 3]
        force = torch.zeros_like(m) if self.potential is None else -self.potential.gradient(t, r)
        return torch.cat((m / self.inertia, force), -1)
