"""Signals whose channels come before their frames, as some libraries have them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def frames_first(sequences: Sequence[np.ndarray], channels: int = 0) -> tuple[list[np.ndarray], str]:
    """Signals as (frames, channels), and a note on what was found, "" where there is nothing to say.

    They are turned round where it is certain: all have the same first length and not the same second one, or as many
    rows as there are names of channels. Where all have fewer rows than columns, it is only said.

    Args:
        sequences: (frames, channels) or (channels, frames).
        channels: number of names of channels, 0 where there are none.
    """
    shapes = [np.shape(sequence) for sequence in sequences]
    if not shapes or any(len(shape) != 2 for shape in shapes):
        return list(sequences), ""
    rows, columns = ({shape[axis] for shape in shapes} for axis in (0, 1))
    by_length = len(rows) == 1 and len(columns) > 1
    by_name = channels > 0 and rows == {channels} and columns != {channels}
    if by_length or by_name:
        why = "as many rows as names of channels" if by_name else "the same number of rows and different lengths"
        return [sequence.T for sequence in sequences], f"signals turned from (channels, frames): all have {why}"
    if all(frames < width for frames, width in shapes):
        found = f"signals of {shapes[0][0]} frames and {shapes[0][1]} channels"
        return list(sequences), f"{found}: if these are (channels, frames), turn them round"
    return list(sequences), ""
