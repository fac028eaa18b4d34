"""A user's own recordings: one folder for each class.

    DATA/walk/s01_first.bvh   DATA/walk/s02.bvh   DATA/run/subject01.bvh   ...   DATA/subjects.csv (optional)

The class is the first folder below DATA; deeper ones only divide it. Where all first folders are people (s01, P02) and
hold folders, these are the classes. The subject is the number after s, sub, subject, p, person and the like in the
file's name or in a deeper folder's, or what subjects.csv says: lines "file,subject", the file relative to DATA. Files
that lie in DATA itself have no class unless their names tell it, as MSR's, NTU's and HDM05's do.

    DATA/01/01.asf   DATA/01/01_02.amc     CMU: folders of people, each with a skeleton of its own name, no classes

A recording that cannot be read is left out, and named in the notes with the reason.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.cameras.bodies import same_people
from mvnet.data_loaders.motion.formats.cameras.openpose import first_frames, is_openpose, recording_of
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.recording import combine

_PERSON = r"(?:subject|subj|sub|s|participant|person|p|actor|user|volunteer)[ _-]?(\d+)"
SUBJECT = re.compile(rf"(?:^|[^a-zA-Z]){_PERSON}(?![a-zA-Z0-9])", re.IGNORECASE)
_ASIDE = re.compile(r"^(readme|licen[cs]e|copying|subjects\.csv|segments\.csv)|^\.", re.IGNORECASE)
_NAMED = 10  # recordings left out, in the notes


def motion_files(path: Path, endings: Iterable[str]) -> list[Path]:
    """The recordings of a folder, sorted, each by its first file; hidden files, README and LICENSE are none."""
    wanted = set(endings)
    files = (file for file in sorted(path.rglob("*")) if file.suffix.lower() in wanted and file.is_file())
    parts = ((file, file.relative_to(path).parts) for file in files)
    return first_frames(file for file, names in parts if not any(_ASIDE.match(name) for name in names))


def read_folder(path: Path, endings: Iterable[str], read: Callable[[Path], MotionSet]) -> MotionSet:
    """All recordings of a folder as one set.

    Args:
        endings: of the files that are recordings, as ".bvh".
        read: the reader of one file.
    Raises:
        DataError: no recordings, none that can be read, an empty class folder, files both in and beside class folders,
            recordings of different skeletons, a recording that subjects.csv does not have.
    """
    endings = sorted(set(endings))
    files = motion_files(path, endings)
    if not files:
        raise DataError(f"{path}: found no motion files, expected some with {', '.join(endings)}")
    inner = _inner(path, files)
    if inner != path:
        found = read_folder(inner, endings, read)
        return replace(found, source=str(path), notes=(f"classes taken from the folders in {inner.name}", *found.notes))
    listed = _listed_subjects(path)
    parts, notes = _read_all(path, files, read)
    files = list(parts)
    level, layout = _find_classes(path, files, endings)
    named = []
    for file in files:
        part, names = parts[file], file.relative_to(path).parts
        if level is not None and (part.labels is None or len(part) == 1):  # labels of many motions are their own
            part = replace(part, labels=np.zeros(len(part), dtype=np.int64), classes=(names[level],))
        part = _with_subject(part, file, path, listed, names[0] if "people" in layout else None)
        name = str(recording_of(file).relative_to(path))
        named.append(replace(part, names=(name,) * len(part)))
    found = combine(same_people(named), str(path))
    return replace(found, notes=(*notes, *((layout,) if layout else ()), *found.notes))


def _read_all(
    path: Path, files: list[Path], read: Callable[[Path], MotionSet]
) -> tuple[dict[Path, MotionSet], list[str]]:
    """What can be read, and a note on what cannot; the last reason where nothing can."""
    parts: dict[Path, MotionSet] = {}
    failed: list[tuple[Path, Exception]] = []
    for file in files:
        try:
            parts[file] = read(file)
        except (DataError, OSError) as error:
            failed.append((file, error))
            if len(failed) == len(files):
                raise
    if not failed:
        return parts, []
    reasons = [f"{file.relative_to(path)} ({str(error).removeprefix(f'{file}: ')})" for file, error in failed[:_NAMED]]
    more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return parts, [f"left out {len(failed)} of {len(files)} recordings: {'; '.join(reasons)}{more}"]


def _inner(path: Path, files: list[Path]) -> Path:
    """The one folder that all recordings lie in, where it holds several folders that are no people; else `path`."""
    places = [file.relative_to(path).parts for file in files]
    if len({parts[0] for parts in places}) > 1 or min(map(len, places)) < 3 or (path / "subjects.csv").is_file():
        return path
    second = {parts[1] for parts in places}
    people = all(re.fullmatch(_PERSON, name, re.IGNORECASE) for name in second)
    return path if people or len(second) < 2 else path / places[0][0]


def _find_classes(path: Path, files: list[Path], endings: list[str]) -> tuple[int | None, str]:
    """The level of the folders that are classes, None without; and a note where the first ones are people.

    Raises:
        DataError: only some recordings lie in folders, or a folder holds none.
    """
    places = [file.relative_to(path).parts for file in files]
    below = [len(parts) > 1 for parts in places]
    if not any(below):
        return None, ""
    if not all(below):
        stray = files[below.index(False)].name
        raise DataError(f"{path}: found {stray} beside class folders, expected every recording in one of them")
    first = {parts[0] for parts in places}
    frames = all(file.suffix.lower() == ".json" and is_openpose(file) for file in files)
    if frames and len(files) == len(first) and all(len(parts) == 2 for parts in places):
        return None, "folders taken as recordings, because each holds the frames of one; no classes"
    if all((path / name / f"{name}.asf").is_file() for name in first):
        return None, "folders taken as people, because each has a skeleton of its own name; no classes"
    others = (folder for folder in sorted(path.iterdir()) if folder.is_dir() and folder.name not in first)
    empty = next((f for f in others if not _ASIDE.match(f.name) and not motion_files(f, endings)), None)
    if empty is not None:
        raise DataError(f"{empty}: found no motion files, expected some with {', '.join(endings)}")
    if all(len(parts) > 2 for parts in places) and all(re.fullmatch(_PERSON, name, re.IGNORECASE) for name in first):
        return 1, "folders taken as people, because of their names, and those in them as classes"
    return 0, ""


def _with_subject(
    part: MotionSet, file: Path, root: Path, listed: dict[str, str] | None, person: str | None
) -> MotionSet:
    """With the subject as subjects.csv has it, else of the folder of a person, else of the reader, else of the name."""
    names = file.relative_to(root).parts
    if listed is not None:
        name = "/".join(names)
        if name not in listed:
            raise DataError(f"{root / 'subjects.csv'}: found no line for {name}, expected one for each recording")
        return replace(part, subjects=np.array([listed[name]] * len(part)))
    if person is not None:
        match = re.fullmatch(_PERSON, person, re.IGNORECASE)
        return replace(part, subjects=np.array([str(int(match[1])) if match else person] * len(part)))
    matches = (SUBJECT.search(name) for name in (file.stem, *reversed(names[1:-1])))
    match = next((match for match in matches if match), None)
    if part.subjects is not None or match is None:
        return part
    return replace(part, subjects=np.array([str(int(match[1]))] * len(part)))


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
