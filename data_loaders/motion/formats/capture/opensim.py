"""STO and MOT, the tables of OpenSim: a head of KEY=VALUE lines up to endheader, names of columns, one row a frame.

quaternions "w,x,y,z" in a cell    orientations of sensors, SO(3)^k (OpenSense); names lose the ending _imu
vectors "x,y,z" in a cell          positions, y up
numbers                            joint angles, forces, activations: signals, with the unit that the head says
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.joint_names import plain_names
from mvnet.data_loaders.motion.formats.sensors.table import rate_of
from mvnet.data_loaders.motion.formats.units import metres_per_unit
from mvnet.data_loaders.motion.inertial import rotations_of_quaternions
from mvnet.data_loaders.motion.motion_set import MotionSet, check_times
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import one_recording
from mvnet.data_loaders.motion.skeleton.tree import TO_Z_UP
from mvnet.data_loaders.text_files import head_lines

_EVEN = 0.05  # by which the steps of even sampling differ, as texts of few digits have them


def is_opensim(path: Path) -> bool:
    """A .sto or .mot with a line endheader."""
    if path.suffix.lower() not in (".sto", ".mot"):
        return False
    return any(line.strip().lower() == "endheader" for line in head_lines(path, 200))


def read_opensim(path: Path, options: ReadOptions) -> MotionSet:
    """Rotations (frames, sensors, 3, 3), positions (frames, points, 3) or signals (frames, columns) of one recording.

    Orientations of sensors stay in the axes of the file, unless `up` says which of them is up.

    Raises:
        DataError: damaged, no rows, cells of different sizes, times that do not grow.
    """
    with reading(path, "STO"):
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        end = next(k for k, line in enumerate(lines) if line.strip().lower() == "endheader")
        head = dict(re.split(r"\s*=\s*", line.strip().lower(), maxsplit=1) for line in lines[:end] if "=" in line)
        rows = [_cells(line) for line in lines[end + 1 :] if line.strip()]
        names, rows = rows[0], rows[1:]
    size = len(rows[0][-1].split(",")) if rows else 0
    if not rows or len(names) < 2 or size not in (1, 3, 4):
        found = f"{len(rows)} rows of {len(names)} columns"
        raise DataError(f"{path}: found {found}, expected time and values after endheader")
    seconds, values = _numbers(path, rows, len(names), size)
    check_times(seconds, str(path))
    rate = rate_of(seconds)
    even = rate is not None and bool((np.abs(np.diff(seconds) * rate - 1) < _EVEN).all())
    found = {1: _signals, 3: _positions, 4: _rotations}[size](path, options, values, tuple(names[1:]), head)
    return replace(
        found,
        rate=options.rate or rate,
        timestamps=None if even or options.rate else (seconds - seconds[0],),
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.rstrip().split("\t")] if "\t" in line.strip() else line.split()


def _numbers(path: Path, rows: list[list[str]], columns: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds (frames,) and values (frames, columns - 1, size)."""
    wrong = next((k for k, row in enumerate(rows) if len(row) != columns), None)
    if wrong is not None:
        raise DataError(f"{path}: row {wrong + 1}: found {len(rows[wrong])} columns, expected {columns}: truncated?")
    try:
        seconds = np.array([float(row[0]) for row in rows])
        values = np.array([[[float(v) for v in cell.split(",")] for cell in row[1:]] for row in rows])
    except ValueError as error:
        raise DataError(f"{path}: found no number or a cell of another size ({error}), expected {size} each") from error
    return seconds, np.where(np.isfinite(values), values, np.nan)


def _signals(path: Path, options: ReadOptions, values: np.ndarray, names: tuple[str, ...], head: dict) -> MotionSet:
    unit = {"yes": "angles in degrees", "no": "angles in radians"}.get(str(head.get("indegrees", "")))
    return MotionSet(
        [values[..., 0]],
        "signals",
        names=(path.stem,),
        channels=names,
        source=str(path),
        notes=(unit,) if unit else (),
    )


def _positions(path: Path, options: ReadOptions, values: np.ndarray, names: tuple[str, ...], head: dict) -> MotionSet:
    scale, note = metres_per_unit(path, str(head.get("units", "")), values, options)
    joints = plain_names(names)
    motions = one_recording(path, options, positions=values * scale, joints=joints, scale=scale, default_up="y")
    return replace(motions, notes=(*motions.notes, note)) if note else motions


def _rotations(path: Path, options: ReadOptions, values: np.ndarray, names: tuple[str, ...], head: dict) -> MotionSet:
    rotations = rotations_of_quaternions(values, "wxyz")
    note = "quaternions w x y z, in the axes of the file; say up=... if its z is not up"
    if options.up:
        rotations, note = TO_Z_UP[options.up] @ rotations, f"quaternions w x y z; up: {options.up} (as asked)"
    joints = plain_names([re.sub(r"_imu$", "", name, flags=re.IGNORECASE) for name in names])
    return MotionSet([rotations], "rotations", names=(path.stem,), joints=joints, source=str(path), notes=(note,))
