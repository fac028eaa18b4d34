"""Conformal Hamiltonian systems as optimisers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim.base import StructuredOptimizer
from mvnet.optim.hamiltonian.kinetic import Kinetic, find_kinetic, inner, square_norm
from mvnet.optim.hamiltonian.states import gradients_of, momentum_of, move

METHODS = ("euler", "leapfrog")


class ConformalHamiltonian(StructuredOptimizer):
    """The system (56) with H = T(p) + E(theta), by a method that scales the symplectic form as the flow does.

        p' = - dE/dtheta - gamma p,    theta' = dT/dp

    One gradient a step, at the parameters themselves. The heavy ball is the quadratic energy with "euler": rate
    lr^2 / mass, momentum exp(-friction lr). Equation (57) is the relativistic energy with speed 1 and mass
    sqrt(epsilon). A smaller lr, as of a schedule, is a smaller step of the same system.

    Args:
        params: parameters or groups; the momenta of a group are one vector p.
        lr: time step h.
        kinetic: "quadratic", "relativistic", "power", an energy T, or a function of the vector p.
        method: "euler" (first order) or "leapfrog" (second order at the same cost).
        friction: gamma, not negative.
        mass: m of the quadratic and the relativistic energy.
        speed: c, which speeds of the relativistic energy stay below.
        near, far: exponents of the power energy near zero and far from it.
        weight_decay: lambda of a term lambda/2 |theta|^2 in E.
    Raises:
        MvnetError: an unknown name, a number out of its range, or parameters as for any optimiser here.
    Source: paper (55)-(57); `mvnet.optim.hamiltonian.maps` has the formulas.

    Examples:
        >>> import torch
        >>> from mvnet.optim import ConformalHamiltonian
        >>> theta = torch.nn.Parameter(torch.tensor([3.0, -1.0]))
        >>> optimizer = ConformalHamiltonian([theta], lr=0.1, kinetic="relativistic")
        >>> for _ in range(300):
        ...     optimizer.zero_grad()
        ...     loss = theta.square().sum()
        ...     loss.backward()
        ...     energy = optimizer.energy(loss)
        ...     optimizer.step()
        >>> bool(theta.norm() < 1e-3)
        True
    """

    extra = ("kinetic",)

    def __init__(
        self,
        params: Any,
        lr: float = 0.1,
        *,
        kinetic: str | Kinetic | Callable[[Tensor], Tensor] = "quadratic",
        method: str = "euler",
        friction: float = 1.0,
        mass: float = 1.0,
        speed: float = 1.0,
        near: float = 2.0,
        far: float = 1.0,
        weight_decay: float = 0.0,
    ):
        if method not in METHODS:
            raise MvnetError(f"method: found {method!r}, expected one of {', '.join(METHODS)}")
        if not (math.isfinite(friction) and friction >= 0):
            raise MvnetError(f"friction: found {friction}, expected a number that is not negative")
        self.kinetic = find_kinetic(kinetic, mass=mass, speed=speed, near=near, far=far)
        super().__init__(params, {"lr": lr, "friction": friction, "method": method, "weight_decay": weight_decay})

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step."""
        h, friction = group["lr"], group["friction"]
        gradients = gradients_of(group, parameters)
        momenta = [momentum_of(self.state, parameter) for parameter in parameters]
        if group["method"] == "euler":
            # p+ = exp(-gamma h) p - h g
            for p, g in zip(momenta, gradients):
                p.mul_(math.exp(-friction * h)).sub_(g, alpha=h)
        else:
            # the half kick that the last step left open, then that of this one
            for parameter, p, g in zip(parameters, momenta, gradients):
                p.copy_(self._closed(parameter, p, g, friction))
                p.mul_(math.exp(-friction * h / 2)).sub_(g, alpha=h / 2)
                self.state[parameter]["open"] = h
        # theta+ = theta + h dT/dp(p+)
        move(parameters, self.kinetic.velocity(momenta), h)

    @torch.no_grad()
    def energy(self, loss: Tensor | float) -> float:
        """H = T(p) + E(theta), which falls along the flow.

        To be called between `loss.backward()` and `step()`: "leapfrog" needs the gradient for the momentum then.

        Args:
            loss: at the parameters as they are.
        Returns:
            the energy, with the term of the weight decay.
        """
        total = float(loss.detach()) if isinstance(loss, Tensor) else loss
        for group, parameters, momenta in self._now():
            total += float(self.kinetic.energy(momenta)) if momenta else 0.0
            total += group["weight_decay"] / 2 * float(square_norm(parameters)) if group["weight_decay"] else 0.0
        return total

    @torch.no_grad()
    def dissipation(self) -> float:
        """-dH/dt = gamma p . dT/dp along the flow, at the time of `energy`.

        Returns:
            the power that friction takes; not negative where T is convex with its minimum at zero.
        Source: paper section 6.1, where gamma / (2 mu) p . p is printed: half of it for the quadratic energy.
        """
        return sum(
            group["friction"] * float(inner(momenta, self.kinetic.velocity(momenta)))
            for group, _, momenta in self._now()
            if momenta
        )

    def _now(self) -> list[tuple[dict[str, Any], list[nn.Parameter], list[Tensor]]]:
        """For each group its options, its parameters that have a momentum, and these momenta at the present time."""
        found = []
        for group in self.param_groups:
            moving = [p for p in group["params"] if "momentum" in self.state.get(p, {}) and p.grad is not None]
            momenta = [
                self._closed(parameter, self.state[parameter]["momentum"], g, group["friction"])
                for parameter, g in zip(moving, gradients_of(group, moving))
            ]
            found.append((group, moving, momenta))
        return found

    def _closed(self, parameter: nn.Parameter, p: Tensor, g: Tensor, friction: float) -> Tensor:
        """The momentum at the time of the parameters: with the second half kick of "leapfrog"."""
        h = self.state[parameter].get("open", 0.0)
        return math.exp(-friction * h / 2) * (p - h / 2 * g) if h else p
