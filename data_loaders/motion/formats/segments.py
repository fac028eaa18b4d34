"""Long recordings and a table of what happens in them when: a folder with a segments.csv beside the recordings.

    file,start,stop,label,subject
    day1/s01.bvh,0.0,1.33,wave,1

Start and stop are in seconds, `file` is relative to the table, the columns may stand in any order. Each line is one
sequence. Lines beyond the end of their recording are left out, said. Without a subject it is that of the file's name
(s01, subject01, p01), else the recording counts as a person of its own, so that no split divides it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.folders import SUBJECT
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import combine

TABLE = "segments.csv"
_NEEDED = ("file", "start", "stop", "label")


@dataclass(frozen=True)
class _Segment:
    """start, stop: seconds. line: of the table."""

    file: str
    start: float
    stop: float
    label: str
    subject: str
    line: int


def is_segmented(path: Path) -> bool:
    """A folder with segments.csv, or that file."""
    return (path / TABLE).is_file() if path.is_dir() else path.name.lower() == TABLE


def read_segmented(path: Path, options: ReadOptions, read: Callable[[Path, ReadOptions], MotionSet]) -> MotionSet:
    """The labelled parts of all recordings that the table names.

    Args:
        path: the folder, or its segments.csv.
        read: the reader of one recording, of any format.
    Raises:
        DataError: a table without the columns above, a line that is no segment, a recording that does not exist, holds
            several sequences or has neither rate nor times, no line that can be used.
    """
    table = path / TABLE if path.is_dir() else path
    by_file: dict[str, list[_Segment]] = {}
    for segment in _read_table(table):
        by_file.setdefault(segment.file, []).append(segment)
    parts, notes = [], []
    for name, segments in by_file.items():
        whole = _recording(table, name, segments[0], options, read)
        for segment in segments:
            part = _cut(whole, segment)
            if part is None:
                seconds = _times(whole)[-1]
                found = f"{segment.start:g} to {segment.stop:g} s of {name}, which ends at {seconds:.6g} s"
                notes.append(f"left out line {segment.line} of {table.name}: {found}")
            else:
                parts.append(part)
    if not parts:
        raise DataError(f"{table}: found no segment within its recording, expected at least one")
    if any(not segment.subject for segments in by_file.values() for segment in segments):
        if len(by_file) == 1:
            parts = [replace(part, subjects=None) for part in parts]
        else:
            notes.append(f"{table.name} names no subject for some segments: taken from the names of the recordings")
    found = combine(parts, str(path))
    return replace(found, notes=(f"{len(parts)} segments of {len(by_file)} recordings", *notes, *found.notes))


def _read_table(table: Path) -> list[_Segment]:
    with reading(table, "CSV"), open(table, newline="", encoding="utf-8-sig") as file:
        text = file.read()
    head = text.partition("\n")[0]
    delimiter = next((mark for mark in ",;\t" if mark in head), ",")
    lines = csv.reader(text.splitlines(), delimiter=delimiter)
    rows = [(number, [cell.strip() for cell in row]) for number, row in enumerate(lines, 1)]
    rows = [(number, row) for number, row in rows if any(row) and not row[0].startswith("#")]
    names = [name.lower() for name in rows[0][1]] if rows else []
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise DataError(f"{table}: found no column {missing[0]}, expected {','.join(_NEEDED)} and, if known, subject")
    if len(rows) < 2:
        raise DataError(f"{table}: found no segments, expected a line for each")
    return [_segment(f"{table}: line {number}", number, dict(zip(names, row))) for number, row in rows[1:]]


def _segment(where: str, line: int, row: dict[str, str]) -> _Segment:
    try:
        start, stop = (float(row[name].replace(",", ".")) for name in ("start", "stop"))
    except (KeyError, ValueError) as error:
        raise DataError(f"{where}: found no start and stop ({error}), expected seconds") from error
    if not (math.isfinite(start) and math.isfinite(stop) and 0 <= start < stop):
        raise DataError(f"{where}: found {start:g} to {stop:g}, expected seconds from 0, the stop after the start")
    if not row.get("file") or not row.get("label"):
        raise DataError(f"{where}: found no file or no label, expected both")
    return _Segment(row["file"].replace("\\", "/"), start, stop, row["label"], row.get("subject", ""), line)


def _recording(
    table: Path, name: str, segment: _Segment, options: ReadOptions, read: Callable[[Path, ReadOptions], MotionSet]
) -> MotionSet:
    """One recording of the table; a name without its suffix is found where one file has it."""
    where, path = f"{table}: line {segment.line}", table.parent / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise DataError(f"{where}: found {name!r}, expected a file in the folder of the table")
    if not path.exists():
        alike = sorted(path.parent.glob(f"{path.name}.*")) if path.parent.is_dir() else []
        if len(alike) != 1:
            raise DataError(f"{where}: found no file {name!r}, expected a recording beside the table")
        path = alike[0]
    whole = options.hold(read(path, options))
    if len(whole) != 1:
        raise DataError(f"{where}: found {len(whole)} sequences in {name}, expected one long recording")
    if whole.rate is None and whole.timestamps is None:
        raise DataError(f"{where}: found no frames per second in {name}, expected a rate; give rate")
    return whole


def _times(whole: MotionSet) -> np.ndarray:
    """Seconds of the start of every frame, and of the end of the last."""
    if whole.timestamps is not None:
        times = whole.timestamps[0] - whole.timestamps[0][0]
        last = times[-1] + (np.median(np.diff(times)) if len(times) > 1 else 0.0)
        return np.append(times, last)
    assert whole.rate is not None
    return np.arange(len(whole.sequences[0]) + 1) / whole.rate


def _cut(whole: MotionSet, segment: _Segment) -> MotionSet | None:
    """The frames nearest to start and stop; None where the segment ends a frame or more after the recording."""
    times = _times(whole)
    middle = (times[1:] + times[:-1]) / 2  # a bound belongs to the frame that it is nearest to
    first, last = (int(np.searchsorted(middle, second, side="right")) for second in (segment.start, segment.stop))
    if last <= first or segment.stop > times[-1] + (times[-1] - times[-2]):
        return None
    return replace(
        whole,
        sequences=(whole.sequences[0][first:last],),
        timestamps=None if whole.timestamps is None else (whole.timestamps[0][first:last],),
        labels=np.zeros(1, dtype=np.int64),
        classes=(segment.label,),
        subjects=np.array([segment.subject or _subject_of(segment.file)]),
        train_subjects=None,
        train_sequences=None,
        names=(f"{segment.file} {segment.start:g}-{segment.stop:g} s",),
    )


def _subject_of(file: str) -> str:
    """The number after s, subject or p in a file's name; else the name itself."""
    match = SUBJECT.search(Path(file).stem)
    return str(int(match.group(1))) if match else file
