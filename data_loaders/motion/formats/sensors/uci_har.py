"""The folder of UCI HAR: windows of a phone at the waist, one file for each channel, a line for each window.

    train/y_train.txt, subject_train.txt, Inertial Signals/body_acc_x_train.txt, ...; test/ alike; activity_labels.txt

Its published split is by its two folders. Windows have 128 samples at 50 per second and overlap by half.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.sensors.imu import gyroscope_rotations
from mvnet.data_loaders.motion.motion_set import MotionSet, encode_labels
from mvnet.data_loaders.motion.options import ReadOptions

_SIDES = ("train", "test")
_RATE = 50.0


def _root(path: Path) -> Path | None:
    """The folder itself, or the one in it that holds the set."""
    if not path.is_dir():
        return None
    candidates = [path, *sorted(folder for folder in path.iterdir() if folder.is_dir())]
    return next((folder for folder in candidates if (folder / "train" / "y_train.txt").is_file()), None)


def is_uci_har(path: Path) -> bool:
    """A folder with train/y_train.txt, or one folder above."""
    return _root(path) is not None


def read_uci_har(path: Path, options: ReadOptions) -> MotionSet:
    """Signals (samples, channels) of every window; with value="rotations" the gyroscope integrated.

    Source: Anguita et al., A public domain dataset for human activity recognition using smartphones, ESANN 2013.

    Raises:
        DataError: no signals, files of different numbers of windows, cells that are no numbers.
    """
    root = _root(path)
    if root is None:
        raise DataError(f"{path}: found no train/y_train.txt, expected the folder of UCI HAR")
    sides = [side for side in _SIDES if (root / side / f"y_{side}.txt").is_file()]
    names = sorted(
        file.name.removesuffix("_train.txt") for file in (root / "train/Inertial Signals").glob("*_train.txt")
    )
    if not names:
        raise DataError(f"{root}: found no files in train/Inertial Signals, expected one for each channel")
    parts = [np.stack([_table(root / s / "Inertial Signals" / f"{name}_{s}.txt") for name in names], -1) for s in sides]
    labels, subjects = ([_column(root / s / f"{what}_{s}.txt") for s in sides] for what in ("y", "subject"))
    for side, part, *columns in zip(sides, parts, labels, subjects):
        if any(len(column) != len(part) for column in columns):
            found = f"{len(part)} windows, {' and '.join(str(len(column)) for column in columns)} labels and subjects"
            raise DataError(f"{root / side}: found {found}, expected as many")
    titles = _titles(root / "activity_labels.txt")
    encoded, classes = encode_labels(np.concatenate(labels))
    windows = [window for part in parts for window in part]
    train = np.arange(len(windows)) < len(parts[0])
    motions = MotionSet(
        windows,
        "signals",
        labels=encoded,
        classes=tuple(titles.get(name, name) for name in classes),
        subjects=np.concatenate(subjects),
        train_sequences=train[None] if len(parts) == 2 else None,
        channels=tuple(names),
        rate=options.rate or _RATE,
        source=str(path),
        notes=("published split by the folders train and test",) if len(parts) == 2 else (),
    )
    if options.value != "rotations":
        return motions
    gyroscope = tuple(names.index(f"body_gyro_{axis}") for axis in "xyz" if f"body_gyro_{axis}" in names)
    return gyroscope_rotations(motions, options.gyroscope or gyroscope, options.unit or "rad/s")


def _table(file: Path) -> np.ndarray:
    """(windows, samples)."""
    with reading(file, "a table of numbers"):
        return np.loadtxt(file, ndmin=2)


def _column(file: Path) -> np.ndarray:
    with reading(file, "a column of numbers"):
        return np.loadtxt(file, ndmin=1).astype(np.int64).ravel()


def _titles(file: Path) -> dict[str, str]:
    """Names of the activities by number; {} without the file."""
    if not file.is_file():
        return {}
    with reading(file, "names of activities"):
        rows = [line.split(maxsplit=1) for line in file.read_text(encoding="utf-8-sig").splitlines()]
    return {row[0]: row[1].strip() for row in rows if len(row) == 2}
