"""A motion set of one recording, and of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.skeleton.tree import TO_Z_UP

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
        default_up: vertical axis of the file without `up`; None takes y or z by the extent of the body.
    Raises:
        DataError: rotations of a file that has none.
    """
    value = options.value or "positions"
    values = {"positions": positions, "rotations": world, "local": local}.get(value)
    if values is None:
        offered = "positions" if world is None else "positions, rotations or local"
        raise DataError(f"value: found {value!r}, expected {offered}")
    up, reason = _vertical(positions, options, default_up)
    rotation, notes = TO_Z_UP[up], [f"up: {up} ({reason})"]
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
    )


def _vertical(positions: np.ndarray, options: ReadOptions, default: str | None) -> tuple[str, str]:
    """The vertical axis of a file: given, the default of its format, or y or z by the extent of the body; and why."""
    if options.up:
        return options.up, "as asked"
    if default:
        return default, "by convention"
    extent = np.nanmean(np.ptp(np.nan_to_num(positions), axis=1), axis=0)
    return ("y" if extent[1] >= extent[2] else "z"), "the body extends farthest along it; say up=... if wrong"


def combine(parts: Sequence[MotionSet], source: str) -> MotionSet:
    """One set of the sequences of several, which must agree in kind and joints.

    Labels and subjects are kept where all parts have them, the skeleton where all have the same, timestamps where
    the rates differ.

    Raises:
        DataError: another kind, other numbers of joints or other names than the first.
    """
    first = parts[0]
    for part in parts[1:]:
        _check_agreement(part, first)
    labels, classes = _merge_labels(parts)
    one_rate = all(part.rate == first.rate for part in parts)
    return replace(
        first,
        sequences=tuple(sequence for part in parts for sequence in part.sequences),
        labels=labels,
        classes=classes,
        subjects=_join([part.subjects for part in parts]),
        parent=first.parent if _all_equal([part.parent for part in parts]) else None,
        train_subjects=None,
        train_sequences=None,
        names=tuple(name for part in parts for name in part.names),
        rate=first.rate if one_rate else None,
        timestamps=None if one_rate and first.timestamps is None else _times(parts),
        source=source,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def _check_agreement(part: MotionSet, first: MotionSet) -> None:
    """DataError where the kind, the number or the names of joints or channels differ."""
    if (part.kind, part.width) != (first.kind, first.width):
        found, wanted = (f"{p.kind} of {p.width} joints or channels" for p in (part, first))
        raise DataError(f"{part.source}: found {found}, expected {wanted} as in {first.source}")
    if (part.joints, part.channels) != (first.joints, first.channels):
        found, wanted = (_short(p.joints or p.channels or ()) for p in (part, first))
        raise DataError(f"{part.source}: found the names {found}, expected {wanted} as in {first.source}")


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


def _all_equal(arrays: Sequence[np.ndarray | None]) -> bool:
    """Whether all are known and the same."""
    first = arrays[0]
    return first is not None and all(array is not None and bool((array == first).all()) for array in arrays)


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


def _short(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f", ... ({len(names)})" if len(names) > 4 else "") or "none"


def _numbers_first(name: str) -> tuple[int, float, str]:
    return (0, float(name), name) if name.replace(".", "", 1).isdigit() else (1, 0.0, name)
