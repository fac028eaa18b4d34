"""The HTML page of a trained motion classifier: accuracy, confusion matrix, what was read, skeletons that move."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mvnet.apps.activity import inventory
from mvnet.apps.activity.elastic import elastic_table
from mvnet.apps.common import page
from mvnet.apps.common.figures import AFTER, new_figure, png
from mvnet.data_loaders.motion import MotionSet, fill_missing

_BODIES = 6


def write_page(
    path: Path,
    motions: MotionSet,
    training: np.ndarray,
    test: np.ndarray,
    summary: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    """Write the page; `summary` is what training measured, training and test are indices of sequences."""
    rows = [("Network", summary["network"]), ("Sequences", f"{summary['train']} training, {summary['test']} test")]
    if summary["accuracy"] is not None:
        rows.append(("Accuracy", f"{100 * summary['accuracy']:.2f} %"))
        rows.append(("Mean over classes", f"{100 * summary['mean_class_accuracy']:.2f} %"))
        rows.append(("Called unknown", f"{100 * summary['unknown']['rejected']:.2f} % of the test"))
    rows.append(("On training subjects left out", f"{100 * summary['inner_accuracy']:.2f} %"))
    rows += [
        (name.replace("_", " "), f"{value:.3g}" if isinstance(value, float) else str(value))
        for name, value in settings.items()
        if not isinstance(value, dict)  # of a choice, which a note tells
    ]
    parts = [page.table((), rows)]
    if summary["test"]:
        parts.append(page.heading("Confusion matrix"))
        picture = png(_confusion(np.array(summary["confusion"]), motions.classes))
        parts.append(page.picture(picture, "Rows: the class performed; columns: the class found. Test sequences."))
    parts += elastic_table(motions, training, test)
    parts += [page.heading("What was read"), page.table((), inventory.rows(summary["read"]), caption="Recordings")]
    parts += [page.paragraph(note) for note in summary["notes"]]
    if motions.kind == "positions":
        parts += [page.heading("Skeletons"), _skeletons(motions, test if len(test) else training)]
    path.write_text(page.document("Motion classifier", f"Data: {motions.source}", parts), encoding="utf-8")


def _confusion(counts: np.ndarray, classes: tuple[str, ...]):
    side = 2.0 + 0.32 * len(classes)
    figure = new_figure(side + 0.6, side)
    axis = figure.subplots()
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.argwhere(counts):
        axis.text(
            j, i, str(counts[i, j]), ha="center", va="center", fontsize=7, color="w" if share[i, j] > 0.6 else "k"
        )
    ticks = range(len(classes))
    axis.set_xticks(ticks, classes, rotation=90, fontsize=7)
    axis.set_yticks(ticks, classes, fontsize=7)
    axis.set_xlabel("found", fontsize=8)
    axis.set_ylabel("performed", fontsize=8)
    return figure


def _skeletons(motions: MotionSet, index: np.ndarray) -> str:
    """The first sequence of each class, moving."""
    part = fill_missing(motions.take(index))[0]
    labels = part.require_labels()
    first = [int(np.flatnonzero(labels == c)[0]) for c in np.unique(labels)][:_BODIES]
    bodies = [np.asarray(part.sequences[number]) for number in first]
    titles = [motions.classes[labels[number]] for number in first]
    caption = "The first sequence of each class"
    return page.skeletons(bodies, [AFTER] * len(bodies), motions.parent, motions.rate, caption, titles, up=2)
