"""A user's own recordings: one folder for each class.

    DATA/walk/s01_first.bvh   DATA/walk/s02.bvh   DATA/run/subject01.bvh   ...   DATA/subjects.csv (optional)

The class is the first folder below DATA; deeper ones only divide it. The subject is the number after s, subject or
p in the file's name, or what subjects.csv says: lines "file,subject", the file relative to DATA. Files that lie in
DATA itself have no class unless their names tell it, as MSR's and NTU's do.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.recording import combine

SUBJECT = re.compile(r"(?:^|[^a-zA-Z])(?:subject|subj|s|p)[_-]?(\d+)(?![a-zA-Z0-9])", re.IGNORECASE)
_ASIDE = re.compile(r"^(readme|licen[cs]e|copying|subjects\.csv|segments\.csv)|^\.", re.IGNORECASE)


def motion_files(path: Path, endings: Iterable[str]) -> list[Path]:
    """The recordings of a folder, sorted; hidden files, README and LICENSE are none."""
    wanted = set(endings)
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and file.suffix.lower() in wanted)
    parts = ((file, file.relative_to(path).parts) for file in files)
    return [file for file, names in parts if not any(_ASIDE.match(name) for name in names)]


def read_folder(path: Path, endings: Iterable[str], read: Callable[[Path], MotionSet]) -> MotionSet:
    """All recordings of a folder as one set.

    Args:
        endings: of the files that are recordings, as ".bvh".
        read: the reader of one file.
    Raises:
        DataError: no recordings, an empty class folder, files both in and beside class folders, recordings of
            different skeletons, a recording that subjects.csv does not have.
    """
    endings = sorted(set(endings))
    files = motion_files(path, endings)
    if not files:
        raise DataError(f"{path}: found no motion files, expected some with {', '.join(endings)}")
    in_class_folders = _has_class_folders(path, files, endings)
    parts = [read(file) for file in files]
    if in_class_folders:
        parts = [_with_class(part, file.relative_to(path).parts[0]) for part, file in zip(parts, files)]
    listed = _listed_subjects(path)
    parts = [_with_subject(part, file, path, listed) for part, file in zip(parts, files)]
    parts = [_with_name(part, str(file.relative_to(path).with_suffix(""))) for part, file in zip(parts, files)]
    return combine(parts, str(path))


def _has_class_folders(path: Path, files: list[Path], endings: list[str]) -> bool:
    """Whether all recordings lie in folders; DataError where only some do, or a folder holds none."""
    below = [len(file.relative_to(path).parts) > 1 for file in files]
    if not any(below):
        return False
    if not all(below):
        stray = files[below.index(False)].name
        raise DataError(f"{path}: found {stray} beside class folders, expected every recording in one of them")
    used = {file.relative_to(path).parts[0] for file in files}
    for folder in sorted(path.iterdir()):
        if folder.is_dir() and folder.name not in used and not _ASIDE.match(folder.name):
            raise DataError(f"{folder}: found no motion files, expected some with {', '.join(endings)}")
    return True


def _with_name(part: MotionSet, name: str) -> MotionSet:
    return replace(part, names=(name,) * len(part))


def _with_class(part: MotionSet, name: str) -> MotionSet:
    return replace(part, labels=np.zeros(len(part), dtype=np.int64), classes=(name,))


def _with_subject(part: MotionSet, file: Path, root: Path, listed: dict[str, str] | None) -> MotionSet:
    if listed is not None:
        name = file.relative_to(root).as_posix()
        if name not in listed:
            raise DataError(f"{root / 'subjects.csv'}: found no line for {name}, expected one for each recording")
        return replace(part, subjects=np.array([listed[name]] * len(part)))
    match = SUBJECT.search(file.stem)
    if part.subjects is not None or match is None:
        return part
    return replace(part, subjects=np.array([str(int(match.group(1)))] * len(part)))


def _listed_subjects(path: Path) -> dict[str, str] | None:
    """Subject by file as subjects.csv has it, None without one."""
    table = path / "subjects.csv"
    if not table.is_file():
        return None
    with reading(table, "CSV"), open(table, newline="", encoding="utf-8-sig") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    wrong = next((i for i, row in enumerate(rows, 1) if len(row) != 2), None)
    if wrong is not None:
        raise DataError(f"{table}: line {wrong}: found {len(rows[wrong - 1])} columns, expected file,subject")
    return {name.replace("\\", "/"): subject for name, subject in rows}
