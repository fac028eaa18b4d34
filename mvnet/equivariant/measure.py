"""How far a model is from equivariance: max over g of |model(g . x) - g . model(x)| / |model(x)|.

Source: paper section 5.3.3 (approximate equivariance).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mvnet.equivariant.field_type import FieldType
from mvnet.equivariant.groups import Group
from mvnet.equivariant.groups import group as by_name

Action = Callable[[int, Tensor], Tensor]
"""action(g, x) is g . x, g the index of an element of the group."""


class EquivarianceError(NamedTuple):
    """The largest relative error, and that of every group element in order."""

    largest: float
    elements: list[float]


def equivariance_error(
    model: Callable[[Tensor], Tensor],
    group: Group | str,
    x: Tensor,
    act_in: FieldType | Action | None = None,
    act_out: FieldType | Action | None = None,
    disk: float = 0.7,
) -> EquivarianceError:
    """|model(g . x) - g . model(x)| / |model(x)| in the largest norm, for every group element g.

    An element that does not move points of the grid onto points interpolates, and what lies outside the field is not
    known to it: there both norms are taken over a centred disk (ball) that the boundary should not influence, so its
    radius plus the receptive radius of the model should be below half of the shortest side. The error of interpolation
    is part of the result.

    Args:
        model: a map from fields to fields; a module is put in evaluation mode for the time of the measurement.
        group: or its name.
        x: input, shape (B, C, n_1, ..., n_d).
        act_in, act_out: how the group acts on input and output: their types, or functions (g, x) -> g . x; None moves
            points and leaves the values alone.
        disk: radius in halves of the shortest side.
    Returns:
        the largest error and that of each element, relative; 0 for a model that is zero everywhere.
    Source: paper section 5.3.3.
    """
    group = by_name(group) if isinstance(group, str) else group
    before, after = _action(act_in, group), _action(act_out, group)
    modes = [(part, part.training) for part in model.modules()] if isinstance(model, nn.Module) else []
    for part, _ in modes:
        part.training = False
    errors = []
    try:
        with torch.no_grad():
            y = model(x)
            for g in range(group.order):
                # f(g . x) - g . f(x) -> its largest entry over that of f(x)
                difference, scale = (model(before(g, x)) - after(g, y)).abs(), y.abs()
                if not group.on_grid[g]:
                    inside = ball(y.shape[-group.dim :], disk).to(y.device)
                    difference, scale = difference * inside, scale * inside
                errors.append(float(difference.max()) / max(float(scale.max()), torch.finfo(scale.dtype).tiny))
    finally:
        for part, training in modes:
            part.training = training
    return EquivarianceError(max(errors), errors)


def ball(shape: torch.Size | tuple[int, ...], radius: float) -> Tensor:
    """The points within a ball about the centre.

    Args:
        shape: lengths n_1, ..., n_d.
        radius: in halves of the shortest side.
    Returns:
        shape (n_1, ..., n_d), bool.
    """
    squared = torch.zeros(())
    for n in shape:
        squared = squared[..., None] + (torch.arange(n) - (n - 1) / 2).square()
    return squared <= (radius * min(shape) / 2) ** 2


def _action(act: FieldType | Action | None, group: Group) -> Action:
    if act is None:
        return group.act
    return act.act if isinstance(act, FieldType) else act
