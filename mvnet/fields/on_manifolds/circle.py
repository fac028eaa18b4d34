"""Gradient flows on the circle (paper section 2.4.3)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mvnet.fields.activations import Activation, get_activation
from mvnet.fields.base import VectorField
from mvnet.fields.in_time import TimeGrid, check_count, draw
from mvnet.manifolds.actions import CircleAction
from mvnet.manifolds.circle import Circle


class CircleGradientFlow(VectorField):
    """-dV/dz on S^1, V(t, z) = sum_k gamma(w_k(t) cos(n_k z - phi_k(t)) + b_k(t)), gamma' = sigma, n_k = 1, 2, ...

    A closed geodesic carries no convex function but constants, so nothing is contractive here.

    Args:
        harmonics: largest n_k.
        hidden: number of summands of every n.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: of the initial parameters.
        generator: source of the initial values; torch's global generator when None.
    """

    preserves: ClassVar[frozenset[str]] = frozenset({"manifold", "energy"})

    def __init__(
        self,
        harmonics: int = 2,
        *,
        hidden: int = 2,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_count("harmonics", harmonics)
        check_count("hidden", hidden)
        self.harmonics, self.hidden = harmonics, hidden
        self.grid, self.sigma = TimeGrid(intervals, duration, kind), get_activation(sigma)
        self.action, self.manifold = CircleAction(), Circle()
        shape = (self.grid.count, harmonics * hidden)
        self.weight, self.phase, self.bias = (draw(shape, scale, generator) for _ in range(3))

    def energy(self, t: Tensor, z: Tensor) -> Tensor:
        """V(t, z)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: angles (...), radians.
        Returns:
            shape (...).
        """
        w, phase, b = self._at(t, z)
        return self.sigma.antiderivative(w * (self._frequencies(z) * z[..., None] - phase).cos() + b).sum(-1)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """sum_k sigma(w_k cos(n_k z - phi_k) + b_k) w_k n_k sin(n_k z - phi_k)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: angles (...), radians.
        Returns:
            angular velocities (...).
        """
        w, phase, b = self._at(t, z)
        n = self._frequencies(z)
        angle = n * z[..., None] - phase
        return (self.sigma(w * angle.cos() + b) * w * n * angle.sin()).sum(-1)

    def _at(self, t: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        return self.grid.at(t, self.weight, self.phase, self.bias, batch=z.ndim)

    def _frequencies(self, z: Tensor) -> Tensor:
        return torch.arange(1, self.harmonics + 1, dtype=z.dtype, device=z.device).repeat_interleave(self.hidden)
