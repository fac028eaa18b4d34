"""Missing values of a recording, interpolated in time."""

from __future__ import annotations

import numpy as np

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
