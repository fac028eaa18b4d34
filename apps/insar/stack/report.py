"""The HTML page of a stack: what was read, a row of numbers for every pair, and pictures of those of least quality."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mvnet.apps.common import page
from mvnet.apps.common.figures import new_figure, png
from mvnet.apps.insar.stack.pair import FAILED
from mvnet.apps.insar.stack.table import cells
from mvnet.apps.insar.stack.thumbnails import read_thumbnails

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 24
"""Pairs with pictures, so that the page of a large stack stays small."""
_PLANES = (("before", "twilight", math.pi), ("after", "twilight", math.pi), ("quality", "viridis", 1.0))


def write_report(path: Path, summary: dict[str, Any], state: Path) -> None:
    """Write the page.

    Args:
        summary: of `run_stack`.
        state: folder with the pictures of the pairs.
    """
    counts = ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in summary["counts"].items())
    header = ("pair", "status", "with data", "residues before", "after", "mean quality")
    pairs = summary["pairs"]
    parts = [
        page.table((), _provenance(summary, counts)),
        *(page.paragraph(message) for message in summary["messages"]),
        page.heading("Pairs"),
        page.table(header, [(pair["name"], pair["status"], *cells(pair)) for pair in pairs]),
        *(page.paragraph(f"{p['name']}: {p['message']}") for p in pairs if p["status"] == FAILED),
        *_pictures(pairs, state),
        page.heading("What was read"),
        page.table((), [(pair["name"], "; ".join(pair["messages"])) for pair in pairs if pair["messages"]]),
        page.paragraph(
            "The quality c is the cosine expected of the error of the denoised phase, 1 where it is exact. A residue "
            "is a loop of four pixels around which the wrapped steps of the phase do not add up to zero."
        ),
    ]
    title = Path(summary["outputs"]["stack"]).name
    subtitle = f"Stack of {len(pairs)} interferograms denoised by mvnet {summary['version']}"
    path.write_text(page.document(title, subtitle, parts), encoding="utf-8")


def _provenance(summary: dict[str, Any], counts: str) -> list[tuple[str, str]]:
    weights = summary["weights"]
    rows = [("Input", Path(summary["options"]["input"]).name), ("Pairs", counts)]
    if summary["left_out"]:
        rows.append(("Left out", ", ".join(summary["left_out"])))
    return [*rows, ("Weights", f"{weights['name']}, sha256 {weights['sha256'][:16]}"), ("Device", summary["device"])]


def _pictures(pairs: list[dict[str, Any]], state: Path) -> list[str]:
    """Pictures of the pairs of least quality, in the order of their names."""
    known = [pair for pair in pairs if pair["statistics"] and (state / f"{pair['name']}.npz").is_file()]
    chosen = sorted(known, key=lambda pair: pair["statistics"]["mean_confidence"])[:_SHOWN]
    parts = [page.heading("Phase before, phase after, quality")] if chosen else []
    for pair in sorted(chosen, key=lambda pair: pair["name"]):
        planes = read_thumbnails(state / f"{pair['name']}.npz")
        if planes is not None:
            parts.append(page.picture(png(_figure(planes), dpi=100), pair["name"]))
    if len(chosen) < len(known):
        parts.append(page.paragraph(f"Shown are the {len(chosen)} of {len(known)} pairs of least mean quality."))
    return parts


def _figure(planes: np.ndarray) -> Figure:
    height, width = planes.shape[1:]
    figure = new_figure(9.0, 0.2 + min(max(3.0 * height / width, 0.8), 5.0))
    for axis, plane, (name, colours, top) in zip(figure.subplots(1, 3), planes, _PLANES):
        axis.imshow(plane, cmap=colours, vmin=0 if name == "quality" else -top, vmax=top, interpolation="nearest")
        axis.set_title(name, fontsize=8)
        axis.set_axis_off()
    return figure
