"""Tables with named columns for the coordinates of joints: MediaPipe, Kinect, Rokoko, DeepLabCut and their like.

    nose_x, nose_y, nose_z, nose_visibility, ...    LEFT_SHOULDER_X, ...    Hips_px, Hips_qx, ...    x1, y1, z1, v1
    scorer / bodyparts / coords                     three lines of head, x, y and likelihood of each part

A joint of visibility or likelihood 0, or at the origin, is missing. Rotations beside positions are left out, and so are
clocks. Where up is: `placing`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.cameras.placing import place_joints
from mvnet.data_loaders.motion.formats.sensors.columns import is_clock, is_inertial, is_note
from mvnet.data_loaders.motion.formats.sensors.table import column_names, read_table
from mvnet.data_loaders.motion.motion_set import MotionSet, check_times
from mvnet.data_loaders.motion.options import ReadOptions

_FEWEST = 3  # joints that make a table one of joints
_NAMED = re.compile(
    r"(?P<joint>.*?[^\W_])[ _.:/-]*(?:pos(?:ition)?|loc(?:ation)?|coord)?[ _.:/()-]+(?P<axis>[a-z]+)", re.I
)
_CAPITAL = re.compile(r"(?P<joint>.*[a-z0-9])(?P<axis>[XYZ])")
_FIRST = re.compile(r"(?P<axis>[a-z]+)[ _]?(?P<joint>\d+)", re.I)
_BEFORE = re.compile(r"(?P<axis>[xyz])[ _.:-]+(?P<joint>\w.*)", re.I)
_AXES = {"x": 0, "y": 1, "z": 2, "px": 0, "py": 1, "pz": 2, "tx": 0, "ty": 1, "tz": 2}
TRUST = frozenset(["v", "visibility", "likelihood", "confidence", "score", "c", "conf", "vis", "prob", "presence", "p"])
"""Names of columns that say how far a joint is to be trusted."""
_OTHER = re.compile(r"rot|quat|euler|angle|veloc|accel|flex|abduct|orient|state", re.IGNORECASE)
_UNIT = re.compile(r"[(\[]\s*(mm|cm|m)\s*[)\]]$")


def joint_columns(names: Sequence[str]) -> dict[str, dict[int, int]]:
    """Joint -> axis 0 to 2, or 3 for how far it is to be trusted, -> column; joints with x and y and without w."""
    joints: dict[str, dict[int, int]] = {}
    quaternions: set[str] = set()
    for k, name in enumerate(names):
        bare = _UNIT.sub("", name.strip()).strip()
        if _OTHER.search(bare) or is_clock(name) or is_note(name):
            continue
        match = _NAMED.fullmatch(bare) or _CAPITAL.fullmatch(bare) or _FIRST.fullmatch(bare)
        if match is None or match["axis"].lower() not in {*_AXES, *TRUST, "w"}:
            match = _BEFORE.fullmatch(bare)
        if match is None:
            continue
        axis = match["axis"].lower()
        quaternions |= {match["joint"]} if axis == "w" else set()
        place = 3 if axis in TRUST else _AXES.get(axis)
        if place is not None:
            joints.setdefault(match["joint"], {}).setdefault(place, k)
    whole = {j: columns for j, columns in joints.items() if {0, 1} <= columns.keys() and j not in quaternions}
    deep = [joint for joint, columns in whole.items() if 2 in columns]
    return {joint: whole[joint] for joint in deep} if len(deep) >= _FEWEST else whole


def _is_rokoko(names: Sequence[str]) -> bool:
    """Whether joints have positions px, py, pz beside quaternions qx, qy, qz, qw."""
    ends = [name.strip().lower().rpartition("_")[2] for name in names]
    return ends.count("px") == ends.count("qw") >= _FEWEST and ends.count("qx") == ends.count("qw")


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
    clock = table.time() if options.rate is None else None
    if clock is not None:
        check_times(clock.seconds, str(path), "; or give rate")
    unit = next((found[1] for name in table.names or () if (found := _UNIT.search(name))), "")
    others = len(table.names or ()) - sum(map(len, columns.values()))
    notes = [clock.note] if clock is not None and clock.note else []
    notes += [f"{others} columns left out, which are no positions"] if others else []
    if size == 3 and _is_rokoko(table.names or ()):
        positions, unit = positions * np.array([-1.0, 1.0, 1.0]), unit or "m"
        notes.append("columns px and qx as Rokoko names them: metres; x turned round, as its axes are left-handed")
    seconds = None if clock is None else clock.seconds
    return place_joints(path, options, positions, list(columns), unit=unit, seconds=seconds, notes=notes)
