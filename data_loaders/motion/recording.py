"""A motion set of one recording, and of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import Request
from mvnet.data_loaders.motion.skeleton.tree import TO_Z_UP


def one_recording(
    path: Path,
    request: Request,
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
    """What was asked of a recording of joints, turned so that z is up.

    Args:
        positions: (frames, joints, 3). world, local: rotations (frames, joints, 3, 3) of the joints in space, and
            relative to the joint above.
        scale: metres per unit that the reader has applied already; None applies that of the request.
        default_up: vertical axis of the file without `up`; None takes y or z by the extent of the body.
    Raises:
        DataError: rotations of a file that has none.
    """
    value = request.value or "positions"
    values = {"positions": positions, "rotations": world, "local": local}.get(value)
    if values is None:
        raise DataError(
            f"value: found {value!r}, expected positions{', rotations or local' if world is not None else ''}"
        )
    up, how = request.up or default_up, "as asked" if request.up else "by convention"
    if up is None:
        extent = np.nanmean(np.ptp(np.nan_to_num(positions), axis=1), axis=0)
        up, how = ("y" if extent[1] >= extent[2] else "z"), "the body extends farthest along it; say up=... if wrong"
    turn = TO_Z_UP[up]
    notes = [f"up: {up} ({how})"]
    if value == "positions":
        values = values @ turn.T * (1.0 if scale else request.scale or 1.0)
        known = scale or request.scale
        notes.append(f"{known:g} metres per unit" if known else "lengths in the unit of the file, no scale given")
    elif value == "rotations":
        values = turn @ values
    else:
        values = values.copy()
        root = slice(None) if parent is None else int(np.flatnonzero(parent < 0)[0])
        values[:, root] = turn @ values[:, root]
    return MotionSet(
        [values],
        "positions" if value == "positions" else "rotations",
        parent=parent,
        names=(path.stem,),
        joints=joints,
        rate=request.rate or rate,
        source=str(path),
        notes=tuple(notes),
    )


def combine(parts: Sequence[MotionSet], source: str) -> MotionSet:
    """One set of the sequences of several, which must agree in kind and joints.

    Labels and subjects are kept where all parts have them, the skeleton where all have the same, timestamps where
    the rates differ.

    Raises:
        DataError: another kind, other numbers of joints or other names than the first.
    """
    first = parts[0]
    for part in parts[1:]:
        if part.kind != first.kind or part.width != first.width:
            found, wanted = (f"{p.kind} of {p.width} joints or channels" for p in (part, first))
            raise DataError(f"{part.source}: found {found}, expected {wanted} as in {first.source}")
        if part.joints != first.joints or part.channels != first.channels:
            found, wanted = (_short(p.joints or p.channels or ()) for p in (part, first))
            raise DataError(f"{part.source}: found the names {found}, expected {wanted} as in {first.source}")
    labelled = all(part.labels is not None for part in parts)
    classes = sorted({name for part in parts for name in part.classes}, key=_numbers_first) if labelled else []
    labels = [classes.index(part.classes[label]) for part in parts if labelled for label in part.require_labels()]
    subjects = [part.subjects for part in parts if part.subjects is not None]
    rates = {part.rate for part in parts}
    parents = [part.parent for part in parts if part.parent is not None]
    same = len(parents) == len(parts) and all((parent == parents[0]).all() for parent in parents)
    return replace(
        first,
        sequences=tuple(sequence for part in parts for sequence in part.sequences),
        labels=np.array(labels) if labelled else None,
        classes=tuple(classes),
        subjects=np.concatenate(subjects) if len(subjects) == len(parts) else None,
        parent=first.parent if same else None,
        train_subjects=None,
        train_sequences=None,
        names=tuple(name for part in parts for name in part.names),
        rate=first.rate if len(rates) == 1 else None,
        timestamps=None if len(rates) == 1 and first.timestamps is None else _times(parts),
        source=source,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


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
