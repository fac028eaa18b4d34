"""Motions brought to the joints of a run: by name where both have names, refused or said where they differ."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np

from mvnet.apps.activity.card import Trained
from mvnet.apps.common.errors import UserError
from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.skeleton.common_joints import names_of, select
from mvnet.data_loaders.motion.stand_in import StandIn

_BODIES = 100  # recordings compared
_TILT, _AGREE, _UNLIKE = 50.0, 2 / 3, 0.6
"""Degrees between the verticals of two mean poses, share of the recordings that stand along the same axis, and relative
distance of two poses, from which a note is due."""


def align(motions: MotionSet, trained: Trained) -> MotionSet:
    """The motions with the joints or channels of the training, in its order; the notes say what was done.

    Raises:
        UserError: another kind, joints that are missing, another number of them or another tree without names.
    """
    if trained.kind is None or trained.pose is None:
        return _noted(motions, "the run is of an older version: its joints are not known, and not compared")
    same_shape = motions.sequences[0].shape[2:] == trained.pose.shape[1:]
    if motions.kind != trained.kind or not same_shape:
        found, wanted = (
            _describe(motions.kind, motions.is_flat),
            _describe(trained.kind, trained.pose.shape[1:] == (2,)),
        )
        raise UserError(f"{motions.source}: found {found}, expected {wanted}, which the run was trained on")
    own = names_of(motions)
    if own is not None and trained.names is not None:
        motions = _by_name(motions, own, trained.names)
    what = "channels" if motions.kind == "signals" else "joints"
    if motions.width != len(trained.pose):
        raise UserError(f"{motions.source}: found {motions.width} {what}, expected the {len(trained.pose)} of the run")
    if (own is None) != (trained.names is None):
        who = "the run has" if own is None else "the file has"
        motions = _noted(motions, f"only {who} names of {what}: taken in the order in which they are")
    motions = _check_tree(motions, trained, own is not None and trained.names is not None)
    if motions.kind == "positions" and not motions.is_flat:
        motions = _compare_bodies(motions, trained.pose)
    return motions


def _by_name(motions: MotionSet, own: tuple[str, ...], wanted: tuple[str, ...]) -> MotionSet:
    what = "channels" if motions.kind == "signals" else "joints"
    if own == wanted:
        return motions
    place = {_key(name): i for i, name in reversed(list(enumerate(own)))}
    place |= {name: i for i, name in enumerate(own)}
    found_at = [place.get(name, place.get(_key(name))) for name in wanted]
    missing = [name for name, at in zip(wanted, found_at) if at is None]
    if missing:
        few = ", ".join(missing[:6]) + (", ..." if len(missing) > 6 else "")
        found = f"no {what} {few} among {', '.join(own[:6])}{', ...' if len(own) > 6 else ''}"
        raise UserError(f"{motions.source}: found {found}, expected the {len(wanted)} {what} of the run")
    index = [at for at in found_at if at is not None]
    if index == list(range(len(own))):
        return motions
    gone = [name for i, name in enumerate(own) if i not in set(index)]
    notes = [f"{what} put in the order of the run, by name"] * (index != sorted(index))
    notes += [f"left out {len(gone)} {what} that the run does not know: {', '.join(gone[:6])}"] * bool(gone)
    return _noted(select(motions, index), *notes)


def _check_tree(motions: MotionSet, trained: Trained, named: bool) -> MotionSet:
    """UserError: another tree, where no names tell which joint is which; with names it is said."""
    if motions.parent is None or trained.parent is None or not trained.declared:
        return motions
    differs = np.flatnonzero(motions.parent != trained.parent)
    if not len(differs):
        return motions
    joint = int(differs[0])
    found = f"joint {joint} below {motions.parent[joint]}"
    if not named:
        expected = f"it below {trained.parent[joint]}, as in the run; names of joints would tell which is which"
        raise UserError(f"{motions.source}: found another tree, {found}, expected {expected}")
    return _noted(motions, f"another tree than that of the run ({found}): that of the run is used")


def _compare_bodies(motions: MotionSet, pose: np.ndarray) -> MotionSet:
    """Notes where most bodies stand along another axis than in training, or are of another shape."""
    tilts, distances, axes = [], [], []
    for sequence in motions.sequences[:: max(1, len(motions) // _BODIES)]:
        rotation, distance = _superpose(StandIn.fit(replace(motions.take([0]), sequences=[sequence])).pose, pose)
        upward = rotation @ np.array([0.0, 0.0, 1.0])  # the vertical of the training in the axes of the recording
        tilts.append(np.degrees(np.arccos(np.clip(upward[2], -1, 1))))
        axes.append("xyz"[int(np.abs(upward).argmax())])
        distances.append(distance)
    notes = []
    if np.median(distances) > _UNLIKE:
        notes.append("the bodies have another shape than in training: other joints, or another order of them?")
    elif np.median(tilts) > _TILT:
        axis, count = Counter(axes).most_common(1)[0]
        if axis != "z" and count > _AGREE * len(axes):
            words = f"the bodies stand along {axis}, those of the training along z"
            notes.append(f"{words}: give --up {axis} if it is the vertical")
    return _noted(motions, *notes)


def _superpose(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """The rotation R and the relative distance |s a - R b| / |s a| of poses (joints, 3); Kabsch (1976)."""
    a, b = (x - x.mean(0) for x in (a, b))
    u, s, v = np.linalg.svd(a.T @ b)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ v)) or 1.0])
    size = (a**2).sum() * (b**2).sum()
    alike = float((s * sign).sum() / np.sqrt(size)) if size > 0 else 1.0
    return (u * sign) @ v, float(np.sqrt(max(0.0, 1 - alike**2)))


def _describe(kind: str, flat: bool) -> str:
    return kind if kind != "positions" else "positions in an image" if flat else "positions in space"


def _key(name: str) -> str:
    """One spelling of a name: letters and digits, in lower case."""
    return re.sub(r"[\W_]+", "", name.casefold()) or name


def _noted(motions: MotionSet, *notes: str) -> MotionSet:
    return replace(motions, notes=motions.notes + notes)
