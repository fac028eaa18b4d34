"""How right a classifier is: accuracy over the classes it knows, and what it says of the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from mvnet.apps.activity.answers.windows import find_unknown
from mvnet.apps.common.errors import UserError
from mvnet.data_loaders.motion import MotionSet


def measure(classifier: Any, motions: MotionSet, index: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """Metrics of the sequences at `index`; classes are matched by name.

    Args:
        classes: names of the classes that the labels of the classifier are places in.
    Returns:
        accuracy and mean_class_accuracy over the sequences of known classes, whether or not they were called unknown;
        test, their number; confusion, rows performed and columns found; unknown: rejected, the share of them that was
        called unknown, and untrained, the same for sequences of classes that were not trained.
    Raises:
        UserError: no sequence of a known class.
    """
    part = motions.take(index)
    sequences, labels = list(part.sequences), part.require_labels()
    place = {name: k for k, name in enumerate(classes)}
    trained = {int(label) for label in classifier.classes_}
    translated = np.array([place.get(name, -1) for name in motions.classes])
    truth = translated[labels]
    known = np.flatnonzero(truth >= 0)
    if not len(known):
        present = ", ".join(motions.classes[c] for c in np.unique(labels))
        raise UserError(f"data: found classes {present}, expected some of {', '.join(classes)}")
    found, (_, strange) = classifier.predict(sequences), find_unknown(classifier, sequences)
    confusion = np.zeros((len(classes),) * 2, dtype=int)
    np.add.at(confusion, (truth[known], found[known]), 1)
    present = confusion.sum(1) > 0
    recall = np.diag(confusion)[present] / confusion.sum(1)[present]
    others = {}
    for label in np.unique(labels[~np.isin(truth, list(trained))]):
        mine = labels == label
        others[motions.classes[label]] = {"sequences": int(mine.sum()), "unknown": float(strange[mine].mean())}
    return {
        "accuracy": float((truth == found)[known].mean()),
        "mean_class_accuracy": float(recall.mean()),
        "test": len(known),
        "confusion": confusion.tolist(),
        "unknown": {"rejected": float(strange[known].mean()), "untrained": others},
    }
