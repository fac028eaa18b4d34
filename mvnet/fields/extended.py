"""The extended phase space, in which a non-autonomous Hamiltonian field is autonomous (paper eq. (20)).

    K(q, t, p, p_t) = H(t, q, p) + p_t,      q' = dH/dp, t' = 1, p' = -dH/dq, p_t' = -dH/dt.

States y = [q, t, p, p_t], so that J of dimension 2 (n + 1) is the structure. K is kept, and p_t is a constant less H.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import EnergyField, Part
from mvnet.fields.energy import EnergyVectorField, gradient_of
from mvnet.fields.hamiltonian import SeparableHamiltonian, apply_symplectic
from mvnet.fields.potentials import Potential


class ExtendedHamiltonian(EnergyVectorField):
    """J grad K of y = [q, t, p, p_t]. Time enters as a state: the solver's own time is not looked at.

    A method phi with phi . mu = mu . phi, mu the projection that forgets p_t, gives the same (q, p) as on the field
    itself: Runge-Kutta methods do, and compositions of the parts, which freeze time as those of the field do.

    Args:
        field: the field of H(t, q, p) with `J` as its structure. Its parameters must be continuous in time for K
            to be kept: dH/dt is taken by automatic differentiation, which sees no jumps.

    Examples:
        >>> import torch
        >>> from mvnet.fields import ExtendedHamiltonian, HamiltonianField
        >>> field = HamiltonianField(lambda t, z: (1 + t) * z.square().sum(-1) / 2)
        >>> extended = ExtendedHamiltonian(field)
        >>> y = extended.extend(torch.tensor(0.5), torch.tensor([1.0, 2.0]))
        >>> y, extended(torch.tensor(0.0), y)
        (tensor([ 1.0000,  0.5000,  2.0000, -3.7500]), tensor([ 3.0000,  1.0000, -1.5000, -2.5000]))
    """

    preserves: ClassVar[frozenset[str]] = frozenset({"symplectic", "volume", "energy"})

    def __init__(self, field: EnergyField):
        super().__init__()
        self.field = field

    def extend(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """The state over (t, z) with K = 0.

        Args:
            t: time, a scalar tensor.
            z: states [q, p], shape (..., 2n).
            args: further inputs of the field.
        Returns:
            [q, t, p, -H(t, z)], shape (..., 2n + 2).
        """
        q, p = z.chunk(2, dim=-1)
        time = t.to(z).expand(*z.shape[:-1], 1)
        return torch.cat((q, time, p, -self.field.energy(t, z, *args)[..., None]), -1)

    def split(self, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """mu, and what it forgets.

        Args:
            y: states (..., 2n + 2).
        Returns:
            t (..., 1), z = [q, p] (..., 2n), p_t (..., 1).
        Raises:
            MvnetError: y is not of even dimension 4 or more.
        """
        if y.shape[-1] < 4 or y.shape[-1] % 2:
            raise MvnetError(f"y: found shape {tuple(y.shape)}, expected (..., 2n + 2) with q, t, p, p_t")
        n = y.shape[-1] // 2 - 1
        q, t, p, p_t = y.split((n, 1, n, 1), dim=-1)
        return t, torch.cat((q, p), -1), p_t

    def energy(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """K(y) = H(t, q, p) + p_t, t the entry of the state"""
        time, state, p_t = self.split(z)
        return self.field.energy(time, state, *args) + p_t[..., 0]

    def structure(self, t: Tensor, z: Tensor, v: Tensor, *args: Tensor) -> Tensor:
        """J v"""
        return apply_symplectic(v)

    @property
    def parts(self) -> Sequence[Part]:
        """K as the sum of p_t, T(t, p) and V(t, q): each has an exact flow.

        Raises:
            MvnetError: H is not separable.
        """
        if not isinstance(self.field, SeparableHamiltonian):
            name = type(self.field).__name__
            raise MvnetError(f"field: found {name}, expected a SeparableHamiltonian, whose extension has parts")
        return (ClockPart(), ExtendedPart(self.field.kinetic, moves=0), ExtendedPart(self.field.potential, moves=1))


class ClockPart:
    """t' = 1: the part p_t of K."""

    def __call__(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """1 at the entry of time

        Args:
            t: not used.
            z: states (..., 2n + 2).
            args: not used.
        Returns:
            the same shape.
        """
        unit = z.new_zeros(z.shape[-1])
        unit[z.shape[-1] // 2 - 1] = 1
        return unit.expand_as(z)

    def flow(self, t: Tensor, h: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """t + h

        Args:
            t: not used.
            h: step size.
            z: states (..., 2n + 2).
            args: not used.
        Returns:
            the same shape.
        """
        return z + h * self(t, z)


class ExtendedPart:
    """J grad of a function of time and of one half of z, which its flow leaves alone.

    Args:
        function: T of the momenta, or V of the positions.
        moves: the half that moves, 0 for the positions (T), 1 for the momenta (V).
    """

    def __init__(self, function: Potential, moves: int):
        self.function, self.moves = function, moves

    def __call__(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """(grad T, 0, 0, -dT/dt), or (0, 0, -grad V, -dV/dt)

        Args:
            t: not used; time is an entry of the state.
            z: states (..., 2n + 2).
            args: further inputs.
        Returns:
            the same shape.
        """
        n = z.shape[-1] // 2 - 1
        q, time, p, _ = z.split((n, 1, n, 1), dim=-1)
        x = p if self.moves == 0 else q

        def joint(y: Tensor) -> Tensor:
            return self.function(y[..., -1:], y[..., :-1], *args)

        slope, rate = gradient_of(joint, torch.cat((x, time), -1)).split((n, 1), dim=-1)
        still = torch.zeros_like(x)
        halves = (slope, still) if self.moves == 0 else (still, -slope)
        return torch.cat((halves[0], torch.zeros_like(time), halves[1], -rate), -1)

    def flow(self, t: Tensor, h: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """z + h times the part: neither its half nor time moves.

        Args:
            t: not used.
            h: step size.
            z: states (..., 2n + 2).
            args: further inputs.
        Returns:
            the same shape.
        """
        return z + h * self(t, z, *args)
