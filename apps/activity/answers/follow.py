"""`mvnet predict activity RUN --follow -`: frames come as lines, an answer goes out for every window of them.

    CSV     x,y,z of the first joint, then of the second, ...; a line of names first is taken as such
    JSON    [[x, y, z], ...], a flat list, {"frame": ...} or {"joints": ...} of these, or {"name": [x, y, z], ...}

Joints are those of the run in its order, unless named; rotations are 9 numbers a joint, signals one a channel. An empty
cell, null or NaN is a value not seen. Nothing is kept but the frames of one window.
"""

from __future__ import annotations

import csv
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from mvnet.apps.activity.answers.recordings import Run, check_window
from mvnet.apps.activity.reading import Given
from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.stdout import print_result
from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.turning import turn
from mvnet.storage import json_text, parse_json

_LONGEST_LINE = 1 << 20  # characters
_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Shape:
    """What one frame is: tail is (3,), (2,), (3, 3) or (), names those of joints or channels, None where unknown."""

    width: int
    tail: tuple[int, ...]
    names: tuple[str, ...] | None

    @property
    def numbers(self) -> int:
        """Of one frame."""
        return self.width * int(np.prod(self.tail))


def answer_frames(
    folder: Path, source: str, given: Given, window: float | None, step: float | None, console: Console, as_json: bool
) -> None:
    """Read frames from stdin until it ends; print one line for every window as soon as it is complete.

    Raises:
        UserError: another source than "-", no window or rate, a line that is no frame of the run's motions.
    """
    check_window(window, step)
    if source != "-":
        raise UserError(f"--follow: found {source!r}, expected - (frames as lines on stdin)")
    run = Run.open(folder)
    options, trained = given.options(), run.trained
    if trained.kind is None or trained.pose is None:
        raise UserError(
            f"{folder}: found a run of an older version, expected one that knows its joints: train it again"
        )
    rate = options.rate or run.card["rate"]
    if rate is None or window is None:
        missing = "--window" if window is None else "--rate"
        raise UserError(f"--follow: found no {missing}, expected frames per second and the length of a window")
    length = max(2, round(window * rate))
    stride = max(1, round((step or window / 2) * rate))
    shape = Shape(len(trained.pose), trained.pose.shape[1:], trained.names)
    console.say(f"windows of {length} frames every {stride}, {rate:g} frames per second")
    recent: deque[np.ndarray] = deque(maxlen=length)
    frames = 0
    for frame in read_frames(sys.stdin, shape):
        recent.append(frame)
        frames += 1
        if frames >= length and (frames - length) % stride == 0:
            values = _as_trained(np.stack(recent), trained.kind, options.up, options.scale)
            print_result(_line(run, values, frames, rate, as_json))
    if frames < length:
        raise UserError(f"stdin: found {frames} frames, expected at least the {length} of one window")


def _as_trained(values: np.ndarray, kind: str, up: str | None, scale: float | None) -> np.ndarray:
    """With z up, in metres."""
    motions: Any = MotionSet([values], kind)  # type: ignore[arg-type]  # checked as the card was read
    turned = turn(motions, "z", up or "z").sequences[0]
    return turned * scale if scale and kind == "positions" else turned


def _line(run: Run, values: np.ndarray, frames: int, rate: float, as_json: bool) -> str:
    answer = run.answer(values, [(0, len(values))])[0]
    start, stop = (frames - len(values)) / rate, frames / rate
    if not as_json:
        why = f"  ({answer.reason})" if answer.reason else ""
        return f"{start:.6g} to {stop:.6g} s  {answer.name}  {answer.probability:.3f}{why}"
    entry = {"start": start, "stop": stop, "class": answer.name, "probability": round(answer.probability, 4)}
    entry |= {"nearest": answer.nearest, "known": round(answer.known, 4)}
    return json_text(entry | ({"reason": answer.reason} if answer.reason else {}))


def read_frames(lines: TextIO, shape: Shape) -> Iterator[np.ndarray]:
    """The frames (width, *tail) of lines, as they come.

    Raises:
        UserError: a line that is neither CSV nor JSON, or has another number of values; names that are not the run's.
    """
    places: list[int] | None = None
    for number, line in enumerate(_bounded(lines), 1):
        text, where = line.strip(), f"stdin: line {number}"
        if not text or text.startswith("#"):
            continue
        if text[0] in "[{":
            yield _of_json(text, shape, where)
            continue
        cells = [cell.strip() for cell in next(csv.reader([text]))]
        if places is None:
            places = _columns(cells, shape, where) if _is_head(cells) else list(range(shape.numbers))
            if _is_head(cells):
                continue
        values = [_number(cell, where) for cell in cells]
        if len(values) <= max(places) or (len(values) != shape.numbers and places == list(range(shape.numbers))):
            raise UserError(f"{where}: found {len(values)} values, expected {max(max(places) + 1, shape.numbers)}")
        yield _shaped([values[place] for place in places], shape, where)


def _bounded(lines: TextIO) -> Iterator[str]:
    """Lines of a length that memory holds."""
    while line := lines.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise UserError(f"stdin: found a line of more than {_LONGEST_LINE} characters, expected a frame on each")
        yield line


def _is_head(cells: Iterable[str]) -> bool:
    """Whether a cell is a word that is no number."""
    return any(cell and not _is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, where: str) -> float:
    if cell and not _is_number(cell):
        raise UserError(f"{where}: found {cell[:40]!r}, expected a number")
    return float(cell) if cell else np.nan


def _columns(cells: list[str], shape: Shape, where: str) -> list[int]:
    """The column of every number of a frame, by names as hand_x, hand.y, or "hand z"; channels by their own."""
    if shape.names is None:
        raise UserError(f"{where}: found a line of names, expected numbers: the run has no names of joints")
    found = {cell.casefold().replace(".", "_").replace(" ", "_"): k for k, cell in enumerate(cells)}
    ends = [""] if not shape.tail else [f"_{axis}" for axis in _AXES[: shape.tail[0]]]
    if len(shape.tail) == 2:
        ends = [f"_{i}{j}" for i in range(3) for j in range(3)]
    wanted = [f"{name.casefold().replace('.', '_').replace(' ', '_')}{end}" for name in shape.names for end in ends]
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UserError(
            f"{where}: found no column {missing[0]}, expected {len(wanted)} as {', '.join(wanted[:3])}, ..."
        )
    return [found[name] for name in wanted]


def _of_json(text: str, shape: Shape, where: str) -> np.ndarray:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise UserError(f"{where}: found no JSON ({error}), expected one frame") from error
    for key in ("frame", "joints", "channels"):
        value = value[key] if isinstance(value, dict) and key in value else value
    if isinstance(value, dict):
        missing = [name for name in shape.names or ("names",) if name not in value]
        if missing:
            raise UserError(f"{where}: found no {missing[0]}, expected the {shape.width} joints or channels of the run")
        value = [value[name] for name in shape.names or ()]
    return _shaped(value, shape, where)


def _shaped(values: Any, shape: Shape, where: str) -> np.ndarray:
    """(width, *tail) of nested or flat lists; null and infinite values are not seen."""
    try:
        nested = any(isinstance(value, list) for value in values)
        missing = np.full(shape.tail, np.nan)
        flat = np.array([missing if nested and value is None else value for value in values], dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: found something else than numbers ({error}), expected a frame") from error
    if len(flat) != shape.numbers:
        raise UserError(f"{where}: found {len(flat)} values, expected {shape.numbers}, those of one frame")
    return np.where(np.isfinite(flat), flat, np.nan).reshape(shape.width, *shape.tail)
