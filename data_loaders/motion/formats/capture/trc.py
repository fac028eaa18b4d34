"""TRC, the marker text of OpenSim and Pose2Sim: five lines of head, then frame, time, and x y z of every marker.

The first line begins with PathFileType, the second names and the third holds DataRate, NumFrames, NumMarkers and Units;
the fourth names the markers. A marker not seen has empty columns. y is up, unless `up` says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.joint_names import plain_names
from mvnet.data_loaders.motion.formats.units import metres_per_unit
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import one_recording
from mvnet.data_loaders.text_files import head_lines


@dataclass(frozen=True)
class MarkerText:
    """head: lines before the first frame. rows: (frames, 2) words of frame and time. positions: (frames, markers, 3),
    NaN where not seen, in `unit`. markers: names. rate: frames per second; None where unknown.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    positions: np.ndarray
    markers: tuple[str, ...]
    unit: str
    rate: float | None


def is_trc(path: Path) -> bool:
    """The first word is PathFileType."""
    first = head_lines(path, 1)
    return bool(first) and first[0].split()[:1] == ["PathFileType"]


def parse_trc(path: Path) -> MarkerText:
    """The parts of the text.

    Raises:
        DataError: damaged, or rows of another number of columns.
    """
    with reading(path, "TRC"):
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
        entries = dict(zip(lines[1].split(), lines[2].split()))
        markers = tuple(name.strip() for name in lines[3].split("\t")[2:] if name.strip())
        numbered = (k for k, line in enumerate(lines) if k > 3 and line.split()[:1] and line.split()[0].isdigit())
        first = next(numbered, len(lines))
        rows = [line.rstrip("\r\n").split("\t") for line in lines[first:] if line.strip()]
        count = 3 * len(markers)
        wrong = next(
            (k for k, row in enumerate(rows) if len(row) < 2 or any(w.strip() for w in row[2 + count :])), None
        )
        if wrong is not None or not rows or not markers:
            found = (
                "no frames of markers" if wrong is None else f"{len(rows[wrong])} columns in line {first + wrong + 1}"
            )
            raise DataError(f"{path}: found {found}, expected {2 + count}")
        padded = [(row[2 : 2 + count] + [""] * count)[:count] for row in rows]
        numbers = np.array([[float(word) if word.strip() else np.nan for word in row] for row in padded])
        rate, unit = float(entries.get("DataRate", 0)), entries.get("Units", "").lower()
    positions = numbers.reshape(len(rows), len(markers), 3)
    positions = np.where(np.isfinite(positions).all(-1, keepdims=True), positions, np.nan)
    times = tuple((row[0], row[1]) for row in rows)
    rate = rate if 0 < rate < np.inf else None
    return MarkerText(tuple(lines[:first]), times, positions, markers, unit, rate)


def read_trc(path: Path, options: ReadOptions) -> MotionSet:
    """Positions (frames, markers, 3) in metres.

    Raises:
        DataError: damaged, or a unit that is not known and no `scale`.
    """
    text = parse_trc(path)
    scale, note = metres_per_unit(path, text.unit, text.positions, options)
    motions = one_recording(
        path,
        options,
        positions=text.positions * scale,
        joints=plain_names(text.markers),
        rate=text.rate,
        scale=scale,
        default_up="y",
    )
    return replace(motions, notes=(*motions.notes, note)) if note else motions
