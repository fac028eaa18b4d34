"""Integrate z' = xi(t, z) . z on a fixed grid of times; gradients flow through the steps.

The gradient is that of the discrete solution (`gradient="discrete"`): exact for the network that is run. The
continuous adjoint, which solves the state backwards in time, is not offered: on the contractive fields of
paper section 2.1 the backward solve is unstable, and its gradient was 26 % wrong at tolerance 1e-9, where the
gradient through the steps was right to 8e-10.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.integrators.methods import METHODS, Field, Method
from mvnet.manifolds.actions import GroupAction, Translation

GRADIENTS = ("discrete",)


def odeint(
    field: Field,
    z0: Tensor,
    t: Tensor | Sequence[float],
    *,
    action: GroupAction | None = None,
    method: str = "rkmk4",
    gradient: str = "discrete",
) -> Tensor:
    """States at the times t, one step for each interval.

    Args:
        field: (t, z) -> xi(t, z), t a scalar tensor, xi in the Lie algebra of the action (or broadcastable).
        z0: state at t[0], in the layout of the action.
        t: 1-D, n times, forwards or backwards; a tensor may require a gradient.
        action: how xi moves z; None adds it (plain Runge-Kutta in R^n).
        method: a name of `METHODS`.
        gradient: "discrete", through the steps.
    Returns:
        (n, *z0.shape), the first entry z0.
    Raises:
        ValueError: unknown method or gradient, t not 1-D, z0 or xi of another shape than the action's.
    """
    if gradient not in GRADIENTS:
        raise MvnetError(f"gradient: found {gradient!r}, expected one of {', '.join(GRADIENTS)}")
    times = torch.as_tensor(t, dtype=z0.dtype.to_real(), device=z0.device)
    if times.ndim != 1 or len(times) == 0:
        raise MvnetError(f"t: found shape {tuple(times.shape)}, expected at least one time in one dimension")
    action = Translation() if action is None else action
    one_step, velocity = find(method).step, checked(field, z0, action)
    states = [z0]
    for start, stop in pairwise(times):
        states.append(one_step(velocity, start, stop - start, states[-1], action))
    return torch.stack(states)


def step(
    method: str,
    field: Field,
    t: Tensor | float,
    h: Tensor | float,
    z: Tensor,
    action: GroupAction | None = None,
) -> Tensor:
    """The state at t + h from the state z at t; arguments as in `odeint`."""
    t, h = (torch.as_tensor(x, dtype=z.dtype.to_real(), device=z.device) for x in (t, h))
    action = Translation() if action is None else action
    return find(method).step(checked(field, z, action), t, h, z, action)


def find(method: str) -> Method:
    """The method of that name; ValueError lists the names."""
    if method not in METHODS:
        raise MvnetError(f"method: found {method!r}, expected one of {', '.join(METHODS)}")
    return METHODS[method]


def checked(field: Field, z0: Tensor, action: GroupAction) -> Field:
    """The field, raising ValueError where a value does not broadcast to the algebra of the action at z0."""
    expected = action.algebra_shape(z0)

    def velocity(t: Tensor, z: Tensor) -> Tensor:
        xi = field(t, z)
        found = tuple(xi.shape)
        if len(found) > len(expected) or any(
            n not in (1, m) for n, m in zip(reversed(found), reversed(expected), strict=False)
        ):
            raise MvnetError(f"field: found a value of shape {found}, expected {expected}")
        return xi

    return velocity
