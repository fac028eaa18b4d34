"""What was read, said: a table and lines on stderr, entries of the summary, rows of the page."""

from __future__ import annotations

from typing import Any

import numpy as np

from mvnet.apps.common.console import Console
from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.skeleton.common_joints import names_of

_SHOWN = 8  # names of joints


def inventory(motions: MotionSet) -> dict[str, Any]:
    """Counts of a set, for the key "read" of a summary."""
    lengths = motions.lengths
    gaps = [1 - np.isfinite(s).reshape(*s.shape[:2], -1).all(-1).mean() for s in motions.sequences]
    subjects = None if motions.subjects is None else len(set(np.asarray(motions.subjects).tolist()))
    names = names_of(motions)
    return {
        "recordings": len(motions),
        "kind": motions.kind,
        "frames": {"shortest": int(lengths.min()), "median": float(np.median(lengths)), "longest": int(lengths.max())},
        "rate": motions.rate,
        "gaps": round(float(np.average(gaps, weights=lengths)), 6),
        "up": None if motions.vertical is None else motions.vertical.axis,
        "joints": motions.width,
        "names": None if names is None else list(names),
        "tree": motions.parent is not None,
        "subjects": subjects,
        "classes": None if motions.labels is None else len(np.unique(motions.labels)),
    }


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The same as rows of a table."""
    frames, names = found["frames"], found["names"]
    rate = "unknown" if found["rate"] is None else f"{found['rate']:.6g} per second"
    parts = "channels" if found["kind"] == "signals" else "joints"
    shown = "no names" if names is None else ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    table = [
        ("recordings", f"{found['recordings']} of {found['kind']}"),
        ("frames", f"{frames['shortest']} to {frames['longest']}, median {frames['median']:g}; {rate}"),
        ("gaps", f"{100 * found['gaps']:.3g} % of the values"),
        (parts, f"{found['joints']}: {shown}"),
    ]
    if found["kind"] != "signals":
        table.append(("tree", "known" if found["tree"] else "none"))
        table.append(("up", found["up"] or "as the format has it"))
    for what in ("subjects", "classes"):
        if found[what] is not None:
            table.append((what, str(found[what])))
    return table


def tell(console: Console, motions: MotionSet, as_json: bool = False) -> None:
    """The table, unless the same is printed as JSON, and a line for every note."""
    if not as_json:
        console.table(rows(inventory(motions)))
    for note in motions.notes:
        console.say(f"note: {note}")
