"""Relativistic gradient descent as an optimiser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim.base import StructuredOptimizer
from mvnet.optim.hamiltonian.kinetic import scaled, square_norm
from mvnet.optim.hamiltonian.states import gradients_of, momentum_of, move


class RelativisticGradientDescent(StructuredOptimizer):
    """Gradient descent with momentum and a speed limit: the published scheme, with alpha and delta.

        x_half = x + sqrt(mu) v / sqrt(mu delta |v|^2 + 1)
        v_half = sqrt(mu) v - epsilon dE/dx(x_half)
        x+     = alpha x_half + (1 - alpha) x + v_half / sqrt(delta |v_half|^2 + 1)
        v+     = sqrt(mu) v_half

    The parameters are the points x_half, at which gradients are due, as those of Nesterov's method in torch are;
    `positions` gives x. RGD(alpha=0, delta=0) is Nesterov's method; RGD(alpha=1) is conformal: a leapfrog of (57).

    Args:
        params: parameters or groups; those of a group are one vector.
        lr: epsilon.
        momentum: mu, from 0 to below 1.
        delta: a half step is no longer than 1 / sqrt(delta).
        alpha: 1 for a conformal method, 0 for Nesterov's.
        weight_decay: lambda of a term lambda/2 |x|^2 in E.
    Raises:
        MvnetError: a number out of its range, or parameters as for any optimiser here.
    Source: paper (57); Franca et al. (2020), algorithm 1. The h of Figure 4 is epsilon: (57) itself with that step
        hardly moves.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        *,
        momentum: float = 0.9,
        delta: float = 1.0,
        alpha: float = 1.0,
        weight_decay: float = 0.0,
    ):
        if not 0 <= momentum < 1:
            raise MvnetError(f"momentum: found {momentum}, expected a number from 0 to below 1")
        if not (math.isfinite(delta) and delta >= 0):
            raise MvnetError(f"delta: found {delta}, expected a number that is not negative")
        if not 0 <= alpha <= 1:
            raise MvnetError(f"alpha: found {alpha}, expected a number from 0 to 1")
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "delta": delta, "alpha": alpha, "weight_decay": weight_decay}
        )

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step."""
        root, delta = math.sqrt(group["momentum"]), group["delta"]
        momenta = [momentum_of(self.state, parameter) for parameter in parameters]
        # from x_half back to alpha x_half + (1 - alpha) x
        if group["alpha"] < 1:
            move(parameters, _limited([root * v for v in momenta], delta), group["alpha"] - 1)
        # v_half = sqrt(mu) v - epsilon g, with g at x_half
        for v, g in zip(momenta, gradients_of(group, parameters)):
            v.mul_(root).sub_(g, alpha=group["lr"])
        move(parameters, _limited(momenta, delta), 1.0)
        # v+, and on to the next x_half
        for v in momenta:
            v.mul_(root)
        move(parameters, _limited([root * v for v in momenta], delta), 1.0)

    @torch.no_grad()
    def positions(self) -> list[Tensor]:
        """The points x of the parameters, which are at x_half.

        Returns:
            one tensor for each parameter, group by group.
        """
        found = []
        for group in self.param_groups:
            points = {p: p.detach().clone() for p in group["params"]}
            if moving := [p for p in group["params"] if "momentum" in self.state.get(p, {})]:
                # x = x_half - sqrt(mu) v / sqrt(mu delta |v|^2 + 1)
                root = math.sqrt(group["momentum"])
                ahead = _limited([root * self.state[p]["momentum"] for p in moving], group["delta"])
                move([points[p] for p in moving], ahead, -1.0)
            found += points.values()
        return found


def _limited(momenta: Sequence[Tensor], delta: float) -> list[Tensor]:
    """v / sqrt(delta |v|^2 + 1), together shorter than 1 / sqrt(delta)."""
    return scaled(momenta, (delta * square_norm(momenta) + 1).rsqrt())
