"""The neutral .npz of motions: plain arrays, nothing pickled.

seq_0000, seq_0001, ...   (frames, joints, 3) metres with z up; or (frames, joints, 3, 3) rotations, or
                          (frames, channels) signals
label, subject            (n,) integers or strings, both optional for prediction
parent                    (joints,) index of the joint above, -1 at the root
train_subjects            (splits, k), optional; train_sequences (splits, n) bool likewise
rate, time_0000, ...      frames per second, or seconds of each frame; optional
name, joint, channel      strings, optional
"""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.motion_set import MotionSet, encode_labels

_KINDS = {2: "signals", 3: "positions", 4: "rotations"}


def npz_names(path: Path) -> list[str]:
    """Names of the arrays of an .npz, [] of anything else; reads no array."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
    except (zipfile.BadZipFile, OSError):
        return []


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz.

    Raises:
        DataError: damaged, or an array that only pickle could read.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except ValueError as error:
        raise DataError(f"{path}: found an array of Python objects or a damaged one, expected plain arrays") from error
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: found truncated or damaged data, expected an .npz") from error


def is_neutral(path: Path) -> bool:
    """Whether the file is an .npz with seq_0000 and so on."""
    return any(re.fullmatch(r"seq_\d+", name) for name in npz_names(path))


def read_neutral(path: Path) -> MotionSet:
    """The motions of a neutral .npz.

    Raises:
        DataError: damaged file, shapes or counts that do not agree; names what was found and expected.
    """
    arrays = read_arrays(path)
    keys = sorted((name for name in arrays if re.fullmatch(r"seq_\d+", name)), key=lambda name: int(name[4:]))
    if not keys:
        raise DataError(f"{path}: found no arrays seq_0000, seq_0001, ..., expected at least one")
    sequences = [arrays[key] for key in keys]
    sequences = [s if s.dtype.kind == "f" else s.astype(np.float32) for s in sequences if _numeric(s, path)]
    kind: Any = _KINDS.get(sequences[0].ndim, "positions")  # the set itself refuses other shapes
    labels, classes = (None, ()) if "label" not in arrays else encode_labels(_column(arrays, "label", path))
    if "class" in arrays:
        labels, classes = _with_classes(arrays, path)
    times = None
    if f"time_{keys[0][4:]}" in arrays:
        missing = [key for key in keys if f"time_{key[4:]}" not in arrays]
        if missing:
            raise DataError(f"{path}: found no time_{missing[0][4:]}, expected one for each sequence or none at all")
        times = tuple(np.asarray(arrays[f"time_{key[4:]}"], dtype=np.float64) for key in keys)
    return MotionSet(
        sequences,
        kind,
        labels=labels,
        classes=classes,
        subjects=_column(arrays, "subject", path) if "subject" in arrays else None,
        parent=arrays.get("parent"),
        train_subjects=arrays.get("train_subjects"),
        train_sequences=arrays.get("train_sequences"),
        names=tuple(map(str, _column(arrays, "name", path))) if "name" in arrays else tuple(keys),
        joints=_strings(arrays, "joint"),
        channels=_strings(arrays, "channel"),
        rate=float(arrays["rate"]) if "rate" in arrays else None,
        timestamps=times,
        source=str(path),
    )


def _numeric(array: np.ndarray, path: Path) -> bool:
    if array.dtype.kind not in "fiu":
        raise DataError(f"{path}: sequences: found {array.dtype} values, expected numbers")
    return True


def _column(arrays: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    column = arrays[name]
    if column.ndim == 2 and 1 in column.shape:
        column = column.ravel()
    if column.ndim != 1 or column.dtype.kind not in "iufUb":
        raise DataError(f"{path}: {name}: found {column.dtype} {column.shape}, expected integers or strings (n,)")
    return column


def _strings(arrays: dict[str, np.ndarray], name: str) -> tuple[str, ...] | None:
    return tuple(map(str, arrays[name])) if name in arrays else None


def _with_classes(arrays: dict[str, np.ndarray], path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels by name in the order of the array `class`."""
    classes = tuple(map(str, arrays["class"]))
    names = [str(value) for value in _column(arrays, "label", path)]
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise DataError(f"{path}: label: found {unknown[0]!r}, expected one of class: {', '.join(classes)}")
    return np.array([classes.index(name) for name in names], dtype=np.int64), classes


def save_motion(motions: MotionSet, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a neutral .npz, whole or not at all; `read_neutral` gives the same set back.

    Raises:
        DataError: another ending than .npz, the file exists, no such folder.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise DataError(f"path: found {path.name}, expected a name that ends in .npz")
    if path.exists() and not overwrite:
        raise DataError(
            f"path: found an existing file {path}, expected none that exists; pass overwrite=True to replace it"
        )
    if not path.parent.is_dir():
        raise DataError(f"path: found no such folder {path.parent}, expected one that exists")
    arrays: dict[str, Any] = {f"seq_{i:04d}": sequence for i, sequence in enumerate(motions.sequences)}
    arrays |= {f"time_{i:04d}": times for i, times in enumerate(motions.timestamps or ())}
    if motions.labels is not None:
        arrays["class"] = np.array(motions.classes)
        arrays["label"] = arrays["class"][motions.labels]
        if all(re.fullmatch(r"\d+", name) for name in motions.classes):
            arrays["label"] = arrays["label"].astype(np.int64)
    optional = {
        "subject": motions.subjects,
        "parent": motions.parent,
        "train_subjects": motions.train_subjects,
        "train_sequences": motions.train_sequences,
        "joint": motions.joints,
        "channel": motions.channels,
        "rate": motions.rate,
        "name": motions.names,
    }
    arrays |= {name: np.asarray(value) for name, value in optional.items() if value is not None}
    temporary = path.with_name(f".{path.name}.part")
    try:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
