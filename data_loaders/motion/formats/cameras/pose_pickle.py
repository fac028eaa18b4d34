"""Pickles of the toolboxes for actions from skeletons (PYSKL, MMAction2), read without executing anything.

    annotations   list of dictionaries: frame_dir, label, keypoint (people, frames, joints, 2 or 3), keypoint_score
                  (people, frames, joints); a single one may stand in place of it all
    split         name -> list of frame_dir; NAME_train beside NAME_val or NAME_test is a published split

A name in the pickle that stands for anything but arrays, lists, dictionaries, texts and numbers ends the reading.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.isolated import parse_isolated
from mvnet.data_loaders.motion.formats.cameras.poses import image_plane, layout_of
from mvnet.data_loaders.motion.motion_set import MotionSet, encode_labels
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS
from mvnet.data_loaders.motion.skeleton.tree import Y_UP_TO_Z_UP

_ENDINGS = (".pkl", ".pickle")
_NTU = re.compile(r"S\d{3}C\d{3}P(\d{3})R\d{3}A\d{3}", re.IGNORECASE)


def is_pose_pickle(path: Path) -> bool:
    """A .pkl or .pickle that begins like a pickle."""
    if path.suffix.lower() not in _ENDINGS or not path.is_file():
        return False
    with open(path, "rb") as file:
        head = file.read(1)
    return head in (b"\x80", b"(", b"]", b"}")


def read_pose_pickle(path: Path, options: ReadOptions) -> MotionSet:
    """All annotations with labels and published splits: of each the person seen most.

    Raises:
        DataError: anything but plain values in the pickle, another layout, annotations of different joints.
    """
    content = parse_isolated("pickle", path)
    entries = content if isinstance(content, list) else getattr(content, "annotations", [content])
    entries = [entry for entry in entries or () if isinstance(entry, SimpleNamespace) and hasattr(entry, "keypoint")]
    if not entries:
        raise DataError(f"{path}: found no annotations with keypoint, expected a list of them")
    people = {k: positions for k, entry in enumerate(entries) if (positions := _person(path, entry)) is not None}
    shape = Counter(x.shape[1:] for x in people.values()).most_common(1)
    if not shape:
        raise DataError(f"{path}: found nobody in {len(entries)} annotations, expected joints above confidence 0")
    kept = {k: x for k, x in people.items() if x.shape[1:] == shape[0][0]}
    gone = [str(getattr(entry, "frame_dir", k)) for k, entry in enumerate(entries) if k not in kept]
    entries, names = [entries[k] for k in kept], [str(getattr(entries[k], "frame_dir", k)) for k in kept]
    sequences, layout, note = _world(list(kept.values()), options)
    labels = [getattr(entry, "label", None) for entry in entries]
    encoded, classes = encode_labels(labels) if all(isinstance(v, int | str) for v in labels) else (None, ())
    people_of = [_NTU.search(name) for name in names]
    train, left = _splits(content, names)
    notes = [note, "of several people the one seen most is kept"] if any(_several(e) for e in entries) else [note]
    notes += (
        [f"left out {len(gone)} annotations without anybody or of other joints: {', '.join(gone[:5])}"] if gone else []
    )
    return MotionSet(
        sequences,
        labels=encoded,
        classes=classes,
        subjects=np.array([int(m[1]) for m in people_of if m]) if all(people_of) else None,
        parent=None if layout is None else layout.parents(),
        joints=None if layout is None else layout.joints,
        train_sequences=train,
        names=tuple(names),
        rate=options.rate,
        source=str(path),
        notes=(*notes, *left),
    )


def _person(path: Path, entry: Any) -> np.ndarray | None:
    """Positions (frames, joints, 2 or 3) of the person with most confidence, NaN where not seen; None of nobody."""
    points = np.asarray(entry.keypoint)
    scores = getattr(entry, "keypoint_score", None)
    if points.dtype.kind not in "fiu" or points.ndim not in (3, 4) or points.shape[-1] not in (2, 3):
        raise DataError(
            f"{path}: keypoint: found {points.dtype} {points.shape}, expected (people, frames, joints, 2 or 3)"
        )
    points = points.reshape(-1, *points.shape[-3:]).astype(np.float32)
    weights = np.ones(points.shape[:-1]) if scores is None else np.asarray(scores, dtype=np.float32)
    weights = weights.reshape(-1, *weights.shape[-2:])
    if weights.shape != points.shape[:-1]:
        raise DataError(f"{path}: keypoint_score: found {weights.shape}, expected {points.shape[:-1]}")
    seen = (weights > 0) & np.isfinite(points).all(-1) & (points != 0).any(-1)
    if not seen.any():
        return None
    best = int(np.argmax((weights * seen).sum((1, 2))))
    return np.where(seen[best][..., None], points[best], np.float32(np.nan))


def _several(entry: Any) -> bool:
    points = np.asarray(entry.keypoint)
    return points.ndim == 4 and len(points) > 1


def _world(sequences: list[np.ndarray], options: ReadOptions) -> tuple[list[np.ndarray], Any, str]:
    """Positions with z up, or y up in an image, their layout, and what was done."""
    joints, size = sequences[0].shape[1:]
    if size == 2:
        return [image_plane(x)[0].astype(np.float32) for x in sequences], layout_of(joints), image_plane(np.zeros(2))[1]
    turn, scale = Y_UP_TO_Z_UP.T.astype(np.float32), np.float32(options.scale or 1.0)
    layout = LAYOUTS["kinect-25"] if joints == 25 else layout_of(joints)
    if options.up == "z":
        return [x * scale for x in sequences], layout, "up: z (as asked)"
    return [x @ turn * scale for x in sequences], layout, "turned from y up to z up"


def _splits(content: Any, names: list[str]) -> tuple[np.ndarray | None, list[str]]:
    """Training sequences (splits, n) of the pairs that cover all annotations, and a note on what does not."""
    lists = vars(content.split) if isinstance(getattr(content, "split", None), SimpleNamespace) else {}
    sets = {name: {str(v) for v in np.ravel(values).tolist()} for name, values in lists.items()}
    rows, used, left = [], [], []
    for name, train in sets.items():
        other = next(
            (sets[w] for w in (name.replace("train", v) for v in ("val", "test")) if w in sets and w != name), None
        )
        if "train" not in name or other is None:
            continue
        if set(names) <= train | other and not train & other and train & set(names):
            rows.append([n in train for n in names])
            used.append(name)
        else:
            left.append(f"split {name} left out: it does not divide all annotations")
    if used:
        left.append(f"published splits: {', '.join(used)}")
    return (np.array(rows) if rows else None), left
