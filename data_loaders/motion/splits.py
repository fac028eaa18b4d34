"""Training and test sequences of a motion set, subject by subject.

cross-subject           the splits published with the data; where there are none, leave-one-subject-out
leave-one-subject-out   one split for each subject, the test being that subject
half                    one split: every second subject (first, third, ... in order) trains
folds, folds:N          N splits (5): sequence by sequence, in every class the first N-th, the second, ... are tested
FILE                    .json [[1, 3, 5], [2, 4]] or .csv / .txt, one line for each split: the training subjects

Where there are no subjects, or one, the schemes that need several go by sequence, into at most as many folds as the
smallest class has sequences, and their note says so. Neighbours of a class stay in one fold: repetitions that follow
each other are more alike than others.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.storage import parse_json

SCHEMES = ("cross-subject", "leave-one-subject-out", "half", "folds")
_FOLDS = 5


@dataclass(frozen=True)
class Split:
    """train, test: indices of sequences, disjoint, sorted. name: of the split. note: how it came about, in words."""

    train: np.ndarray
    test: np.ndarray
    name: str
    note: str

    def __iter__(self) -> Iterator[np.ndarray]:
        """So that `for train, test in splits(...)` works."""
        return iter((self.train, self.test))


def splits(motions: MotionSet, scheme: str | os.PathLike[str] = "cross-subject") -> list[Split]:
    """The splits of a scheme, or of a file.

    A class that only test subjects perform stays in the test, where it counts as wrong; the note says so.

    Raises:
        DataError: unknown scheme or file, a file but no subjects, a subject that does not exist, an empty side.
    """
    name = os.fspath(scheme)
    if name == "cross-subject" and motions.train_sequences is not None:
        masks = np.asarray(motions.train_sequences, dtype=bool)
        return [_split(motions, m, f"{i + 1}", "published split over sequences") for i, m in enumerate(masks)]
    if name == "cross-subject" and motions.train_subjects is not None:
        return _by_subjects(motions, np.asarray(motions.train_subjects).tolist(), "published", motions.source)
    folds = re.fullmatch(r"folds(?::(\d+))?", name)
    if folds:
        return _by_sequence(motions, int(folds.group(1) or _FOLDS), "folds by sequence")
    if name not in SCHEMES:
        return _by_subjects(motions, read_subject_lists(Path(name)), f"of {Path(name).name}", name)
    subjects = [] if motions.subjects is None else sorted(set(np.asarray(motions.subjects).tolist()))
    if len(subjects) < 2:
        reason = f"as there {'is one subject' if subjects else 'are no subjects'}"
        reason += ": the same person may be in training and test"
        if name == "half":
            return [_half_of_sequences(motions, f"every second sequence of a class trains, {reason}")]
        smallest = min(len(members) for _, members in _classes(motions))
        return _by_sequence(motions, max(2, min(_FOLDS, smallest)), f"folds by sequence, {reason}")
    if name == "half":
        return _by_subjects(motions, [subjects[::2]], "every second subject trains", motions.source)
    note = "leave one subject out" + (", as none are published" if name == "cross-subject" else "")
    lists = [[other for other in subjects if other != left] for left in subjects]
    found = _by_subjects(motions, lists, note, motions.source)
    return [Split(s.train, s.test, f"without {left}", s.note) for s, left in zip(found, subjects)]


def _by_subjects(motions: MotionSet, lists: Sequence[Sequence[object]], note: str, source: str) -> list[Split]:
    keys = np.array([subject_key(subject) for subject in motions.require_subjects()])
    found = []
    for i, training in enumerate(lists):
        wanted = [subject_key(subject) for subject in training]
        unknown = [subject for subject, key in zip(training, wanted) if key not in keys]
        if unknown:
            known = ", ".join(sorted(set(keys.tolist()))[:20])
            raise DataError(f"{source}: split {i + 1}: found subject {unknown[0]!r}, expected one of {known}")
        found.append(_split(motions, np.isin(keys, wanted), f"{i + 1}", note))
    return found


def _by_sequence(motions: MotionSet, count: int, note: str) -> list[Split]:
    """Splits over sequences: the k-th of n of class c is tested in fold (floor(k count / n) + c) mod count."""
    if count < 2:
        raise DataError(f"split: found {count} folds, expected at least 2")
    count = min(count, len(motions))
    fold = np.zeros(len(motions), dtype=np.int64)
    for label, members in _classes(motions):
        fold[members] = (np.arange(len(members)) * count // len(members) + label) % count
    used = np.unique(fold).tolist()
    return [_split(motions, fold != k, f"fold {place}", note) for place, k in enumerate(used, 1)]


def _half_of_sequences(motions: MotionSet, note: str) -> Split:
    train = np.zeros(len(motions), dtype=bool)
    for _, members in _classes(motions):
        train[members[::2]] = True
    return _split(motions, train, "1", note)


def _classes(motions: MotionSet) -> list[tuple[int, np.ndarray]]:
    """Label and indices of the sequences of every class."""
    labels = np.zeros(len(motions), dtype=np.int64) if motions.labels is None else motions.labels
    return [(int(label), np.flatnonzero(labels == label)) for label in np.unique(labels)]


def _split(motions: MotionSet, train: np.ndarray, name: str, note: str) -> Split:
    if train.all() or not train.any():
        side = "test" if train.all() else "training"
        raise DataError(f"{motions.source}: split {name}: found no {side} sequence, expected at least one")
    if motions.labels is not None:
        unseen = np.setdiff1d(motions.labels[~train], motions.labels[train])
        if len(unseen):
            note += "; never in training: class " + ", ".join(motions.classes[c] for c in unseen)
    return Split(np.flatnonzero(train), np.flatnonzero(~train), name, note)


def subject_key(subject: object) -> str:
    """One spelling for 1, 1.0, "01", "s01" and "subject01"; other names stay as they are."""
    text = str(subject).strip()
    match = re.fullmatch(r"(?:subject|subj|s|p)?[_-]?0*(\d+)(?:\.0)?", text, re.IGNORECASE)
    return match.group(1) if match else text


def read_subject_lists(path: Path) -> list[list[object]]:
    """Training subjects of each split: JSON (a list of lists, or {"train_subjects": ...}) or CSV, a line for each.

    Raises:
        DataError: no such file, not of this form, nothing in it.
    """
    if not path.is_file():
        raise DataError(f"split: found {str(path)!r}, expected one of {', '.join(SCHEMES)}, or a .json or .csv file")
    is_json = path.suffix.lower() == ".json"
    with reading(path, "JSON" if is_json else "a table of subjects"):
        text = path.read_text(encoding="utf-8-sig")
        lists = _parse_json(text) if is_json else _parse_csv(text)
    if not isinstance(lists, list) or not lists or not all(_is_list_of_subjects(row) for row in lists):
        wanted = "for each split a list of its training subjects, as [[1, 3, 5], [2, 4]]"
        raise DataError(f"{path}: found something else, expected {wanted}")
    return [list(row) for row in lists]


def _parse_json(text: str) -> object:
    lists = parse_json(text)
    return lists.get("train_subjects") if isinstance(lists, dict) else lists


def _parse_csv(text: str) -> list[list[str]]:
    """Cells of every line, without comments and empty ones; the delimiter is the first of , ; tab that occurs."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    delimiter = next((mark for mark in ",;\t" if mark in text), " ")
    rows = csv.reader((line for line in lines if line.strip()), delimiter=delimiter, skipinitialspace=True)
    return [[cell.strip() for cell in row if cell.strip()] for row in rows]


def _is_list_of_subjects(row: object) -> bool:
    return isinstance(row, list) and len(row) > 0 and all(isinstance(subject, str | int) for subject in row)
