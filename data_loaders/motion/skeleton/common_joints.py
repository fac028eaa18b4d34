"""Recordings of several files brought to the joints, or channels, that all of them have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mvnet.data_loaders.errors import DataError

if TYPE_CHECKING:
    from mvnet.data_loaders.motion.motion_set import MotionSet

_SHARE = 2 / 3  # of the names that most recordings have, which a recording must have to be used


def names_of(motions: MotionSet) -> tuple[str, ...] | None:
    """Names of the joints, or of the channels of signals, each once: a name that comes again gets a number."""
    names = motions.channels if motions.kind == "signals" else motions.joints
    if names is None:
        return None
    count: Counter[str] = Counter()
    unique = []
    for name in names:
        count[name] += 1
        unique.append(name if count[name] == 1 else f"{name} #{count[name]}")
    return tuple(unique)


def select(motions: MotionSet, places: Sequence[int]) -> MotionSet:
    """These joints or channels, in this order; a joint whose upper one is gone hangs at the next above it."""
    index = np.asarray(places, dtype=np.int64)
    pick = index.tolist()
    return replace(
        motions,
        sequences=tuple(sequence[:, index] for sequence in motions.sequences),
        joints=None if motions.joints is None else tuple(motions.joints[i] for i in pick),
        channels=None if motions.channels is None else tuple(motions.channels[i] for i in pick),
        parent=None if motions.parent is None else _parent_of(motions.parent, pick),
    )


def _parent_of(parent: np.ndarray, kept: list[int]) -> np.ndarray:
    """Parents among the kept joints; where several have none above, the first of these is the root."""
    place = {joint: i for i, joint in enumerate(kept)}
    result = []
    for joint in kept:
        above = int(parent[joint])
        while above >= 0 and above not in place:
            above = int(parent[above])
        result.append(place.get(above, -1))
    roots = [i for i, above in enumerate(result) if above < 0]
    for other in roots[1:]:
        result[other] = roots[0]
    return np.array(result)


def compatible(parts: Sequence[MotionSet]) -> tuple[list[MotionSet], list[str]]:
    """The parts that agree with most in kind and dimension, in having names, and in two thirds of the names; and notes.

    Raises:
        DataError: the parts that agree are not more than half.
    """
    form = Counter(_form(part) for part in parts).most_common(1)[0][0]
    first = next(part for part in parts if _form(part) == form)
    shared = Counter(name for part in parts if _form(part) == form for name in names_of(part) or ())
    core = {name for name, count in shared.items() if 2 * count > len(parts)}
    fewest = min(len(names_of(part) or ()) for part in parts if _form(part) == form)
    core = core if 2 * len(core) >= fewest else set()
    kept, notes = [], []
    for part in parts:
        mine = set(names_of(part) or ())
        if _form(part) == form and len(mine & core) >= _SHARE * len(core) and (mine & core or not mine):
            kept.append(part)
        else:
            notes.append((part, "left out {}: found {}, expected {}".format(part.source, *_difference(part, first))))
    if 2 * len(kept) > len(parts):
        return kept, [note for _, note in notes]
    first = parts[0]
    other = next(p for p in parts[1:] if _form(p) != _form(first) or names_of(p) != names_of(first))
    found, wanted = _difference(other, first)
    raise DataError(f"{other.source}: found {found}, expected {wanted} as in {first.source}")


def _form(part: MotionSet) -> tuple:
    """What must be the same: kind and dimension, and the number of joints where they have no names."""
    named = names_of(part) is not None
    return part.kind, part.sequences[0].shape[2:], named, None if named else part.width


def _difference(part: MotionSet, wanted: MotionSet) -> tuple[str, str]:
    """What differs, in words: as found and as wanted."""
    if (part.kind, part.width) != (wanted.kind, wanted.width):
        found, expected = (f"{p.kind} of {p.width} joints or channels" for p in (part, wanted))
        return found, expected
    found, expected = (_short(names_of(p) or ()) for p in (part, wanted))
    return f"the names {found}", expected


def in_common(parts: Sequence[MotionSet]) -> tuple[list[MotionSet], list[str]]:
    """Compatible parts with the joints that all of them have, in the order of the first, with one tree; and notes."""
    names = [names_of(part) for part in parts]
    notes: list[str] = []
    result = list(parts)
    if names[0] is not None and any(own != names[0] for own in names):
        shared = set(names[0]).intersection(*(own or () for own in names))
        common = [name for name in names[0] if name in shared]
        gone = list(dict.fromkeys(name for own in names for name in own or () if name not in shared))
        if gone:
            notes.append(f"left out {len(gone)} joints that not every recording has: {_short(tuple(gone))}")
        if any([name for name in own or () if name in shared] != common for own in names):
            notes.append("joints of some recordings put in the order of the first, by name")
        result = [select(part, [(own or ()).index(name) for name in common]) for part, own in zip(parts, names)]
    trees = [part.parent for part in result]
    if all(tree is not None for tree in trees) and all((tree == trees[0]).all() for tree in trees):
        return result, notes
    if any(tree is not None for tree in trees):
        notes.append("trees of joints left out: they are not the same in all recordings")
    return [replace(part, parent=None) for part in result], notes


def _short(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f", ... ({len(names)})" if len(names) > 4 else "") or "none"
