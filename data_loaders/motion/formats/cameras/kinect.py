"""Text files of depth-sensor skeletons: coordinates (x, y, z), x to the sensor's left, y up, z away from it.

florence    one line per frame: video, actor, category, then 15 joints x (x, y, z) in mm
msr         aAA_sSS_eEE*.txt, 20 lines per frame: x y z confidence, metres
ntu         .skeleton: frames; per frame bodies; per body 10 values, 25 joints, 12 values a joint, metres
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.cameras.matlab import NAME, missing_as_nan
from mvnet.data_loaders.motion.motion_set import MotionSet, encode_labels
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS
from mvnet.data_loaders.motion.skeleton.tree import Y_UP_TO_Z_UP
from mvnet.data_loaders.text_files import head_lines

_FARTHEST = 50.0  # metres: no depth sensor sees beyond, so larger numbers are another unit
_NTU = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.IGNORECASE)


def _numbers(text: str) -> list[float]:
    """The numbers of a line, [] when it holds anything else."""
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        return []


def is_florence(path: Path) -> bool:
    """Lines of 3 integers and 45 numbers."""
    lines = [_numbers(line) for line in head_lines(path, 1)]
    return bool(lines) and len(lines[0]) == 48 and all(v.is_integer() for v in lines[0][:3])


def is_msr(path: Path) -> bool:
    """A .txt named aAA_sSS_eEE with 4 numbers a line."""
    lines = head_lines(path, 1) if path.suffix.lower() == ".txt" and NAME.match(path.stem) else []
    return bool(lines) and len(_numbers(lines[0])) == 4


def is_ntu(path: Path) -> bool:
    """A count of frames, a count of bodies, then 10 values."""
    lines = [_numbers(line) for line in head_lines(path, 3)]
    return len(lines) == 3 and [len(line) for line in lines] == [1, 1, 10]


def _world(positions: np.ndarray, scale: float) -> np.ndarray:
    """Sensor axes to z up, metres, NaN where nobody was seen."""
    return missing_as_nan(positions) @ Y_UP_TO_Z_UP.T * scale


def _table(path: Path, columns: int) -> np.ndarray:
    rows = [_numbers(line) for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    wrong = next((i for i, row in enumerate(rows) if len(row) != columns), None)
    if wrong is not None or not rows:
        found = f"{len(rows[wrong])} numbers in row {wrong + 1}" if wrong is not None else "no rows"
        raise DataError(f"{path}: found {found}, expected {columns} in every row")
    return np.array(rows)


def read_florence(path: Path, options: ReadOptions) -> MotionSet:
    """All videos of the file; millimetres, unless `scale` says otherwise or the numbers are too small for it.

    Raises:
        DataError: a row without 48 numbers.
    """
    table = _table(path, 48)
    keys = table[:, :3].astype(np.int64)
    coordinates = table[:, 3:].reshape(-1, 15, 3)
    millimetres = np.abs(coordinates).max() > _FARTHEST
    scale = options.scale or (1e-3 if millimetres else 1.0)
    changes = np.flatnonzero((np.diff(keys, axis=0) != 0).any(1)) + 1
    first = np.concatenate(([0], changes))
    labels, classes = encode_labels(keys[first, 2])
    layout = LAYOUTS["kinect-15"]
    return MotionSet(
        [_world(part, scale) for part in np.split(coordinates, changes)],
        labels=labels,
        classes=classes,
        subjects=keys[first, 1],
        parent=layout.parents(),
        names=tuple(f"video {i}" for i in keys[first, 0]),
        joints=layout.joints,
        source=str(path),
        notes=(f"{scale:g} metres per unit", "turned from y up to z up"),
    )


def read_msr(path: Path, options: ReadOptions) -> MotionSet:
    """One recording; class and subject from its name.

    Raises:
        DataError: rows that are no multiple of 20 joints, or screen coordinates.
    """
    table, layout = _table(path, 4), LAYOUTS["kinect-20"]
    joints = len(layout.joints)
    if len(table) % joints:
        raise DataError(f"{path}: found {len(table)} rows, expected a multiple of {joints}, one for each joint")
    positions = table[:, :3].reshape(-1, joints, 3)
    if options.scale is None and np.abs(positions).max() > _FARTHEST:
        raise DataError(
            f"{path}: found coordinates up to {np.abs(positions).max():g}, expected metres; the files in screen "
            "coordinates (pixels) cannot be used, for another unit of length give scale"
        )
    match = NAME.match(path.stem)
    return MotionSet(
        [_world(positions, options.scale or 1.0)],
        labels=np.zeros(1, dtype=np.int64) if match else None,
        classes=(str(int(match.group(1))),) if match else (),
        subjects=np.array([int(match.group(2))]) if match else None,
        parent=layout.parents(),
        names=(path.stem,),
        joints=layout.joints,
        source=str(path),
        notes=("turned from y up to z up",),
    )


def read_ntu(path: Path, options: ReadOptions) -> MotionSet:
    """One recording: of the bodies in it, the one whose joints vary most; class and subject from its name.

    Frames without that body are NaN. Layout as published with NTU RGB+D (Shahroudy et al., CVPR 2016).

    Raises:
        DataError: truncated, another number of joints, nobody in any frame.
    """
    bodies, frames = _ntu_bodies(path)
    if not bodies:
        raise DataError(f"{path}: found nobody in {frames} frames, expected at least one body")

    def motion(name: str) -> float:  # total variance over time, of what was seen
        return float(np.nanvar(bodies[name], axis=0).sum())

    body = max(bodies, key=motion)
    match, layout = _NTU.search(path.stem), LAYOUTS["kinect-25"]
    return MotionSet(
        [_world(bodies[body], options.scale or 1.0)],
        labels=np.zeros(1, dtype=np.int64) if match else None,
        classes=(str(int(match.group(5))),) if match else (),
        subjects=np.array([int(match.group(3))]) if match else None,
        parent=layout.parents(),
        names=(path.stem,),
        joints=layout.joints,
        rate=options.rate or 30.0,
        source=str(path),
        notes=("turned from y up to z up", f"{len(bodies)} bodies, the one that moves most is kept"),
    )


def _ntu_bodies(path: Path) -> tuple[dict[str, np.ndarray], int]:
    """Coordinates (frames, 25, 3) by body, NaN in frames without it, and the number of frames."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    words = iter(lines)
    bodies: dict[str, np.ndarray] = {}
    line = 0

    def values(count: int, what: str) -> list[str]:
        nonlocal line
        line += 1
        found = next(words, "").split()
        if len(found) != count:
            raise DataError(f"{path}: line {line}: found {len(found)} values, expected {count} ({what})")
        return found

    try:
        frames = int(values(1, "number of frames")[0])
        if frames > len(lines):  # before there is room made for them
            raise DataError(f"{path}: line 1: found {frames} frames, expected at most {len(lines)}, one a line")
        for frame in range(frames):
            for _ in range(int(values(1, "number of bodies")[0])):
                name = values(10, "a body")[0]
                joints = int(values(1, "number of joints")[0])
                if joints != 25:
                    raise DataError(f"{path}: line {line}: found {joints} joints, expected 25")
                rows = [[float(v) for v in values(12, "a joint")[:3]] for _ in range(joints)]
                bodies.setdefault(name, np.full((frames, joints, 3), np.nan))[frame] = rows
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{path}: line {line}: found no number ({error}), expected numbers") from error
    return bodies, frames
