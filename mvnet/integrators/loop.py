"""The loop over a grid of times, and the search for a value that is not a number."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import ActingField
from mvnet.integrators.base import Marching, Method, Solver
from mvnet.integrators.times import is_traced


def march(method: Method, field: ActingField, times: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> Iterator[Tensor]:
    """The states after every step, with one step for each interval.

    Args:
        method: any but an adaptive one.
        field: the field with its action.
        times: shape (n,).
        z: state at times[0].
        args: further inputs of the field.
    Yields:
        n - 1 states.
    """
    if hasattr(method, "march"):
        yield from cast(Marching, method).march(field, times, z, args)
        return
    state = method.init(field, times[0], z, args)
    for start, stop in pairwise(times):
        z, _, state = method.step(field, start, stop - start, z, args, state)
        yield z


def solve(method: Method, field: ActingField, times: Tensor, z: Tensor, args: tuple[Tensor, ...], save: str) -> Tensor:
    """States at the times, with one step for each interval or as an adaptive method does it.

    Args:
        method: any.
        field: the field with its action.
        times: shape (n,), or (B, n).
        z: state at the first time.
        args: further inputs of the field.
        save: "all" or "last".
    Returns:
        (n, *z.shape); z.shape for save="last".
    """
    if hasattr(method, "solve"):
        return cast(Solver, method).solve(field, times, z, args, save)
    if save == "all":
        return torch.stack([z, *march(method, field, times, z, args)])
    last = z
    for last in march(method, field, times, z, args):  # noqa: B007
        pass
    return last


def check_finite(
    method: Method, field: ActingField, times: Tensor, z: Tensor, args: tuple[Tensor, ...], end: Tensor
) -> None:
    """Name the time at which a solve left the numbers; one sum where it did not.

    Args:
        method, field, times, z, args: as in `solve`.
        end: the last state.
    Raises:
        MvnetError: the start is finite, the end is not.
    """
    if is_traced(end) or not end.numel() or end.detach().sum().isfinite():
        return
    if end.isfinite().all() or not z.isfinite().all():
        return
    # once more, step by step, to the first state that is not finite
    start = stop = times[0]
    with torch.no_grad():
        state = method.init(field, start, z, args)
        for start, stop in pairwise(times):
            slope = field(start, z, *args)
            if not slope.isfinite().all():
                raise MvnetError(f"field: found NaN or infinite values at t = {start.item():g}, expected finite ones")
            z, _, state = method.step(field, start, stop - start, z, args, state)
            if not z.isfinite().all():
                break
    found = f"NaN or infinite values in the step from t = {start.item():g} to {stop.item():g}"
    raise MvnetError(f"field: found {found}, expected finite ones: a pole of the field, or too large a step")
