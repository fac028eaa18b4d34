"""Tables of numbers in text: comments, an optional line of names, one frame per line.

A column whose first cell is no number is one of text: dates and times of day become seconds, other texts no numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.sensors.columns import is_clock, is_count, words_of
from mvnet.data_loaders.text_files import head_lines

_MISSING = frozenset(("", "na", "n/a", "null", "none", "-", "?"))
_UNITS = {"ns": 1e-9, "nanoseconds": 1e-9, "nanos": 1e-9, "us": 1e-6, "µs": 1e-6, "microseconds": 1e-6, "micros": 1e-6}
_UNITS |= {"ms": 1e-3, "milliseconds": 1e-3, "millis": 1e-3, "msec": 1e-3, "minutes": 60.0, "min": 60.0}
_UNITS |= {"s": 1.0, "sec": 1.0, "secs": 1.0, "seconds": 1.0}
_EVEN = 0.05  # relative difference of steps and the middle one
_GUESSES = (
    (2.0, "seconds", 1.0),
    (1e3, "milliseconds", 1e-3),
    (1e6, "microseconds", 1e-6),
    (np.inf, "nanoseconds", 1e-9),
)
"""Steps of a clock without unit below the first number are the second."""


@dataclass(frozen=True)
class Clock:
    """column: of the table. seconds (frames,): from the first. note: on its unit, "" where the name tells it."""

    column: int
    seconds: np.ndarray
    note: str


@dataclass(frozen=True)
class Table:
    """names: of the columns, None without a line of names. values (frames, columns), NaN for an empty cell.

    comments: the lines before, without their marks. texts: columns that hold no numbers.
    """

    names: tuple[str, ...] | None
    values: np.ndarray
    comments: tuple[str, ...]
    texts: frozenset[int] = frozenset()

    def rate(self) -> float | None:
        """Samples per second as a comment has it: "Sample rate: 50.0Hz"."""
        found = re.search(
            r"(?:sampl\w*|update)[ _]?(?:rate|freq\w*)\W*([\d.]+)", " ".join(self.comments), re.IGNORECASE
        )
        return float(found.group(1)) if found else None

    def time(self) -> Clock | None:
        """The clock whose name has a unit, else the first one; None where no name says time."""
        names = self.names or ()
        clocks = [k for k, name in enumerate(names) if is_clock(name) and not is_count(name)]
        clocks = [k for k in clocks if np.isfinite(self.values[:, k]).any()]
        known = {k: next((_UNITS[word] for word in words_of(names[k]) if word in _UNITS), None) for k in clocks}
        dates = [k for k in clocks if k in self.texts]
        known |= {k: 1.0 for k in dates}
        column = next((k for k in clocks if known[k] and k not in dates), clocks[0] if clocks else None)
        if column is None:
            return None
        ticks, factor = self.values[:, column] - self.values[0, column], known[column]
        if factor is not None:
            return Clock(column, ticks * factor, "")
        step = float(np.median(np.diff(ticks))) if len(ticks) > 1 else 0.0
        unit, factor = unit_of_steps(step)
        note = "" if unit == "seconds" else f"the clock {names[column]} taken as {unit} by its steps"
        return Clock(column, ticks * factor, note)


def rate_of(seconds: np.ndarray) -> float | None:
    """Frames per second of times (frames,): by their span where the steps are even, else by the middle one.

    A rate is whole where the digits of the times do not say otherwise. None of a single frame, or of times that stand.
    """
    steps = np.diff(seconds)
    middle = float(np.median(steps)) if len(steps) else 0.0
    if not middle > 0:
        return None
    even = bool((np.abs(steps / middle - 1) < _EVEN).all())
    rate = len(steps) / float(seconds[-1] - seconds[0]) if even else 1 / middle
    return float(round(rate)) if rate > 1 and abs(rate - round(rate)) < 1e-4 * rate else rate


def unit_of_steps(step: float) -> tuple[str, float]:
    """The unit of a clock whose name has none, and its seconds, by its steps."""
    return next((name, factor) for most, name, factor in _GUESSES if not step >= most)


def _cells(line: str, delimiter: str) -> list[str]:
    cells = line.split() if delimiter == " " else line.rstrip().split(delimiter)
    return [cell.strip().strip('"') for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.lower() in _MISSING
    return True


def seconds_of(cell: str) -> float:
    """Seconds of a date with a time, or of a time of day; NaN of any other text."""
    text = cell.replace("/", "-").replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(text if "-" in text else f"1970-01-01 {text}").timestamp()
    except (ValueError, OverflowError, OSError):
        return float("nan")


def column_names(path: Path, size: int = 4096) -> tuple[str, ...] | None:
    """Names of the columns of a text table, None where the first line is numbers, () where it is no table.

    Args:
        size: bytes of the file to look at.
    """
    lines = [
        line for line in head_lines(path, 40, size) if line.strip() and not line.lstrip().startswith(("#", "//", "%"))
    ]
    lines = lines[1:] if lines and lines[0].lower().startswith("sep=") else lines
    if len(lines) < 2:
        return ()
    delimiter = _delimiter(lines[0])
    first, second = _cells(lines[0], delimiter), _cells(lines[1], delimiter)
    numbers = [_is_number(cell.replace(",", ".")) for cell in second]
    if not all(numbers) and 2 * sum(numbers) <= len(second):
        return ()
    return None if all(_is_number(cell) for cell in first) else tuple(first)


def _delimiter(line: str) -> str:
    return next((mark for mark in "\t;," if mark in line.strip()), " ")


def _row(cells: list[str], texts: frozenset[int], width: int, where: str) -> list[float]:
    """The numbers of one row, NaN for an empty cell; DataError where they are not `width` numbers."""
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        values = [_value(cell, k in texts, where) for k, cell in enumerate(cells)]
    if len(values) != width:
        raise DataError(f"{where}: found {len(values)} values, expected {width}: truncated?")
    return values


def _value(cell: str, text: bool, where: str) -> float:
    if cell.lower() in _MISSING:
        return float("nan")
    if text:
        return seconds_of(cell)
    try:
        return float(cell)
    except ValueError as error:
        raise DataError(f"{where}: found no number ({error}), expected numbers") from error


def read_table(path: Path, skip: int = 0) -> Table:
    """The table of a text file; columns are divided by tabs, semicolons, commas or blanks.

    Args:
        skip: lines of head that are no names of columns.

    Raises:
        DataError: no rows, rows of different length, a cell that is no number.
    """
    comments, rows, names, delimiter = [], [], None, None
    texts: frozenset[int] = frozenset()
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if number <= skip or not line.strip() or line.lower().startswith("sep="):
            continue
        if line.lstrip().startswith(("#", "//", "%")):
            comments.append(line.lstrip().lstrip("#/%").strip())
            continue
        if delimiter is None:
            delimiter = _delimiter(line)
        cells = _cells(line, delimiter)
        cells = [cell.replace(",", ".") for cell in cells] if delimiter == ";" else cells
        if names is None and not rows and not all(_is_number(cell) for cell in cells):
            names = tuple(cells)
            continue
        if names is not None and not rows:
            texts = frozenset(k for k, cell in enumerate(cells) if not _is_number(cell))
        width = len(names or (rows[0] if rows else cells))
        rows.append(_row(cells, texts, width, f"{path}: line {number}"))
    if not rows:
        raise DataError(f"{path}: found no rows of numbers, expected one for each frame")
    return Table(names, np.array(rows), tuple(comments), texts)
