"""Port-Hamiltonian fields z' = (J - R) grad H(z): J exchanges energy, R takes it (after paper section 6.4.1)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from mvnet.fields.activations import Activation
from mvnet.fields.bounds import growth_in_time
from mvnet.fields.energy import EnergyVectorField
from mvnet.fields.in_time import TimeGrid, affine, draw
from mvnet.fields.potentials import RidgePotential


class PortHamiltonianField(EnergyVectorField):
    """f(t, z) = (J(t) - R(t)) grad H(t, z), J = S - S^T, R = L L^T, H = sum_j gamma((A z + b)_j) + |z|^2 / 2.

    <grad H, f> = -|L^T grad H|^2 <= 0: with parameters constant in time H falls, and keeps the states in a bounded set.

    Args:
        features: d.
        hidden: rows of A, d when None.
        rank: columns of L, d when None; 0 for R = 0, where H is kept.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: of all initial values.
        generator: source of the initial values; torch's global generator when None.
    """

    preserves: ClassVar[frozenset[str]] = frozenset({"energy"})

    def __init__(
        self,
        features: int,
        *,
        hidden: int | None = None,
        rank: int | None = None,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.grid = TimeGrid(intervals, duration, kind)
        self.potential = RidgePotential(features, hidden or features, self.grid, sigma, scale, generator)
        rank, size = features if rank is None else rank, scale / features**0.5
        self.exchange = draw((self.grid.count, features, features), size, generator)
        self.friction = draw((self.grid.count, features, rank), size, generator)

    def energy(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """H(t, z)"""
        return self.potential(t, z) + z.square().sum(-1) / 2

    def gradient(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """A^T sigma(A z + b) + z"""
        return self.potential.gradient(t, z) + z

    def structure(self, t: Tensor, z: Tensor, v: Tensor, *args: Tensor) -> Tensor:
        """(S - S^T) v - L (L^T v)"""
        s, root = self.grid.at(t, self.exchange, self.friction, batch=z.ndim - 1)
        return affine(s - s.mT, v) - affine(root, affine(root.mT, v))

    def one_sided_bound(self) -> Tensor | None:
        """sup lambda_max(sym((J - R) (A^T D A + I))); None for parameters joined by lines."""
        if self.grid.kind == "linear":
            return None
        b = self.exchange - self.exchange.mT - self.friction @ self.friction.mT
        a = self.potential.weight
        return growth_in_time(b @ a.mT, a, self.potential.sigma.slopes, False, b)
