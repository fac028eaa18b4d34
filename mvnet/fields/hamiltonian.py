"""Hamiltonian fields z' = J grad H(t, z), z = [q, p] along the last dimension (paper section 2.1.2).

The paper writes (z, p) for our (q, p), and J = [[0, I], [-I, 0]]. Its form omega_0(x, y) = <x, J y> is dz ^ dp; printed
is dp ^ dz, which has the opposite sign. With <x, J y>, dH = omega_0(f, .) gives f = J grad H, that is (18) and (19).

In the matrix J_H of omega_H = omega_0 - dH ^ dt the two conventions mix: i_f omega_H = 0 for f = (J grad H, 1) asks for

    J_H = [[-J, -grad H], [grad H^T, 0]]        (omega_0 = dp ^ dz),

where J is printed; with J and these borders f^T J_H is (2 grad H^T, 0).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.activations import Activation
from mvnet.fields.base import Part, VectorField
from mvnet.fields.bounds import growth_in_time
from mvnet.fields.energy import EnergyVectorField
from mvnet.fields.in_time import TimeGrid
from mvnet.fields.potentials import Potential, QuadraticPotential, RidgePotential, as_potential


def apply_symplectic(v: Tensor) -> Tensor:
    """J v = (v_p, -v_q)

    Args:
        v: covectors (..., 2n).
    Returns:
        the same shape.
    """
    q, p = v.chunk(2, dim=-1)
    return torch.cat((p, -q), -1)


def check_even(features: int) -> int:
    """Half of the dimension of a phase space.

    Args:
        features: 2n.
    Returns:
        n.
    Raises:
        MvnetError: the number is odd or not positive.
    """
    if features < 2 or features % 2:
        raise MvnetError(f"features: found {features}, expected an even number, positions and momenta")
    return features // 2


class HamiltonianField(EnergyVectorField):
    """z' = J grad H(t, z): (q', p') = (dH/dp, -dH/dq), paper eq. (18) and (19).

    Args:
        hamiltonian: H, a potential or a function (t, z, *args) -> (...) of z (..., 2n).

    Examples:
        >>> import torch
        >>> from mvnet.fields import HamiltonianField
        >>> pendulum = HamiltonianField(lambda t, z: z[..., 1] ** 2 / 2 - z[..., 0].cos())
        >>> pendulum(torch.tensor(0.0), torch.tensor([0.0, 2.0]))
        tensor([2., -0.])
    """

    preserves: ClassVar[frozenset[str]] = frozenset({"symplectic", "volume", "energy"})

    def __init__(self, hamiltonian: Potential | Callable[..., Tensor]):
        super().__init__()
        self.hamiltonian = as_potential(hamiltonian)

    def energy(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """H(t, z)"""
        return self.hamiltonian(t, z, *args)

    def gradient(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """grad H(t, z)"""
        return self.hamiltonian.gradient(t, z, *args)

    def structure(self, t: Tensor, z: Tensor, v: Tensor, *args: Tensor) -> Tensor:
        """J v"""
        return apply_symplectic(v)


class RidgeHamiltonian(HamiltonianField):
    """H(t, z) = sum_j gamma((A(t) z + b(t))_j) of positions and momenta together: learned, not separable.

    Args:
        features: 2n.
        hidden: rows of A, 2n when None.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma, scale, generator: see `RidgePotential`.
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: int | None = None,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        check_even(features)
        grid = TimeGrid(intervals, duration, kind)
        super().__init__(RidgePotential(features, hidden or features, grid, sigma, scale, generator))
        self.grid = grid

    def one_sided_bound(self) -> Tensor:
        """sup lambda_max(sym(J A^T D A)); see `mvnet.fields.bounds`."""
        ridge = cast(RidgePotential, self.hamiltonian)
        left = apply_symplectic(ridge.weight).mT
        return growth_in_time(left, ridge.weight, ridge.sigma.slopes, self.grid.kind == "linear")


class SeparableHamiltonian(HamiltonianField):
    """H(t, q, p) = T(t, p) + V(t, q), a `SplitField`: parts `kinetic`, `potential`, each with an exact flow.

    Args:
        kinetic: T, a potential or a function (t, p, *args) -> (...).
        potential: V, likewise of q.
    """

    def __init__(self, kinetic: Potential | Callable[..., Tensor], potential: Potential | Callable[..., Tensor]):
        VectorField.__init__(self)  # H is made of its summands
        self.kinetic, self.potential = as_potential(kinetic), as_potential(potential)

    def energy(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """T(t, p) + V(t, q)"""
        q, p = z.chunk(2, dim=-1)
        return self.kinetic(t, p, *args) + self.potential(t, q, *args)

    def gradient(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """(grad V(t, q), grad T(t, p))"""
        q, p = z.chunk(2, dim=-1)
        return torch.cat((self.potential.gradient(t, q, *args), self.kinetic.gradient(t, p, *args)), -1)

    @property
    def parts(self) -> Sequence[Part]:
        """(q', p') = (grad T(t, p), 0), then (0, -grad V(t, q))."""
        return (DriftPart(self.kinetic), KickPart(self.potential))


class DriftPart:
    """q' = grad T(t, p), p' = 0

    Args:
        kinetic: T.
    """

    def __init__(self, kinetic: Potential):
        self.kinetic = kinetic

    def __call__(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """(grad T(t, p), 0)

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: states (..., 2n).
            args: further inputs.
        Returns:
            shape (..., 2n).
        """
        p = z.chunk(2, dim=-1)[1]
        return torch.cat((self.kinetic.gradient(t, p, *args), torch.zeros_like(p)), -1)

    def flow(self, t: Tensor, h: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """(q + h grad T(t, p), p)

        Args:
            t: time at which T is frozen.
            h: step size.
            z: states (..., 2n).
            args: further inputs.
        Returns:
            shape (..., 2n).
        """
        q, p = z.chunk(2, dim=-1)
        return torch.cat((q + h * self.kinetic.gradient(t, p, *args), p), -1)


class KickPart:
    """q' = 0, p' = -grad V(t, q)

    Args:
        potential: V.
    """

    def __init__(self, potential: Potential):
        self.potential = potential

    def __call__(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """(0, -grad V(t, q))

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: states (..., 2n).
            args: further inputs.
        Returns:
            shape (..., 2n).
        """
        q = z.chunk(2, dim=-1)[0]
        return torch.cat((torch.zeros_like(q), -self.potential.gradient(t, q, *args)), -1)

    def flow(self, t: Tensor, h: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """(q, p - h grad V(t, q))

        Args:
            t: time at which V is frozen.
            h: step size.
            z: states (..., 2n).
            args: further inputs.
        Returns:
            shape (..., 2n).
        """
        q, p = z.chunk(2, dim=-1)
        return torch.cat((q, p - h * self.potential.gradient(t, q, *args)), -1)


class TwoLayerHamiltonian(SeparableHamiltonian):
    """q' = A1(t)^T sigma1(A1(t) p + b1(t)), p' = -A2(t)^T sigma2(A2(t) q + b2(t)): paper section 2.1.2.

    With sigma1 = sigma2 the second example of the paper's source.

    Args:
        features: 2n.
        hidden: rows of A1 and of A2, n when None.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma: sigma2, a name of `ACTIVATIONS` or an `Activation`.
        kinetic_sigma: sigma1, likewise; sigma2 when None.
        scale, generator: see `RidgePotential`.
    Source: Chang et al., Reversible architectures for arbitrarily deep residual neural networks, AAAI (2018).
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: int | None = None,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        kinetic_sigma: str | Activation | None = None,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        n = check_even(features)
        grid = TimeGrid(intervals, duration, kind)
        first = sigma if kinetic_sigma is None else kinetic_sigma
        ridges = [RidgePotential(n, hidden or n, grid, s, scale, generator) for s in (first, sigma)]
        super().__init__(*ridges)
        self.grid = grid

    def one_sided_bound(self) -> Tensor:
        """sup lambda_max(sym J'), J' = [[0, A1^T D1 A1], [-A2^T D2 A2, 0]]; see `mvnet.fields.bounds`."""
        ridges = [cast(RidgePotential, ridge) for ridge in (self.kinetic, self.potential)]
        a1, a2 = (ridge.weight for ridge in ridges)
        zero1, zero2 = torch.zeros_like(a1), torch.zeros_like(a2)
        left = torch.cat((torch.cat((a1, zero1), -1), torch.cat((zero2, -a2), -1)), -2).mT
        right = torch.cat((torch.cat((zero1, a1), -1), torch.cat((a2, zero2), -1)), -2)
        slopes = torch.tensor([ridge.sigma.slopes for ridge in ridges for _ in range(ridge.weight.shape[1])])
        return growth_in_time(left, right, slopes.to(a1), self.grid.kind == "linear")


class SecondOrderHamiltonian(SeparableHamiltonian):
    """q'' = -A(t)^T sigma(A(t) q + b(t)), that is q' = p: paper section 2.1.2 with T = |p|^2 / 2.

    Args:
        features: 2n.
        hidden: rows of A, n when None.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma, scale, generator: see `RidgePotential`.
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: int | None = None,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        n = check_even(features)
        grid = TimeGrid(intervals, duration, kind)
        super().__init__(QuadraticPotential(), RidgePotential(n, hidden or n, grid, sigma, scale, generator))
        self.grid = grid

    def one_sided_bound(self) -> Tensor:
        """sup lambda_max(sym J'), J' = [[0, I], [-A^T D A, 0]]; see `mvnet.fields.bounds`."""
        ridge = cast(RidgePotential, self.potential)
        a = ridge.weight
        zero, n = torch.zeros_like(a), a.shape[-1]
        left, right = torch.cat((zero, -a), -1).mT, torch.cat((a, zero), -1)
        fixed = a.new_zeros(len(a), 2 * n, 2 * n)
        fixed[:, :n, n:] = torch.eye(n)
        return growth_in_time(left, right, ridge.sigma.slopes, self.grid.kind == "linear", fixed)
