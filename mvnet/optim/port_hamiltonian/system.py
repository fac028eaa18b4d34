"""Port-Hamiltonian systems, their interconnection, and a step that keeps their power balance.

    x' = (J(x) - R(x)) dH/dx + B u,    y = B^T dH/dx
    dH/dt = y . u - dH/dx . R dH/dx              (supplied less dissipated)

Systems that feed each other through u = C y + e with C skew are one system again, with J + B C B^T for J: the
interconnection itself neither stores nor supplies power. A network that is trained by (56) is such a composition: every
layer is a moving mass with friction, all of them load one storage, the loss.

Source: paper section 6.4.1; van der Schaft, Port-Hamiltonian systems (2006); Celledoni and Hoeiseth (2017); Massaroli
et al., Port-Hamiltonian approach to neural network training (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.optim.hamiltonian.kinetic import gradient_of


@dataclass(frozen=True)
class PortHamiltonianSystem:
    """A system with n states and m ports.

    Args:
        energy: H, shape (n,) -> shape ().
        structure: J, skew, shape (n,) -> shape (n, n).
        friction: R, positive semidefinite, shape (n,) -> shape (n, n).
        port: B, shape (n, m).
    """

    energy: Callable[[Tensor], Tensor]
    structure: Callable[[Tensor], Tensor]
    friction: Callable[[Tensor], Tensor]
    port: Tensor

    def gradient(self, x: Tensor) -> Tensor:
        """dH/dx.

        Args:
            x: state, shape (n,).
        Returns:
            shape (n,).
        """
        return gradient_of(self.energy, x)

    def output(self, x: Tensor) -> Tensor:
        """y = B^T dH/dx.

        Args:
            x: state, shape (n,).
        Returns:
            shape (m,).
        """
        return self.port.T @ self.gradient(x)

    def rate(self, x: Tensor, u: Tensor | None = None) -> Tensor:
        """x'.

        Args:
            x: state, shape (n,).
            u: input, shape (m,); zero when None.
        Returns:
            shape (n,).
        """
        return self.response(x, self.gradient(x), u)

    def response(self, x: Tensor, effort: Tensor, u: Tensor | None = None) -> Tensor:
        """(J - R) effort + B u.

        Args:
            x: state, shape (n,).
            effort: dH/dx, or a discrete gradient in its place.
            u: input, shape (m,); zero when None.
        Returns:
            shape (n,).
        """
        found = (self.structure(x) - self.friction(x)) @ effort
        return found if u is None else found + self.port @ u


def moving_mass(n: int, friction: float | Callable[[Tensor], Tensor], mass: float = 1.0) -> PortHamiltonianSystem:
    """A layer: momenta p with H = |p|^2 / 2m; force in, velocity out.

    Args:
        n: number of momenta.
        friction: gamma, or R(p), shape (n,) -> shape (n, n).
        mass: m.
    Returns:
        the system.
    """
    identity = torch.eye(n, dtype=torch.float64)
    return PortHamiltonianSystem(
        energy=lambda p: p.square().sum() / (2 * mass),
        structure=lambda p: p.new_zeros(n, n),
        friction=friction if callable(friction) else lambda p: friction * identity.to(p),
        port=identity,
    )


def storage(n: int, energy: Callable[[Tensor], Tensor]) -> PortHamiltonianSystem:
    """A loss: parameters theta with H = E(theta); velocity in, dE/dtheta out.

    Args:
        n: number of parameters.
        energy: E, shape (n,) -> shape ().
    Returns:
        the system.
    """
    return PortHamiltonianSystem(
        energy, lambda x: x.new_zeros(n, n), lambda x: x.new_zeros(n, n), torch.eye(n, dtype=torch.float64)
    )


def interconnect(systems: Sequence[PortHamiltonianSystem], coupling: Tensor) -> PortHamiltonianSystem:
    """The composition of systems through u = C y + e.

    Args:
        systems: any number; their states and ports are stacked.
        coupling: C, skew, shape (ports, ports) with ports the number of all ports.
    Returns:
        the system with input e.
    Raises:
        MvnetError: C is not skew: it would supply power.
    """
    if not torch.equal(coupling, -coupling.T):
        raise MvnetError(f"coupling: found C + C^T of {float((coupling + coupling.T).abs().max())}, expected 0")
    port = torch.block_diag(*(system.port for system in systems))
    sizes = [len(system.port) for system in systems]
    joint = port @ coupling @ port.T

    def parts(x: Tensor) -> list[tuple[PortHamiltonianSystem, Tensor]]:
        return list(zip(systems, x.split(sizes)))

    return PortHamiltonianSystem(
        energy=lambda x: torch.stack([system.energy(part) for system, part in parts(x)]).sum(),
        structure=lambda x: torch.block_diag(*(system.structure(part) for system, part in parts(x))) + joint,
        friction=lambda x: torch.block_diag(*(system.friction(part) for system, part in parts(x))),
        port=port,
    )


def discrete_gradient(energy: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """The discrete gradient at the midpoint, D with D . (y - x) = H(y) - H(x) exactly.

        D = g + ( H(y) - H(x) - g . d ) / |d|^2  d,    g = dH/dx((x + y) / 2),  d = y - x

    Args:
        energy: H, shape (n,) -> shape ().
        x, y: states, shape (n,).
    Returns:
        shape (n,).
    Source: Gonzalez, Time integration and discrete Hamiltonian systems (1996).
    """
    d, g = y - x, gradient_of(energy, (x + y) / 2)
    square = d.square().sum()
    excess = energy(y) - energy(x) - g @ d
    tiny = torch.finfo(x.dtype).tiny
    return g + torch.where(square > tiny, excess / square.clamp_min(tiny), 0.0) * d


def discrete_gradient_step(
    system: PortHamiltonianSystem, x: Tensor, h: float, u: Tensor | None = None, iterations: int = 20
) -> tuple[Tensor, Tensor]:
    """One step x+ = x + h ( (J - R) D + B u ), J and R at the midpoint, D the discrete gradient: second order.

        H(x+) - H(x) = h ( y . u - D . R D ),    y = B^T D

    whatever h is: without an input H never grows. The equation is solved by Newton's method, with the derivative by
    automatic differentiation.

    Args:
        system: any.
        x: state, shape (n,).
        h: step.
        u: input, shape (m,), over the step; zero when None.
        iterations: at most.
    Returns:
        x+, and y, shape (m,).
    Source: Celledoni and Hoeiseth (2017); paper section 6.4.1.
    """

    def residual(y: Tensor) -> Tensor:
        return y - x - h * system.response((x + y) / 2, discrete_gradient(system.energy, x, y), u)

    y = x + h * system.rate(x, u)
    for _ in range(iterations):
        slope = torch.autograd.functional.jacobian(residual, y)
        step = torch.linalg.solve(slope, residual(y))  # type: ignore[arg-type]
        y = y - step
        if step.norm() <= 10 * torch.finfo(x.dtype).eps * (1 + y.norm()):
            break
    return y, system.port.T @ discrete_gradient(system.energy, x, y)
