"""Joints of tables in the axes of motions.

Two coordinates are an image, whose y goes down. Where the head is below the feet along y of three, y goes down too, and
the axes are turned by half a turn about x, which leaves left and right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.motion.formats.cameras.poses import image_plane, layout_of
from mvnet.data_loaders.motion.formats.joint_names import plain_names
from mvnet.data_loaders.motion.formats.sensors.table import rate_of
from mvnet.data_loaders.motion.formats.units import metres_per_unit
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import one_recording

_HEAD, _FEET = re.compile(r"head|nose|neck", re.IGNORECASE), re.compile(r"foot|ankle|toe|heel|knee|hip", re.IGNORECASE)


def place_joints(
    path: Path,
    options: ReadOptions,
    positions: np.ndarray,
    names: Sequence[str],
    *,
    unit: str = "",
    seconds: np.ndarray | None = None,
    notes: Sequence[str] = (),
) -> MotionSet:
    """One recording with z up, or y up in an image.

    Args:
        positions: (frames, joints, 3 or 2), NaN where missing.
        names: of the joints; numbers are no names, unless detectors of so many joints agree on what they are.
        unit: of lengths, "" where unknown. seconds: (frames,) from the first, None where unknown.
        notes: of the reader.
    """
    parts = [part for part in (re.fullmatch(r"(\D*?)[ _.]*(\d+)", name) for name in names) if part]
    numbered = len(parts) == len(names) and len({part[1] for part in parts}) == 1
    if numbered:
        order: list[int] = np.argsort([int(part[2]) for part in parts], kind="stable").tolist()
        names, positions = [names[k] for k in order], positions[:, order]
    joints = plain_names(names)
    motions = _placed(path, options, positions, joints, unit, numbered)
    rate = None if seconds is None else rate_of(seconds)
    return replace(
        motions,
        rate=options.rate or rate,
        timestamps=None if seconds is None or rate is None or options.rate else (seconds,),
        notes=(*motions.notes, *notes),
    )


def _placed(
    path: Path, options: ReadOptions, positions: np.ndarray, joints: tuple[str, ...], unit: str, numbered: bool
) -> MotionSet:
    """With z up, or y up in an image."""
    layout = layout_of(len(joints)) if numbered else None
    names = joints if layout is None else layout.joints
    known = None if numbered and layout is None else names
    parent = None if layout is None else layout.parents()
    if positions.shape[-1] == 2:
        values, note = image_plane(positions)
        return MotionSet([values], parent=parent, names=(path.stem,), joints=known, source=str(path), notes=(note,))
    down = options.up is None and _points_down(positions, names)
    turned = positions * np.array([1.0, -1.0, -1.0]) if down else positions
    scale = metres_per_unit(path, unit, turned, options)[0] if unit else None
    motions = one_recording(
        path,
        options,
        positions=turned * (scale or 1.0),
        parent=parent,
        joints=known,
        scale=scale,
        default_up="y" if down else None,
    )
    note = "y goes down in the file: half a turn about x makes it go up"
    return replace(motions, notes=(*motions.notes, note)) if down else motions


def _points_down(positions: np.ndarray, joints: tuple[str, ...]) -> bool:
    """Whether the head is below the feet, or the hips, along y, farther than they are apart along z."""
    head = [k for k, name in enumerate(joints) if _HEAD.search(name)]
    feet = [k for k, name in enumerate(joints) if _FEET.search(name)]
    if not head or not feet:
        return False
    ends = [positions[:, part].reshape(-1, 3) for part in (head, feet)]
    ends = [part[np.isfinite(part).all(1)] for part in ends]
    if not all(len(part) for part in ends):
        return False
    apart = ends[0].mean(0) - ends[1].mean(0)
    return bool(apart[1] < 0 and -apart[1] > abs(apart[2]))
