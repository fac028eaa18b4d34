"""The HTML page of `mvnet predict activity`: what was found when, and the recording, moving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.apps.activity import inventory
from mvnet.apps.activity.answers.windows import UNKNOWN
from mvnet.apps.common import page
from mvnet.apps.common.figures import AFTER
from mvnet.data_loaders.motion import MotionSet, fill_missing
from mvnet.data_loaders.motion.stand_in import StandIn

_ROWS = 200  # of the table
_GREY = "#c9ced6"


def write_timeline(
    path: Path,
    classes: Sequence[str],
    shown: Sequence[tuple[str, MotionSet]],
    summary: dict[str, Any],
    intervals: Sequence[dict[str, Any]],
    stand_in: StandIn | None,
) -> None:
    """Write the page.

    Args:
        classes: of the run.
        shown: name of the file and its motions.
        summary: of `mvnet.apps.activity.answers.recordings.predict`; intervals: the spans that do not overlap.
        stand_in: for joints never seen, in the animation.
    """
    colours = {name: f"hsl({round(360 * k / len(classes))} 55% 55%)" for k, name in enumerate(classes)} | {
        UNKNOWN: _GREY
    }
    used = {entry["class"] for entry in intervals}
    parts = [page.legend([(name, colour) for name, colour in colours.items() if name in used])]
    tracks: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in intervals:
        tracks.setdefault((entry["file"], entry["sequence"]), []).append(entry)
    for (file, sequence), entries in tracks.items():
        parts.append(_track(f"{Path(file).name}, {sequence}", entries, colours))
    parts.append(page.heading("Intervals"))
    rows = [_row(entry) for entry in intervals[:_ROWS]]
    parts.append(page.table(("Recording", "From", "To", "Class", "Probability"), rows, caption="What was done when"))
    if len(intervals) > _ROWS:
        parts.append(page.paragraph(f"The first {_ROWS} of {len(intervals)}."))
    file, motions = shown[0]
    if motions.kind == "positions":
        parts += [page.heading("Skeleton"), _skeleton(file, motions, stand_in)]
    parts.append(page.heading("What was read"))
    parts += [page.table((), inventory.rows(found), caption=Path(name).name) for name, found in summary["read"].items()]
    parts += [page.paragraph(note) for note in summary["notes"]]
    path.write_text(page.document("Motions found", f"Run: {summary['run']}", parts), encoding="utf-8")


def _track(name: str, entries: Sequence[dict[str, Any]], colours: dict[str, str]) -> str:
    """A bar of the intervals of one recording."""
    bars = []
    for entry in entries:
        text = f"{entry['class']}, {entry['start']:.4g} to {entry['stop']:.4g}, {entry['probability']:.2f}"
        bars.append((entry["start"], entry["stop"], text, colours[entry["class"]]))
    return page.timeline(name, bars, "s" if entries[0]["seconds"] else "frames")


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    where = f"{Path(entry['file']).name}, {entry['sequence']}"
    return where, f"{entry['start']:.4g}", f"{entry['stop']:.4g}", entry["class"], f"{entry['probability']:.3f}"


def _skeleton(file: str, motions: MotionSet, stand_in: StandIn | None) -> str:
    """The first recording that shows a body, moving."""
    whole = motions if stand_in is None else stand_in.complete(motions)
    complete = [bool(np.isfinite(s).all(-1).any(0).all()) for s in whole.sequences]
    if not any(complete):
        return page.paragraph("No recording shows all joints.")
    first = whole.take([complete.index(True)])
    body = np.asarray(fill_missing(first)[0].sequences[0])
    return page.skeletons([body], [AFTER], motions.parent, motions.rate, f"{Path(file).name}, {first.names[0]}", up=2)
