"""Kinetic energies T(p) of a momentum p, which is the list of the momenta of all parameters.

The norm |p| is that of the whole list: T is one function of one vector, however it is stored. Energies are smooth and
smallest at p = 0, so that the limit points of (56) are the stationary points of E (paper section 6.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mvnet.errors import MvnetError


class Kinetic(Protocol):
    """What an energy offers: its value, and its gradient, the velocity."""

    def energy(self, momenta: Sequence[Tensor]) -> Tensor:
        """T(p).

        Args:
            momenta: of any shapes.
        Returns:
            shape ().
        """
        ...

    def velocity(self, momenta: Sequence[Tensor]) -> list[Tensor]:
        """dT/dp.

        Args:
            momenta: of any shapes.
        Returns:
            one for each momentum, of its shape.
        """
        ...


def square_norm(tensors: Sequence[Tensor]) -> Tensor:
    """|p|^2 of all entries, on the device of the first tensor.

    Args:
        tensors: of any shapes; at least one.
    Returns:
        shape ().
    """
    first = tensors[0].device
    return torch.stack([tensor.square().sum().to(first) for tensor in tensors]).sum()


def inner(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """The inner product of two lists.

    Args:
        left, right: of equal shapes; at least one.
    Returns:
        shape ().
    """
    first = left[0].device
    return torch.stack([(a * b).sum().to(first) for a, b in zip(left, right)]).sum()


def scaled(tensors: Sequence[Tensor], factor: Tensor) -> list[Tensor]:
    """Every tensor times one number.

    Args:
        tensors: of any shapes and devices.
        factor: shape ().
    Returns:
        of the same shapes.
    """
    return [tensor * factor.to(tensor) for tensor in tensors]


def gradient_of(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of a function, with a graph of its own where x has one.

    Args:
        function: differentiable; shape (n,) -> shape ().
        x: shape (n,).
    Returns:
        shape (n,).
    """
    recorded = torch.is_grad_enabled() and x.requires_grad
    with torch.enable_grad():
        point = x if recorded else x.detach().requires_grad_()
        value = function(point)
        return torch.autograd.grad(value, point, create_graph=recorded, allow_unused=True, materialize_grads=True)[0]


@dataclass(frozen=True)
class Quadratic(Kinetic):
    """T = |p|^2 / 2m, the energy of (55).

    Args:
        mass: m.
    """

    mass: float = 1.0

    def energy(self, momenta: Sequence[Tensor]) -> Tensor:
        """|p|^2 / 2m."""
        return square_norm(momenta) / (2 * self.mass)

    def velocity(self, momenta: Sequence[Tensor]) -> list[Tensor]:
        """Momentum over mass, p / m."""
        return [p / self.mass for p in momenta]


@dataclass(frozen=True)
class Relativistic(Kinetic):
    """T = c sqrt(|p|^2 + (m c)^2), with speeds below c. With c = 1 and m^2 = epsilon the energy of (57).

    Args:
        mass: m.
        speed: c.
    Source: paper (57); Franca et al., Conformal symplectic and relativistic optimization (2020).
    """

    mass: float = 1.0
    speed: float = 1.0

    def energy(self, momenta: Sequence[Tensor]) -> Tensor:
        """c sqrt(|p|^2 + (m c)^2)."""
        return self.speed * (square_norm(momenta) + (self.mass * self.speed) ** 2).sqrt()

    def velocity(self, momenta: Sequence[Tensor]) -> list[Tensor]:
        """c p / sqrt(|p|^2 + (m c)^2)."""
        return scaled(momenta, self.speed / (square_norm(momenta) + (self.mass * self.speed) ** 2).sqrt())


@dataclass(frozen=True)
class Power(Kinetic):
    """T = ((|p|^a + 1)^(A/a) - 1) / A: like |p|^a / a near zero and |p|^A / A far away; equal to both where a = A.

    A power below 2 near zero suits objectives that are steeper than quadratic, one above 2 those that are flatter.

    Args:
        near: a > 1.
        far: A >= 1.
    Source: Maddison et al., Hamiltonian descent methods (2018), section 4.1.
    """

    near: float = 2.0
    far: float = 1.0

    def __post_init__(self) -> None:
        if not (self.near > 1 and self.far >= 1):
            raise MvnetError(f"power: found near={self.near}, far={self.far}, expected near > 1 and far >= 1")

    def energy(self, momenta: Sequence[Tensor]) -> Tensor:
        """((|p|^a + 1)^(A/a) - 1) / A."""
        a, power = self.near, self._norm(momenta) ** self.near
        return power / a if a == self.far else torch.expm1(self.far / a * power.log1p()) / self.far

    def velocity(self, momenta: Sequence[Tensor]) -> list[Tensor]:
        """(|p|^a + 1)^(A/a - 1) |p|^(a - 2) p."""
        a, norm = self.near, self._norm(momenta)
        slope = norm ** (a - 2)
        return scaled(momenta, slope if a == self.far else slope * (norm**a + 1) ** (self.far / a - 1))

    @staticmethod
    def _norm(momenta: Sequence[Tensor]) -> Tensor:
        """|p|, kept off zero, where |p|^(a - 2) p is zero."""
        square = square_norm(momenta)
        return square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()


@dataclass(frozen=True)
class Arbitrary(Kinetic):
    """T(p) = function(p) with p one vector; the velocity is its gradient.

    Args:
        function: differentiable; shape (n,) -> shape ().
    """

    function: Callable[[Tensor], Tensor]

    def energy(self, momenta: Sequence[Tensor]) -> Tensor:
        """function(p)."""
        return self.function(_vector(momenta))

    def velocity(self, momenta: Sequence[Tensor]) -> list[Tensor]:
        """The gradient of the function; of what it is a function itself where gradients are recorded."""
        gradient = gradient_of(self.function, _vector(momenta))
        parts = gradient.split([p.numel() for p in momenta])
        return [part.view_as(p).to(p) for part, p in zip(parts, momenta)]


def _vector(momenta: Sequence[Tensor]) -> Tensor:
    return torch.cat([p.flatten().to(momenta[0]) for p in momenta])


KINETICS = ("quadratic", "relativistic", "power")
"""Names of the energies."""


def find_kinetic(
    kinetic: str | Kinetic | Callable[[Tensor], Tensor], *, mass: float, speed: float, near: float, far: float
) -> Kinetic:
    """The energy of a name.

    Args:
        kinetic: one of `KINETICS`, an energy, or a function for `Arbitrary`.
        mass: of `Quadratic` and `Relativistic`.
        speed: of `Relativistic`.
        near, far: of `Power`.
    Returns:
        the energy.
    Raises:
        MvnetError: unknown name, or a mass or speed that is not positive.
    """
    for name, value in {"mass": mass, "speed": speed}.items():
        if not value > 0:
            raise MvnetError(f"{name}: found {value}, expected a positive number")
    if isinstance(kinetic, str):
        if kinetic not in KINETICS:
            raise MvnetError(f"kinetic: found {kinetic!r}, expected one of {', '.join(KINETICS)}")
        named: dict[str, Kinetic] = {
            "quadratic": Quadratic(mass),
            "relativistic": Relativistic(mass, speed),
            "power": Power(near, far),
        }
        return named[kinetic]
    if hasattr(kinetic, "velocity"):
        return kinetic  # type: ignore[return-value]
    if callable(kinetic):
        return Arbitrary(kinetic)
    raise MvnetError(f"kinetic: found {type(kinetic).__name__}, expected a name, an energy or a function")
