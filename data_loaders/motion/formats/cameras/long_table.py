"""Tables with a row for every joint of every frame: frame, joint, x, y, z and perhaps visibility, in any order.

frame,landmark,x,y,z,visibility        joints by name or number; of several people the one with most rows
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.cameras.landmarks import TRUST
from mvnet.data_loaders.motion.formats.cameras.placing import place_joints
from mvnet.data_loaders.motion.formats.sensors.columns import is_clock, is_count
from mvnet.data_loaders.motion.formats.sensors.table import unit_of_steps
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.text_files import head_lines

_WHATS = ("joint", "landmark", "keypoint", "marker", "point", "node", "bodypart", "part")
_JOINT = frozenset((*_WHATS, *(what + word for what in _WHATS for word in ("name", "id", "index", "type")), "name"))
_PERSON = frozenset(("person", "personid", "body", "bodyid", "trackid", "track", "skeleton", "skeletonid", "userid"))
_EMPTY = 50  # frames for each with a row, at most


def _roles(line: str) -> dict[str, int] | None:
    """Columns by what they hold: frame or time, joint, x, y, z, trust, person; None without the first four."""
    mark = next((m for m in "\t;," if m in line), ",")
    roles: dict[str, int] = {}
    for k, name in enumerate(cell.strip().strip('"').lower() for cell in line.split(mark)):
        plain = name.replace("_", "").replace(" ", "").replace("-", "")
        role = plain if plain in ("x", "y", "z") else "trust" if plain in TRUST else None
        role = role or ("joint" if plain in _JOINT else "person" if plain in _PERSON else None)
        role = role or (
            "frame" if plain.startswith("frame") else "time" if is_clock(name) and not is_count(name) else None
        )
        roles.setdefault(role or f"other {k}", k)
    return roles if {"joint", "x", "y"} <= roles.keys() and {"frame", "time"} & roles.keys() else None


def is_long_table(path: Path) -> bool:
    """A table whose columns are named frame or time, joint, x and y."""
    if path.suffix.lower() not in (".csv", ".txt", ".tsv"):
        return False
    lines = head_lines(path, 1)
    return bool(lines) and _roles(lines[0]) is not None


def read_long_table(path: Path, options: ReadOptions) -> MotionSet:
    """Positions (frames, joints, 3), or (frames, joints, 2) in an image, of one recording.

    Raises:
        DataError: damaged, rows of another number of cells, frames far apart.
    """
    with reading(path, "CSV"), open(path, newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        roles = _roles(first)
        rows = [row for row in csv.reader(file, delimiter=next((m for m in "\t;," if m in first), ",")) if row]
    if roles is None or not rows:
        raise DataError(f"{path}: found {len(rows)} rows below {first.strip()[:60]!r}, expected frame,joint,x,y,z")
    axes = [roles[axis] for axis in "xyz" if axis in roles]
    wrong = next((k for k, row in enumerate(rows, 2) if len(row) <= max(roles.values())), None)
    if wrong is not None:
        raise DataError(f"{path}: line {wrong}: found {len(rows[wrong - 2])} cells, expected {max(roles.values()) + 1}")
    rows, notes = _one_person(rows, roles.get("person"))
    joints = list(dict.fromkeys(row[roles["joint"]].strip() for row in rows))
    joints = sorted(joints, key=int) if all(name.isdigit() for name in joints) else joints
    with reading(path, "numbers"):
        ticks = np.array([float(row[roles.get("frame", roles.get("time", 0))]) for row in rows])
        values = np.array([[float(row[k]) if row[k].strip() else np.nan for k in axes] for row in rows])
        trust = np.array([float(row[roles["trust"]] or 0) for row in rows]) if "trust" in roles else np.ones(len(rows))
    times, frame = np.unique(ticks, return_inverse=True)
    seconds = None
    if "frame" in roles and (times == np.round(times)).all():  # frames that are not there are missing
        frame, count = (ticks - times[0]).astype(np.int64), int(times[-1] - times[0]) + 1
        if count > _EMPTY * len(times) + 1000:
            raise DataError(f"{path}: found {len(times)} frames with numbers up to {count} apart, expected a recording")
    else:
        count, (unit, factor) = len(times), unit_of_steps(float(np.median(np.diff(times))) if len(times) > 1 else 0.0)
        seconds = (times - times[0]) * factor
        notes = [*notes, f"times taken as {unit} by their steps"]
    if count * len(joints) > _EMPTY * len(rows) + 1000:
        raise DataError(f"{path}: found {len(joints)} joints in {count} frames, expected most of them in every frame")
    positions = np.full((count, len(joints), len(axes)), np.nan)
    place = {name: k for k, name in enumerate(joints)}
    index = np.array([place[row[roles["joint"]].strip()] for row in rows])
    seen = (trust > 0) & np.isfinite(values).all(1) & (values != 0).any(1)
    positions[frame[seen], index[seen]] = values[seen]
    return place_joints(path, options, positions, joints, seconds=seconds, notes=notes)


def _one_person(rows: list[list[str]], column: int | None) -> tuple[list[list[str]], list[str]]:
    """The rows of the person who has most of them, and a note where there are several."""
    if column is None:
        return rows, []
    people: dict[str, list[list[str]]] = {}
    for row in rows:
        people.setdefault(row[column].strip(), []).append(row)
    note = ["of several people the one seen most is kept"] if len(people) > 1 else []
    return max(people.values(), key=len), note
