"""The same vertical axis for all recordings of a data set, and motions turned to another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.skeleton.tree import TO_Z_UP
from mvnet.data_loaders.motion.skeleton.vertical import Vertical, doubted


def agree(parts: Sequence[MotionSet]) -> tuple[list[MotionSet], Vertical | None]:
    """Parts of one data set, those whose axis is a guess turned by one answer for all of them, and that answer.

    A guess of a rest pose stands; all others take the most frequent one, or, where there is none, that of the
    extents of all bodies together. None where the parts hold nothing that stands, or known and different axes.
    """
    known = [part.vertical for part in parts]
    guessed = [vertical for vertical in known if vertical is not None and vertical.extents is not None]
    if not guessed:
        first = known[0]
        return list(parts), first if all(vertical == first for vertical in known) else None
    rest = Counter(vertical.axis for vertical in guessed if vertical.rest)
    y, z = np.sum([vertical.extents or (0.0, 0.0) for vertical in guessed], axis=0).tolist()
    if rest:
        axis, reason = rest.most_common(1)[0][0], "the rest pose stands along it"
    else:
        axis, reason = "y" if y >= z else "z", "the bodies extend farthest along it"
    if len(rest) > 1:
        reason = "rest poses stand along it in " + ", ".join(f"{n}: {axis}" for axis, n in rest.most_common())
    whole = doubted(Vertical(axis, reason, (y / len(guessed), z / len(guessed)), bool(rest)))
    if len(guessed) > 1:
        whole = replace(whole, reason=f"{whole.reason}; decided once for {len(guessed)} recordings")
    return [_follow(part, whole) for part in parts], whole


def _follow(part: MotionSet, whole: Vertical) -> MotionSet:
    """A part turned as the whole, unless its own axis is known; its own note gives way to that of the whole."""
    own = part.vertical
    if own is None or own.extents is None:
        return part
    notes = tuple(whole.note if note == own.note else note for note in part.notes)
    turned = part if own.rest or own.axis == whole.axis else turn(part, own.axis, whole.axis)
    kept = replace(whole, axis=own.axis) if own.rest else whole
    return replace(turned, notes=notes, vertical=replace(kept, local=own.local))


def turn(motions: MotionSet, old: str, new: str) -> MotionSet:
    """Motions with axis `old` of their file up as motions with axis `new` of it up; signals and images stay."""
    if old == new or motions.kind == "signals" or motions.is_flat:
        return motions
    rotation = TO_Z_UP[new] @ TO_Z_UP[old].T
    if motions.kind == "positions":
        turned = [sequence @ rotation.T.astype(sequence.dtype) for sequence in motions.sequences]
        return replace(motions, sequences=tuple(turned))
    local = motions.vertical is not None and motions.vertical.local and motions.parent is not None
    joints = [int(np.flatnonzero(motions.parent < 0)[0])] if local and motions.parent is not None else slice(None)
    turned = []
    for sequence in motions.sequences:
        values = sequence.copy()
        values[:, joints] = rotation.astype(values.dtype) @ values[:, joints]
        turned.append(values)
    return replace(motions, sequences=tuple(turned))
