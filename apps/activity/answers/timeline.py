"""The HTML page of `mvnet predict activity`: what was found when, and the recording, moving."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.apps.activity import inventory
from mvnet.apps.activity.answers.windows import UNKNOWN
from mvnet.apps.common import page
from mvnet.apps.common.animation import animation
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
    parts = [_legend([name for name in colours if name in used], colours)]
    tracks: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in intervals:
        tracks.setdefault((entry["file"], entry["sequence"]), []).append(entry)
    for (file, sequence), entries in tracks.items():
        parts += [page.paragraph(f"{Path(file).name}, {sequence}"), _track(entries, colours)]
    parts.append(page.heading("Intervals"))
    rows = [_row(entry) for entry in intervals[:_ROWS]]
    parts.append(page.table(("Recording", "From", "To", "Class", "Probability"), rows))
    if len(intervals) > _ROWS:
        parts.append(page.paragraph(f"The first {_ROWS} of {len(intervals)}."))
    file, motions = shown[0]
    if motions.kind == "positions":
        parts += [page.heading("Skeleton"), _skeleton(file, motions, stand_in)]
    parts.append(page.heading("What was read"))
    for name, found in summary["read"].items():
        parts += [page.paragraph(Path(name).name), page.table((), inventory.rows(found))]
    parts += [page.paragraph(note) for note in summary["notes"]]
    path.write_text(page.document("Motions found", f"Run: {summary['run']}", parts), encoding="utf-8")


def _legend(names: Sequence[str], colours: dict[str, str]) -> str:
    square = "display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em;background:"
    return "<p>" + "".join(f'<span style="{square}{colours[n]}"></span>{escape(n)}' for n in names) + "</p>"


def _track(entries: Sequence[dict[str, Any]], colours: dict[str, str]) -> str:
    """A bar of the intervals of one recording, to scale."""
    first, last = entries[0]["start"], entries[-1]["stop"]
    bars = []
    for entry in entries:
        left, width = (100 * v / (last - first) for v in (entry["start"] - first, entry["stop"] - entry["start"]))
        text = escape(
            f"{entry['class']}, {entry['start']:.4g} to {entry['stop']:.4g}, {entry['probability']:.2f}", True
        )
        place = f"position:absolute;top:0;height:100%;left:{left:.3f}%;width:{width:.3f}%"
        bars.append(f'<div title="{text}" style="{place};background:{colours[entry["class"]]}"></div>')
    unit = "s" if entries[0]["seconds"] else "frames"
    scale = f'<p class="note">{first:.4g} to {last:.4g} {unit}</p>'
    return f'<div style="position:relative;height:2rem;background:#eee">{"".join(bars)}</div>{scale}'


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
    return animation([body], [AFTER], motions.parent, motions.rate, f"{Path(file).name}, {first.names[0]}", up=2)
