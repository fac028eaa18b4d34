"""A motion set of one recording, and of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.skeleton.common_joints import compatible, in_common
from mvnet.data_loaders.motion.skeleton.tree import TO_Z_UP
from mvnet.data_loaders.motion.skeleton.vertical import Vertical, guess_vertical, rest_pose
from mvnet.data_loaders.motion.turning import agree

METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "in": 0.0254}
"""Units of length as files name them."""


def one_recording(
    path: Path,
    options: ReadOptions,
    *,
    positions: np.ndarray,
    world: np.ndarray | None = None,
    local: np.ndarray | None = None,
    parent: np.ndarray | None = None,
    joints: tuple[str, ...] | None = None,
    rate: float | None = None,
    scale: float | None = None,
    default_up: str | None = None,
) -> MotionSet:
    """A motion set of one recording of joints: positions or rotations, as the options say, rotated so that z is up.

    Args:
        positions: (frames, joints, 3). world, local: rotations (frames, joints, 3, 3) of the joints in space, and
            relative to the joint above.
        scale: metres per unit that the reader has applied already; None applies that of the options.
        default_up: vertical axis of the file without `up`; None guesses y or z, see `guess_vertical`.
    Raises:
        DataError: rotations of a file that has none.
    """
    value = options.value or "positions"
    values = {"positions": positions, "rotations": world, "local": local}.get(value)
    if values is None:
        offered = "positions" if world is None else "positions, rotations or local"
        raise DataError(f"value: found {value!r}, expected {offered}")
    vertical = _vertical(positions, world, parent, options, default_up)
    vertical = replace(vertical, local=value == "local")
    rotation, notes = TO_Z_UP[vertical.axis], [vertical.note]
    if value == "positions":
        values = values @ rotation.T * (1.0 if scale else options.scale or 1.0)
        known = scale or options.scale
        notes.append(f"{known:g} metres per unit" if known else "lengths in the unit of the file, no scale given")
    elif value == "rotations":
        values = rotation @ values
    else:
        values = values.copy()
        root = slice(None) if parent is None else int(np.flatnonzero(parent < 0)[0])
        values[:, root] = rotation @ values[:, root]
    return MotionSet(
        [values],
        "positions" if value == "positions" else "rotations",
        parent=parent,
        names=(path.stem,),
        joints=joints,
        rate=options.rate or rate,
        source=str(path),
        notes=tuple(notes),
        vertical=vertical,
    )


def _vertical(
    positions: np.ndarray,
    world: np.ndarray | None,
    parent: np.ndarray | None,
    options: ReadOptions,
    default: str | None,
) -> Vertical:
    """The vertical axis of a file: given, the default of its format, or a guess."""
    if options.up:
        return Vertical(options.up, "as asked")
    if default:
        return Vertical(default, "by convention")
    rest = None if world is None or parent is None else rest_pose(positions, world, parent)
    return guess_vertical(positions, rest)


def combine(parts: Sequence[MotionSet], source: str) -> MotionSet:
    """One set of the sequences of several.

    Joints and channels go by their names: those that all recordings have, in the order of the first. Recordings that
    are of another kind or skeleton than most are left out. The vertical axis is decided once, see `agree`. Labels
    and subjects are kept where all parts have them, the skeleton where all have the same, timestamps where the rates
    differ. The notes say all of it.

    Raises:
        DataError: recordings that have too little in common, and no majority that has.
    """
    kept, left_out = compatible(parts)
    kept, vertical = agree(kept)
    kept, reduced = in_common(kept)
    first = kept[0]
    labels, classes = _merge_labels(kept)
    one_rate = all(part.rate == first.rate for part in kept)
    return replace(
        first,
        sequences=tuple(sequence for part in kept for sequence in part.sequences),
        labels=labels,
        classes=classes,
        subjects=_join([part.subjects for part in kept]),
        train_subjects=None,
        train_sequences=None,
        names=tuple(name for part in kept for name in part.names),
        rate=first.rate if one_rate else None,
        timestamps=None if one_rate and first.timestamps is None else _times(kept),
        source=source,
        notes=tuple(dict.fromkeys([*left_out, *reduced, *(note for part in kept for note in part.notes)])),
        vertical=vertical,
    )


def _merge_labels(parts: Sequence[MotionSet]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels in the classes of all parts, sorted; (None, ()) unless every part is labelled."""
    if any(part.labels is None for part in parts):
        return None, ()
    classes = sorted({name for part in parts for name in part.classes}, key=_numbers_first)
    names = [part.classes[label] for part in parts for label in part.require_labels()]
    return np.array([classes.index(name) for name in names]), tuple(classes)


def _join(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """All arrays, one after the other; None unless every one is known."""
    known = [array for array in arrays if array is not None]
    return np.concatenate(known) if len(known) == len(arrays) else None


def _times(parts: Sequence[MotionSet]) -> tuple[np.ndarray, ...] | None:
    """Seconds of every frame of every sequence; None where a part knows neither times nor rate."""
    times: list[np.ndarray] = []
    for part in parts:
        if part.timestamps is not None:
            times.extend(part.timestamps)
        elif part.rate is not None:
            times.extend(np.arange(length) / part.rate for length in part.lengths)
        else:
            return None
    return tuple(times)


def _numbers_first(name: str) -> tuple[int, float, str]:
    return (0, float(name), name) if name.replace(".", "", 1).isdigit() else (1, 0.0, name)
