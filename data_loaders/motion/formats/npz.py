"""The neutral .npz of motions: plain arrays, nothing pickled.

seq_0000, seq_0001, ...   (frames, joints, 3) metres with z up, or (frames, joints, 2) in an image, to the right and up;
                          or (frames, joints, 3, 3) rotations, or (frames, channels) signals
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
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.cameras.poses import split_confidence
from mvnet.data_loaders.motion.formats.sensors.channels_first import frames_first
from mvnet.data_loaders.motion.formats.sensors.columns import is_clock
from mvnet.data_loaders.motion.motion_set import MotionSet, encode_labels
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.skeleton.vertical import Vertical
from mvnet.data_loaders.motion.turning import turn
from mvnet.data_loaders.npz_files import read_npz
from mvnet.storage import replacing

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


def is_neutral(path: Path) -> bool:
    """Whether the file is an .npz with seq_0000 and so on."""
    return any(re.fullmatch(r"seq_\d+", name) for name in npz_names(path))


def read_neutral(path: Path, options: ReadOptions | None = None) -> MotionSet:
    """The motions of a neutral .npz; `up` and `scale` are for files that do not keep to z up and metres.

    Raises:
        DataError: damaged file, shapes or counts that do not agree; names what was found and expected.
    """
    arrays = read_npz(path)
    keys = sorted((name for name in arrays if re.fullmatch(r"seq_\d+", name)), key=lambda name: int(name[4:]))
    if not keys:
        raise DataError(f"{path}: found no arrays seq_0000, seq_0001, ..., expected at least one")
    sequences = [_floats(arrays[key], path) for key in keys]
    kind: Any = _KINDS.get(sequences[0].ndim, "positions")  # the set itself refuses other shapes
    channels, note = _strings(arrays, "channel"), ""
    if kind == "positions":
        sequences, note = split_confidence(sequences)
    if kind == "signals":
        sequences, note = frames_first(sequences, len(channels or ()))
        clocks = [k for k, name in enumerate(channels or ()) if is_clock(name)]
        if clocks and channels and len(clocks) < len(channels) == sequences[0].shape[1]:
            note = f"channels left out, which are clocks: {', '.join(channels[k] for k in clocks)}"
            sequences = [np.delete(sequence, clocks, axis=1) for sequence in sequences]
            channels = tuple(name for k, name in enumerate(channels) if k not in clocks)
    labels, classes = _labels(arrays, path)
    subjects, names = (_column(arrays, name, path) for name in ("subject", "name"))
    motions = MotionSet(
        sequences,
        kind,
        labels=labels,
        classes=classes,
        subjects=subjects,
        parent=arrays.get("parent"),
        train_subjects=arrays.get("train_subjects"),
        train_sequences=arrays.get("train_sequences"),
        names=tuple(keys) if names is None else tuple(map(str, names)),
        joints=_strings(arrays, "joint"),
        channels=channels,
        rate=float(arrays["rate"]) if "rate" in arrays else None,
        timestamps=_times(arrays, keys, path),
        source=str(path),
        notes=(note,) if note else (),
    )
    return motions if options is None else _as_asked(motions, options)


def _as_asked(motions: MotionSet, options: ReadOptions) -> MotionSet:
    """With `up` as the vertical axis, and positions in metres by `scale`."""
    if options.up and motions.kind != "signals" and not motions.is_flat:
        vertical = Vertical(options.up, "as asked")
        motions = replace(turn(motions, "z", options.up), vertical=vertical, notes=(*motions.notes, vertical.note))
    if options.scale and motions.kind == "positions":
        factor, note = options.scale, f"{options.scale:g} metres per unit"
        sequences = tuple(sequence * sequence.dtype.type(factor) for sequence in motions.sequences)
        motions = replace(motions, sequences=sequences, notes=(*motions.notes, note))
    return motions


def _floats(array: np.ndarray, path: Path) -> np.ndarray:
    """Floating-point numbers as they are, integers as float32."""
    if array.dtype.kind not in "fiu":
        raise DataError(f"{path}: sequences: found {array.dtype} values, expected numbers")
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def _times(arrays: dict[str, np.ndarray], keys: list[str], path: Path) -> tuple[np.ndarray, ...] | None:
    """Seconds of every frame of each sequence; None where there are none."""
    names = [f"time_{key[4:]}" for key in keys]
    if names[0] not in arrays:
        return None
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(f"{path}: found no {missing[0]}, expected one for each sequence or none at all")
    return tuple(np.asarray(arrays[name], dtype=np.float64) for name in names)


def _labels(arrays: dict[str, np.ndarray], path: Path) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels and class names, in the order of the array `class` where there is one; (None, ()) without labels."""
    column = _column(arrays, "label", path)
    if "class" not in arrays:
        return (None, ()) if column is None else encode_labels(column)
    classes = tuple(map(str, arrays["class"]))
    names = [str(value) for value in column] if column is not None else []
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise DataError(f"{path}: label: found {unknown[0]!r}, expected one of class: {', '.join(classes)}")
    return np.array([classes.index(name) for name in names], dtype=np.int64), classes


def _column(arrays: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray | None:
    """The array `name` as (n,), None without it."""
    column = arrays.get(name)
    if column is None:
        return None
    if column.ndim == 2 and 1 in column.shape:
        column = column.ravel()
    if column.ndim != 1 or column.dtype.kind not in "iufUb":
        raise DataError(f"{path}: {name}: found {column.dtype} {column.shape}, expected integers or strings (n,)")
    return column


def _strings(arrays: dict[str, np.ndarray], name: str) -> tuple[str, ...] | None:
    return tuple(map(str, arrays[name])) if name in arrays else None


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
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    return path
