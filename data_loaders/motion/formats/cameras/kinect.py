"""Text files of depth-sensor skeletons: coordinates (x, y, z), x to the sensor's left, y up, z away from it.

florence    one line per frame: video, actor, category, then 15 joints x (x, y, z) in mm
msr         aAA_sSS_eEE*.txt, 20 lines per frame: x y z confidence, metres
"""

from __future__ import annotations

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


def world(positions: np.ndarray, scale: float = 1.0) -> np.ndarray:
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
        [world(part, scale) for part in np.split(coordinates, changes)],
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
        [world(positions, options.scale or 1.0)],
        labels=np.zeros(1, dtype=np.int64) if match else None,
        classes=(str(int(match.group(1))),) if match else (),
        subjects=np.array([int(match.group(2))]) if match else None,
        parent=layout.parents(),
        names=(path.stem,),
        joints=layout.joints,
        source=str(path),
        notes=("turned from y up to z up",),
    )
