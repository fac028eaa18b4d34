"""Missing values of a recording, interpolated in time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.errors import DataError


def interpolate_gaps(values: np.ndarray, seen: np.ndarray, source: str = "recording") -> np.ndarray:
    """Missing values replaced: linearly between the frames seen before and after, by the nearest one at either end.

    Args:
        values: (frames, n, ...) floating point, n joints or channels; anything where not seen.
        seen: (frames, n) bool.
        source: what to call the recording in messages.
    Returns:
        (frames, n, ...), the input itself where nothing is missing.
    Raises:
        DataError: a joint or channel without any value.
    """
    if seen.all():
        return values
    result, time = values.copy(), np.arange(len(values))
    columns = result.reshape(len(values), values.shape[1], -1)  # a view
    for joint in np.flatnonzero(~seen.all(0)):
        known = seen[:, joint]
        if not known.any():
            found = f"joint or channel {joint} is missing in every frame"
            raise DataError(f"{source}: found that {found}, expected at least one value of it")
        for column in columns[:, joint].T:
            column[~known] = np.interp(time[~known], time[known], column[known])
    return result


def fill_along(values: Tensor, seen: Tensor, between: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """Points of a manifold not seen replaced by those of the geodesic between the frames a < t < b seen next to t,

    at the share (t - a) / (b - a); by the nearest before the first and after the last. A joint never seen stays.

    Args:
        values: (frames, joints, ...), anything where not seen. seen: (frames, joints) bool.
        between: (points, points, shares (n,)) -> points, the geodesic.
    """
    if seen.all():
        return values
    frames = torch.arange(len(seen), device=seen.device).unsqueeze(-1)
    before = torch.where(seen, frames, -1).cummax(0).values
    after = torch.where(seen, frames, len(seen)).flip(0).cummin(0).values.flip(0)
    before, after = torch.where(before < 0, after, before), torch.where(after >= len(seen), before, after)
    t, j = torch.nonzero(~seen & seen.any(0), as_tuple=True)
    a, b = before[t, j], after[t, j]
    share = (t - a).to(values.dtype) / (b - a).clamp(min=1)
    result = values.clone()
    result[t, j] = between(values[a, j], values[b, j], share)
    return result
