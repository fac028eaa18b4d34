"""The times of a solve: numbers or a tensor, in order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor as _is_wrapped

from mvnet.errors import MvnetError


def is_traced(x: Tensor) -> bool:
    """Whether a transform (vmap, jacrev, compilation) runs through the tensor, so that its numbers cannot be read.

    Args:
        x: any tensor.
    Returns:
        True inside a transform.
    """
    return torch.compiler.is_compiling() or _is_wrapped(x)


def grid_of(t: Tensor | Sequence[float] | Sequence[Sequence[float]], z0: Tensor, per_sample: bool) -> Tensor:
    """Times as a tensor beside the state.

    Args:
        t: n times, or (B, n) where each sample may have its own.
        z0: state at the first time.
        per_sample: whether the method knows times of samples.
    Returns:
        shape (n,) or (B, n), in the real dtype and on the device of z0.
    Raises:
        MvnetError: another shape; times that neither rise nor fall throughout.
    """
    times = torch.as_tensor(t, dtype=z0.dtype.to_real(), device=z0.device)
    rows = times.ndim == 2 and per_sample
    if rows and (times.shape[0] != z0.shape[0] or times.shape[1] == 0):
        raise MvnetError(f"t: found shape {tuple(times.shape)}, expected times for each of {z0.shape[0]} samples")
    if (times.ndim != 1 and not rows) or times.numel() == 0:
        raise MvnetError(f"t: found shape {tuple(times.shape)}, expected at least one time in one dimension")
    if not is_traced(times):
        numbers = times.detach().tolist()
        for row in numbers if rows else [numbers]:
            _check_order(row)
    return times


def _check_order(row: list[float]) -> None:
    """MvnetError unless the times rise or fall throughout."""
    if not all(map(isfinite, row)):
        raise MvnetError(f"t: found {next(x for x in row if not isfinite(x))}, expected finite times")
    rising = row[-1] > row[0]
    for i, (a, b) in enumerate(pairwise(row), start=1):
        if a == b:
            raise MvnetError(f"t: found {a:g} at positions {i - 1} and {i}, expected different times")
        if (b > a) is not rising:
            raise MvnetError(f"t: found {b:g} after {a:g} at position {i}, expected times that rise or fall throughout")
