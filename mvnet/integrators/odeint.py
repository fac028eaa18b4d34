"""Integrate z' = xi(t, z, *args) . z over given times.

Methods take one step for each interval; adaptive methods choose their steps in between. Gradients are those of the
discrete solution by default, exact for the network as evaluated; `mvnet.integrators.gradients` has modes that need less
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import ActingField, Field
from mvnet.integrators.adaptive import Adaptive, AdaptiveSolution
from mvnet.integrators.gradients import Problem, get_gradient
from mvnet.integrators.loop import check_finite
from mvnet.integrators.methods import METHODS, check_combination, configured
from mvnet.integrators.times import grid_of
from mvnet.manifolds.actions import GroupAction

SAVE = ("all", "last")


def odeint(
    field: Field | Callable[..., Tensor],
    z0: Tensor,
    t: Tensor | Sequence[float] | Sequence[Sequence[float]],
    *,
    args: tuple[Tensor, ...] = (),
    action: GroupAction | None = None,
    method: str = "rkmk4",
    gradient: str = "discrete",
    save: str = "all",
    inputs: Sequence[Tensor] = (),
    every: int | None = None,
    **options: Any,
) -> Tensor:
    """Solve for the states at the times t.

    Args:
        field: (t, z, *args) -> xi in the Lie algebra of the action (or broadcasting to it), t a scalar tensor; shape
            (B', 1, ..., 1) for the adaptive methods, whose samples have their own times.
        z0: state at t[0], in the layout of the action; the adaptive methods need samples along the first dimension.
        t: 1-D, n times, forwards or backwards; a tensor may require a gradient. One step for each interval, or as many
            as an adaptive method needs; for these also (B, n), times for every sample.
        args: further inputs of the field, constant in time; gradients flow to these.
        action: how xi acts on z; None selects the attribute `action` of the field, or z + xi (Runge-Kutta in R^n).
        method: a name of `METHODS`.
        gradient: "discrete", through the steps; or another name of `mvnet.integrators.gradients.GRADIENTS`.
        save: "all" states, or the "last" one alone.
        inputs: tensors that the field closes over, for the modes of gradient that have to know them; parameters of a
            field that is a module (or a method of one) are known.
        every: steps between two checkpoints of gradient="checkpoint"; the root of their number when None.
        **options: settings that the method names in its `options`: rtol, atol, max_steps, min_step and per_sample of
            adaptive methods.
    Returns:
        (n, *z0.shape), the first entry z0; z0.shape for save="last".
    Raises:
        MvnetError: unknown method, gradient, save or option, or a combination of them that does not work; times in no
            order; z0 or xi not in the layout of the action; a state that is not finite where z0 is.
    """
    if save not in SAVE:
        raise MvnetError(f"save: found {save!r}, expected one of {', '.join(SAVE)}")
    mode, chosen = get_gradient(gradient), configured(method, **options)
    times = grid_of(t, z0, per_sample=chosen.kind == "adaptive")
    acting = _bind(method, field, z0, action)
    problem = Problem(method, chosen, acting, times, z0, args, save, tuple(inputs), every)
    states = mode(problem)
    if chosen.kind != "adaptive":  # these look after themselves
        check_finite(chosen, acting, times, z0, args, states[-1] if save == "all" else states)
    return states


def solve_adaptively(
    field: Field | Callable[..., Tensor],
    z0: Tensor,
    t: Tensor | Sequence[float] | Sequence[Sequence[float]],
    *,
    args: tuple[Tensor, ...] = (),
    method: str = "dopri5",
    save: str = "all",
    **options: Any,
) -> AdaptiveSolution:
    """Solve by an adaptive method and say what it cost: `odeint` with the statistics of the steps.

    Args:
        field: (t, z, *args) -> velocities of the shape of z; t (B', 1, ..., 1), z (B', ...), those B' of the B samples
            that have not reached their last time.
        z0, t, args, save: as in `odeint`.
        method: an adaptive one of `METHODS`.
        **options: rtol, atol, max_steps, min_step; per_sample, the indices of args whose first dimension is that of the
            samples.
    Returns:
        the states as `odeint` returns them, and for every sample the steps accepted and rejected and the evaluations.
    Raises:
        MvnetError: as in `odeint`; another kind of method.
    """
    chosen = configured(method, **options)
    if not isinstance(chosen, Adaptive):
        adaptive = ", ".join(name for name, m in METHODS.items() if isinstance(m, Adaptive))
        raise MvnetError(f"method: found {method!r}, expected one of {adaptive}")
    if save not in SAVE:
        raise MvnetError(f"save: found {save!r}, expected one of {', '.join(SAVE)}")
    times = grid_of(t, z0, per_sample=True)
    return chosen.solution(_bind(method, field, z0, None), times, z0, args, save)


def step(
    method: str,
    field: Field | Callable[..., Tensor],
    t: Tensor | float,
    h: Tensor | float,
    z: Tensor,
    action: GroupAction | None = None,
    args: tuple[Tensor, ...] = (),
) -> Tensor:
    """Take one step.

    Args:
        method: a name of `METHODS`.
        field, action, args: as in `odeint`.
        t: time, a number or a scalar tensor.
        h: step size, likewise.
        z: state at t, in the layout of the action.
    Returns:
        the state at t + h.
    Raises:
        MvnetError: as in `odeint`.
    """
    t, h = (torch.as_tensor(x, dtype=z.dtype.to_real(), device=z.device) for x in (t, h))
    chosen = configured(method)
    acting = _bind(method, field, z, action)
    return chosen.step(acting, t, h, z, args, chosen.init(acting, t, z, args)).z


def _bind(method: str, field: Field | Callable[..., Tensor], z0: Tensor, action: GroupAction | None) -> ActingField:
    """The field with its action; MvnetError unless the method integrates them."""
    acting = ActingField.of(field, z0, action)  # pyright: ignore[reportArgumentType]
    check_combination(method, field, acting.action)
    return acting
