"""Proximal steps: after a step of any optimiser, what is not smooth in the objective.

    prox_{t R}(x) = argmin_z  |z - x|^2 / 2 + t R(z)

For R = |.|_1 that is soft thresholding, which makes entries exactly zero; for the indicator of a set it is the
projection on it. Time steps h_k >= 0 with sum T (paper (39)) are a simplex, on which the projection keeps them.

The metric is the Euclidean one: after gradient descent, with or without momentum, this is the proximal gradient method;
after a method that scales entries apart, such as Adam, fixed points may differ, and constraints hold all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mvnet.errors import MvnetError


class Proximal(Protocol):
    """What `add_proximal_step` takes: (x, t) -> prox_{t R}(x)."""

    def __call__(self, x: Tensor, t: float) -> Tensor:
        """See the class."""
        ...


def soft_threshold(x: Tensor, t: float | Tensor) -> Tensor:
    """prox of t |x|_1: sign(x) max(|x| - t, 0).

    Args:
        x: any shape.
        t: not negative; a number or of a shape that broadcasts.
    Returns:
        the shape of x; differentiable almost everywhere.
    """
    return x.sign() * (x.abs() - t).clamp_min(0)


def project_simplex(x: Tensor, total: float | Tensor = 1.0, dim: int = -1) -> Tensor:
    """The nearest point with entries that are not negative and sum to a total.

        z = max(x - tau, 0),    tau = ( sum of the r largest x - total ) / r,    r the largest with x_(r) > tau

    Args:
        x: any shape with at least one entry along dim.
        total: positive; a number, or of the shape of x without dim.
        dim: along which entries sum to the total.
    Returns:
        the shape of x; differentiable almost everywhere, in x and in the total.
    Raises:
        MvnetError: no entries, or a total that is not positive.
    Source: Duchi et al., Efficient projections onto the l1-ball (2008); paper (39).
    """
    size = x.shape[dim]
    if size == 0:
        raise MvnetError("x: found no entries, expected at least one")
    total = torch.as_tensor(total, dtype=x.dtype, device=x.device)
    if not bool((total > 0).all()):
        raise MvnetError(f"total: found {float(total.min())}, expected a positive number")
    x = x.movedim(dim, -1)
    x = x - x.detach().amax(-1, keepdim=True)  # changes nothing but the rounding of large entries
    # x_(1) >= x_(2) >= ...;  tau_r of the r largest;  r counts those above their own tau
    largest = x.sort(dim=-1, descending=True).values
    taus = (largest.cumsum(-1) - total.unsqueeze(-1)) / torch.arange(1, size + 1, dtype=x.dtype, device=x.device)
    r = (largest > taus).sum(-1, keepdim=True).clamp_min(1)
    return (x - taus.gather(-1, r - 1)).clamp_min(0).movedim(-1, dim)


def project_l1_ball(x: Tensor, radius: float | Tensor = 1.0, dim: int = -1) -> Tensor:
    """The nearest point with |z|_1 <= radius along an axis.

    Args:
        x: any shape with at least one entry along dim.
        radius: positive; a number, or of the shape of x without dim.
        dim: the axis.
    Returns:
        the shape of x; differentiable almost everywhere.
    Raises:
        MvnetError: no entries, or a radius that is not positive.
    Source: Duchi et al. (2008).
    """
    bound = torch.as_tensor(radius, dtype=x.dtype, device=x.device).unsqueeze(-1)
    inside = x.abs().sum(dim, keepdim=True).movedim(dim, -1) <= bound
    return torch.where(inside.movedim(-1, dim), x, x.sign() * project_simplex(x.abs(), radius, dim))


@dataclass(frozen=True)
class L1:
    """R = strength |x|_1.

    Args:
        strength: not negative.
    """

    strength: float

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise MvnetError(f"strength: found {self.strength}, expected a number that is not negative")

    def __call__(self, x: Tensor, t: float) -> Tensor:
        """Soft thresholding at t strength.

        Args:
            x: any shape.
            t: learning rate.
        Returns:
            the shape of x.
        """
        return soft_threshold(x, t * self.strength)


@dataclass(frozen=True)
class Simplex:
    """Entries that are not negative and sum to a total: time steps, weights of a mixture. Paper (39).

    Args:
        total: T, positive.
        dim: axis along which they sum.
    """

    total: float = 1.0
    dim: int = -1

    def __call__(self, x: Tensor, t: float = 0.0) -> Tensor:
        """The projection.

        Args:
            x: any shape.
            t: of no effect.
        Returns:
            the shape of x.
        """
        return project_simplex(x, self.total, self.dim)


def add_proximal_step(
    optimizer: torch.optim.Optimizer, parameters: nn.Parameter | Iterable[nn.Parameter], proximal: Proximal
) -> RemovableHandle:
    """Let every step of an optimiser end with a proximal step of some of its parameters.

    t is the learning rate of the parameter's group at that step. The hook is not part of the `state_dict`, nor of a
    deep copy: add it again to an optimiser that was copied or loaded. Parameters that are to start on a set are
    projected by the caller.

    Args:
        optimizer: any optimiser of torch or of this package.
        parameters: those that take the proximal step.
        proximal: (x, t) -> prox_{t R}(x): `L1`, `Simplex`, or a function.
    Returns:
        a handle; its `remove()` ends it.
    Raises:
        MvnetError: a parameter that the optimiser does not have.
    """
    chosen = [parameters] if isinstance(parameters, nn.Parameter) else list(parameters)
    known = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    if any(parameter not in known for parameter in chosen):
        raise MvnetError("parameters: found one that the optimiser does not have, expected some of its own")
    wanted = set(chosen)

    def hook(optimizer: torch.optim.Optimizer, *_: object) -> None:
        with torch.no_grad():
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter in wanted and parameter.grad is not None:
                        parameter.copy_(proximal(parameter, float(group["lr"])))

    return optimizer.register_step_post_hook(hook)
