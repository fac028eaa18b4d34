"""Tables of numbers in text: comments, an optional line of names, one frame per line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.text_files import head_lines

_TIME = re.compile(r"^(time|timestamp|t)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """names: of the columns, None without a line of names. values (frames, columns), NaN for an empty cell.

    comments: the lines before, without their marks.
    """

    names: tuple[str, ...] | None
    values: np.ndarray
    comments: tuple[str, ...]

    def rate(self) -> float | None:
        """Samples per second as a comment has it: "Sample rate: 50.0Hz"."""
        found = re.search(
            r"(?:sampl\w*|update)[ _]?(?:rate|freq\w*)\W*([\d.]+)", " ".join(self.comments), re.IGNORECASE
        )
        return float(found.group(1)) if found else None

    def time(self) -> tuple[int, np.ndarray] | None:
        """The column of times and its seconds from the first; None where no name says time."""
        column = next((i for i, name in enumerate(self.names or ()) if _TIME.match(name.strip())), None)
        if column is None:
            return None
        unit = (self.names or ())[column].lower()
        factor = 1e-3 if re.search(r"\bms\b|milli", unit) else 1e-6 if re.search(r"\bus\b|micro", unit) else 1.0
        seconds = self.values[:, column] * factor
        return column, seconds - seconds[0]


def _cells(line: str, delimiter: str) -> list[str]:
    cells = line.split() if delimiter == " " else line.rstrip().split(delimiter)
    return [cell.strip().strip('"') for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell == ""
    return True


def column_names(path: Path) -> tuple[str, ...] | None:
    """Names of the columns of a text table, None where the first line is numbers, () where it is no table."""
    lines = [line for line in head_lines(path, 40) if line.strip() and not line.lstrip().startswith(("#", "//", "%"))]
    if len(lines) < 2:
        return ()
    delimiter = _delimiter(lines[0])
    first, second = _cells(lines[0], delimiter), _cells(lines[1], delimiter)
    if not all(_is_number(cell.replace(",", ".")) for cell in second):
        return ()
    return None if all(_is_number(cell) for cell in first) else tuple(first)


def _delimiter(line: str) -> str:
    return next((mark for mark in "\t;," if mark in line.strip()), " ")


def _row(cells: list[str], width: int, where: str) -> list[float]:
    """The numbers of one row, NaN for an empty cell; DataError where they are not `width` numbers."""
    try:
        values = [float(cell) if cell else np.nan for cell in cells]
    except ValueError as error:
        raise DataError(f"{where}: found no number ({error}), expected numbers") from error
    if len(values) != width:
        raise DataError(f"{where}: found {len(values)} values, expected {width}: truncated?")
    return values


def read_table(path: Path) -> Table:
    """The table of a text file; columns are divided by tabs, semicolons, commas or blanks.

    Raises:
        DataError: no rows, rows of different length, a cell that is no number.
    """
    comments, rows, names, delimiter = [], [], None, None
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if not line.strip():
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
        width = len(names or (rows[0] if rows else cells))
        rows.append(_row(cells, width, f"{path}: line {number}"))
    if not rows:
        raise DataError(f"{path}: found no rows of numbers, expected one for each frame")
    return Table(names, np.array(rows), tuple(comments))
