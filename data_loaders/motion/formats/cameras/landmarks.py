"""Tables with named columns for the coordinates of joints: MediaPipe, Kinect, Rokoko, DeepLabCut and their like.

    nose_x, nose_y, nose_z, nose_visibility, ...    LEFT_SHOULDER_X, ...    Hips_position_x(m), ...    x1, y1, z1, v1
    scorer / bodyparts / coords                     three lines of head, x, y and likelihood of each part

Two coordinates are an image, whose y goes down. Where the head is below the feet along y of three, y goes down too,
and the axes are turned by half a turn about x. A joint of visibility or likelihood 0, or at the origin, is missing.
Rotations beside positions are left out, and so are clocks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.cameras.poses import image_plane, layout_of
from mvnet.data_loaders.motion.formats.joint_names import plain_names
from mvnet.data_loaders.motion.formats.sensors.columns import is_clock, is_inertial, is_note
from mvnet.data_loaders.motion.formats.sensors.table import column_names, read_table
from mvnet.data_loaders.motion.formats.units import metres_per_unit
from mvnet.data_loaders.motion.motion_set import MotionSet, check_times
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import one_recording

_FEWEST = 3  # joints that make a table one of joints
_NAMED = re.compile(
    r"(?P<joint>.*?[^\W_])[ _.:/-]*(?:pos(?:ition)?|loc(?:ation)?|coord)?[ _.:/-]+(?P<axis>[a-z]+)", re.I
)
_CAPITAL = re.compile(r"(?P<joint>.*[a-z0-9])(?P<axis>[XYZ])")
_FIRST = re.compile(r"(?P<axis>[a-z]+)[ _]?(?P<joint>\d+)", re.I)
_AXES = {"x": 0, "y": 1, "z": 2, "px": 0, "py": 1, "pz": 2, "tx": 0, "ty": 1, "tz": 2}
_TRUST = frozenset(["v", "visibility", "likelihood", "confidence", "score", "c", "prob", "presence", "p"])
_OTHER = re.compile(r"rot|quat|euler|angle|veloc|accel|flex|abduct|orient|state", re.IGNORECASE)
_UNIT = re.compile(r"[(\[]\s*(mm|cm|m)\s*[)\]]$")
_HEAD, _FEET = re.compile(r"head|nose|neck", re.IGNORECASE), re.compile(r"foot|ankle|toe|heel|knee|hip", re.IGNORECASE)
_MEDIAPIPE = 33
_MEDIAPIPE_ENDS = (0, (27, 28))  # nose, ankles


def joint_columns(names: Sequence[str]) -> dict[str, dict[int, int]]:
    """Joint -> axis 0 to 2, or 3 for how far it is to be trusted, -> column; joints with x and y and without w."""
    joints: dict[str, dict[int, int]] = {}
    quaternions: set[str] = set()
    for k, name in enumerate(names):
        bare = _UNIT.sub("", name.strip()).strip()
        if _OTHER.search(bare) or is_clock(name) or is_note(name):
            continue
        match = _NAMED.fullmatch(bare) or _CAPITAL.fullmatch(bare) or _FIRST.fullmatch(bare)
        if match is None:
            continue
        axis = match["axis"].lower()
        quaternions |= {match["joint"]} if axis in ("w", "qw") else set()
        place = 3 if axis in _TRUST else _AXES.get(axis)
        if place is not None:
            joints.setdefault(match["joint"], {}).setdefault(place, k)
    whole = {j: columns for j, columns in joints.items() if {0, 1} <= columns.keys() and j not in quaternions}
    deep = [joint for joint, columns in whole.items() if 2 in columns]
    return {joint: whole[joint] for joint in deep} if 2 * len(deep) > len(whole) else whole


def _three_lines(path: Path) -> list[str] | None:
    """Names of the columns from three lines of head, as DeepLabCut writes them; None of other tables."""
    with open(path, "rb") as file:
        head = file.read(1 << 16).decode("utf-8-sig", "replace").splitlines()[:4]
    rows = [line.split(",") for line in head]
    if [row[0] for row in rows[:3]] != ["scorer", "bodyparts", "coords"] or len(rows) < 4:
        return None
    return ["frame", *(f"{part} {what}" for part, what in zip(rows[1][1:], rows[2][1:]))]


def is_landmarks(path: Path) -> bool:
    """A table with x and y of at least three joints, and no inertial sensor."""
    if path.suffix.lower() not in (".csv", ".txt", ".tsv") or not path.is_file():
        return False
    names = _three_lines(path) or column_names(path, 1 << 16) or ()
    return not is_inertial(names) and len(joint_columns(names)) >= _FEWEST


def read_landmarks(path: Path, options: ReadOptions) -> MotionSet:
    """Positions (frames, joints, 3), or (frames, joints, 2) in an image, of one recording.

    Raises:
        DataError: no joints, a damaged table, times that do not grow.
    """
    named = _three_lines(path)
    table = read_table(path, 3 if named else 0)
    table = replace(table, names=tuple(named)) if named else table
    columns = joint_columns(table.names or ())
    if not columns:
        raise DataError(f"{path}: found no columns JOINT_x and JOINT_y, expected those of some joints")
    size = 3 if all(2 in axes for axes in columns.values()) else 2
    positions = np.stack([table.values[:, [axes[k] for k in range(size)]] for axes in columns.values()], 1)
    ones = np.ones(len(positions))
    trust = np.stack([table.values[:, axes[3]] if 3 in axes else ones for axes in columns.values()], 1)
    missing = ~(trust > 0) | ~np.isfinite(positions).all(-1) | (positions == 0).all(-1)
    positions = np.where(missing[..., None], np.nan, positions)
    numbered = all(joint.isdigit() for joint in columns)
    joints = plain_names(list(columns))
    clock = table.time() if options.rate is None else None
    if clock is not None:
        check_times(clock.seconds, str(path), "; or give rate")
    unit = next((found[1] for name in table.names or () if (found := _UNIT.search(name))), "")
    motions = _placed(path, options, positions, joints, unit, numbered)
    others = len(table.names or ()) - sum(map(len, columns.values()))
    notes = [*motions.notes, *((f"{others} columns left out, which are no positions",) if others else ())]
    steps = None if clock is None or len(clock.seconds) < 2 else float(np.median(np.diff(clock.seconds)))
    return replace(
        motions,
        rate=options.rate or (1 / steps if steps else None),
        timestamps=None if clock is None or not steps else (clock.seconds,),
        notes=(*notes, clock.note) if clock is not None and clock.note else tuple(notes),
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
    down = options.up is None and _points_down(positions, joints, numbered)
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


def _points_down(positions: np.ndarray, joints: tuple[str, ...], numbered: bool) -> bool:
    """Whether the head is below the feet, or the hips, along y, farther than they are apart along z."""
    head = [k for k, name in enumerate(joints) if _HEAD.search(name)]
    feet = [k for k, name in enumerate(joints) if _FEET.search(name)]
    if numbered and len(joints) == _MEDIAPIPE:
        head, feet = [_MEDIAPIPE_ENDS[0]], list(_MEDIAPIPE_ENDS[1])
    if not head or not feet:
        return False
    ends = [positions[:, part].reshape(-1, 3) for part in (head, feet)]
    ends = [part[np.isfinite(part).all(1)] for part in ends]
    if not all(len(part) for part in ends):
        return False
    apart = ends[0].mean(0) - ends[1].mean(0)
    return bool(apart[1] < 0 and -apart[1] > abs(apart[2]))
