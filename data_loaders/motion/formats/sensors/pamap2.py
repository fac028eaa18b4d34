"""PAMAP2: .dat, rows of 54 numbers at 100 per second: time, activity, heart rate, 17 for each of hand, chest, ankle.

Of every sensor acceleration (16 g), gyroscope and magnetometer are read, 27 channels; the authors advise against the
acceleration of 6 g and the orientation. Activity 0 is what lies between. As in their benchmark, windows have 5.12 s.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.text_files import head_lines

_COLUMNS, _RATE, _WINDOW = 54, 100.0, 512
_NAMES = {
    1: "lying", 2: "sitting", 3: "standing", 4: "walking", 5: "running", 6: "cycling", 7: "Nordic walking",
    9: "watching TV", 10: "computer work", 11: "car driving", 12: "ascending stairs", 13: "descending stairs",
    16: "vacuum cleaning", 17: "ironing", 18: "folding laundry", 19: "house cleaning", 20: "playing soccer",
    24: "rope jumping",
}  # fmt: skip
_PARTS = {"hand": 3, "chest": 20, "ankle": 37}
_KINDS = {"acc": (1, "m/s^2"), "gyr": (7, "rad/s"), "mag": (10, "uT")}
_CHANNELS = tuple(
    (start + offset + k, f"{part} {kind} {axis} ({unit})")
    for part, start in _PARTS.items()
    for kind, (offset, unit) in _KINDS.items()
    for k, axis in enumerate("xyz")
)
"""Column and name of each channel."""


def is_pamap2(path: Path) -> bool:
    """A .dat whose rows have 54 numbers."""
    if path.suffix.lower() != ".dat":
        return False
    lines = [line.split() for line in head_lines(path, 2)]
    return bool(lines) and len(lines[0]) == _COLUMNS


def read_pamap2(path: Path, options: ReadOptions) -> MotionSet:
    """Windows (512, 27) of one person, labelled; NaN where a sensor was not heard.

    Source: Reiss, Stricker, Introducing a new benchmarked dataset for activity monitoring, ISWC 2012.

    Raises:
        DataError: damaged, no window of an activity.
    """
    with reading(path, "PAMAP2"):
        columns = [0, 1, *(column for column, _ in _CHANNELS)]
        rows = np.loadtxt(path, usecols=columns, ndmin=2)
    activity = np.nan_to_num(rows[:, 1]).astype(np.int64)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(activity)) + 1, [len(rows)]))
    windows, labels = [], []
    for first, last in pairwise(starts):
        if activity[first] == 0:
            continue
        for start in range(first, last - _WINDOW + 1, _WINDOW):
            windows.append(rows[start : start + _WINDOW, 2:])
            labels.append(_NAMES.get(int(activity[first]), str(activity[first])))
    windows = [np.where(np.isfinite(window), window, np.nan) for window in windows]
    if not windows:
        raise DataError(f"{path}: found no window of {_WINDOW} rows of one activity, expected some")
    classes = tuple(sorted(set(labels)))
    subject = re.search(r"(\d+)$", path.stem)
    return MotionSet(
        windows,
        "signals",
        labels=np.array([classes.index(label) for label in labels]),
        classes=classes,
        subjects=np.array([subject[1]] * len(windows)) if subject else None,
        channels=tuple(name for _, name in _CHANNELS),
        rate=options.rate or _RATE,
        source=str(path),
        notes=("cut into windows of 5.12 s of one activity; heart rate, temperature and orientation left out",),
    )
