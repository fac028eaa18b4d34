"""An .npz with all motions in one array, as libraries of time series keep them: X and y, or X_train, y_train and so on.

X    (n, frames, channels) or (n, channels, frames): the longer axis is time, said
     (n, frames, joints, 2 or 3), (n, 2 or 3, frames, joints) positions; (n, frames, joints, 3, 3) rotations
y    (n,) numbers or texts, or (n, classes) with one 1 in each row; subject, subjects or groups (n,)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.cameras.poses import split_confidence
from mvnet.data_loaders.motion.formats.npz import npz_names
from mvnet.data_loaders.motion.motion_set import MotionSet, encode_labels
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.npz_files import read_npz

_MOTIONS, _LABELS = ("x", "data"), ("y", "label", "labels", "target")
_SUBJECTS = ("subject", "subjects", "groups")


def is_arrays(path: Path) -> bool:
    """An .npz with an array X, data or X_train."""
    return bool({name.lower() for name in npz_names(path)} & {"x", "data", "x_train"})


def read_arrays(path: Path, options: ReadOptions) -> MotionSet:
    """All motions of the arrays; train and test arrays are one set with a published split.

    Raises:
        DataError: damaged, no array of numbers with 3 to 5 axes, another number of labels or subjects.
    """
    arrays = {name.lower(): array for name, array in read_npz(path).items()}
    wanted = ("_train", "_test") if "x_train" in arrays else ("",)
    picked = {side: _pick(arrays, _MOTIONS, side) for side in wanted}
    sides, known = zip(*((side, array) for side, array in picked.items() if array is not None))
    if any(array.dtype.kind not in "fiu" or not 3 <= array.ndim <= 5 or 0 in array.shape for array in known):
        wrong = next(a for a in known if a.dtype.kind not in "fiu" or not 3 <= a.ndim <= 5 or 0 in a.shape)
        raise DataError(f"{path}: X: found {wrong.dtype} {wrong.shape}, expected numbers (n, frames, channels)")
    laid_out = [_frames_first(array) for array in known]
    sequences = [sequence for found, _, _ in laid_out for sequence in found]
    kind, note = laid_out[0][1:]
    labels, subjects = (_column(path, arrays, names, sides, len(sequences)) for names in (_LABELS, _SUBJECTS))
    encoded, classes = (None, ()) if labels is None else encode_labels(labels)
    train = np.arange(len(sequences)) < len(known[0])
    return MotionSet(
        sequences,
        kind,
        labels=encoded,
        classes=classes,
        subjects=subjects,
        train_sequences=train[None] if len(known) == 2 else None,
        rate=options.rate,
        source=str(path),
        notes=(note,),
    )


def _pick(arrays: dict[str, np.ndarray], names: tuple[str, ...], side: str) -> np.ndarray | None:
    return next((arrays[name + side] for name in names if name + side in arrays), None)


def _frames_first(array: np.ndarray) -> tuple[list[np.ndarray], Any, str]:
    """Sequences, their kind, and how the array was understood."""
    values = array if array.dtype.kind == "f" else array.astype(np.float32)
    n, shape = len(values), values.shape
    if values.ndim == 3:
        turned = shape[1] < shape[2]
        layout = "(n, channels, frames)" if turned else "(n, frames, channels)"
        return list(values.swapaxes(1, 2) if turned else values), "signals", f"X of shape {shape} read as {layout}"
    flat, note = split_confidence(list(values)) if values.ndim == 4 else ([], "")
    if note:
        return flat, "positions", note
    if values.ndim == 4 and shape[-1] not in (2, 3) and shape[1] in (2, 3):
        return list(np.moveaxis(values, 1, -1)), "positions", f"X of shape {shape} read as (n, axes, frames, joints)"
    kind = "positions" if values.ndim == 4 else "rotations"
    return [values[k] for k in range(n)], kind, f"X of shape {shape} read as (n, frames, joints, ...)"


def _column(
    path: Path, arrays: dict[str, np.ndarray], names: tuple[str, ...], sides: tuple[str, ...], count: int
) -> np.ndarray | None:
    """One value for each sequence, of all sides; None where a side has none."""
    found = [_pick(arrays, names, side) for side in sides]
    known = [array for array in found if array is not None]
    if len(known) < len(found):
        return None
    flat = [array.argmax(1) if array.ndim == 2 and array.shape[1] > 1 else array.ravel() for array in known]
    joined = np.concatenate(flat)
    if len(joined) != count or joined.dtype.kind not in "iufUb":
        raise DataError(f"{path}: {names[0]}: found {joined.dtype} ({len(joined)},), expected one of each of {count}")
    return joined
