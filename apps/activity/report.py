"""The HTML page of a trained motion classifier: accuracy, confusion matrix, skeletons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mvnet.apps.activity.elastic import elastic_table
from mvnet.apps.common import page
from mvnet.apps.common.figures import AFTER, BEFORE, new_figure, png
from mvnet.data_loaders.motion import MotionSet, fill_missing

_FRAMES, _ROWS = 6, 6


def write_page(
    path: Path,
    motions: MotionSet,
    training: np.ndarray,
    test: np.ndarray,
    summary: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    """Write the page; `summary` is what `activity_runs.train` measured, training and test are indices of sequences."""
    rows = [("Network", summary["network"]), ("Sequences", f"{summary['train']} training, {summary['test']} test")]
    if summary["accuracy"] is not None:
        rows.append(("Accuracy", f"{100 * summary['accuracy']:.2f} %"))
        rows.append(("Mean over classes", f"{100 * summary['mean_class_accuracy']:.2f} %"))
    rows.append(("On training subjects left out", f"{100 * summary['inner_accuracy']:.2f} %"))
    rows += [
        (name.replace("_", " "), f"{value:.3g}" if isinstance(value, float) else str(value))
        for name, value in settings.items()
    ]
    parts = [page.table((), rows)]
    if summary["test"]:
        parts.append(page.heading("Confusion matrix"))
        picture = png(_confusion(np.array(summary["confusion"]), motions.classes))
        parts.append(page.picture(picture, "Rows: the class performed; columns: the class found. Test sequences."))
    parts += elastic_table(motions, training, test)
    if motions.kind == "positions":
        parts.append(page.heading("Skeletons"))
        shown = test if len(test) else np.arange(len(motions))
        parts.append(
            page.picture(png(_skeletons(motions, shown)), "The first sequence of each class, seen from ahead.")
        )
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


def _skeletons(motions: MotionSet, index: np.ndarray):
    part = fill_missing(motions.take(index))[0]
    labels = part.require_labels()
    first = [int(np.flatnonzero(labels == c)[0]) for c in np.unique(labels)][:_ROWS]
    figure = new_figure(8, 1.5 * len(first))
    for axes, number in zip(figure.subplots(len(first), _FRAMES, squeeze=False), first):
        sequence = np.asarray(part.sequences[number])
        low, high = sequence.min((0, 1)), sequence.max((0, 1))
        for axis, frame in zip(axes, np.linspace(0, len(sequence) - 1, _FRAMES).round().astype(int)):
            x, z = sequence[frame, :, 0], sequence[frame, :, 2]
            if motions.parent is not None:
                for joint, above in enumerate(motions.parent):
                    if above >= 0:
                        axis.plot(x[[joint, above]], z[[joint, above]], color=AFTER, linewidth=1.2)
            axis.plot(x, z, ".", color=BEFORE, markersize=3)
            axis.set(xlim=(low[0] - 0.05, high[0] + 0.05), ylim=(low[2] - 0.05, high[2] + 0.05), aspect="equal")
            axis.axis("off")
            axis.set_title(f"frame {frame}", fontsize=6)
        axes[0].text(-0.1, 0.5, motions.classes[labels[number]], transform=axes[0].transAxes, fontsize=8, ha="right")
    return figure
