"""Which classifier a set of motions asks for: kernels, the network, or the mean of both.

All are compared on the same inner folds of the training motions, of subjects where there are several. The largest
accuracy wins; the least mean of -log p (truth) where accuracies are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import MotionSet, splits

FOLDS = 3
_TINY = 1e-12
BOTH = "ensemble"
Fit = Callable[[MotionSet], Any]


@dataclass(frozen=True)
class Choice:
    """What was chosen and why.

    Attributes:
        name: that of a classifier, or `BOTH`.
        accuracy, loss: name -> on all motions left out once; empty where there was nothing to compare.
        note: the same in words.
    """

    name: str
    accuracy: dict[str, float]
    loss: dict[str, float]
    note: str


def choose(motions: MotionSet, fits: dict[str, Fit]) -> Choice:
    """Compare classifiers, and the mean of all, on inner folds.

    Args:
        motions: labelled, to train with.
        fits: name -> function that fits a classifier to some of the motions; the first is taken where there are no
            two folds of two classes each.
    Returns:
        the choice.
    """
    labels = motions.require_labels()
    folds = [(train, test) for train, test in inner_folds(motions) if len(np.unique(labels[train])) > 1]
    if not folds:
        name = next(iter(fits))
        return Choice(name, {}, {}, f"chosen: {name}, as there are too few motions to leave any out")
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*fits, BOTH)}
    for train, test in folds:
        part, left_out = motions.take(train), motions.take(test)
        fitted = [fit(part) for fit in fits.values()]
        shares = [classifier.predict_proba(left_out.sequences) for classifier in fitted]
        for name, share in zip(found, [*shares, np.mean(shares, 0)]):
            found[name].append(_judge(share, fitted[0].classes_, left_out.require_labels()))
    # (right, -log p) of every motion left out -> means
    means = {name: np.concatenate(parts).mean(0) for name, parts in found.items()}
    accuracy, loss = ({name: float(mean[k]) for name, mean in means.items()} for k in (0, 1))
    name = max(means, key=lambda name: (accuracy[name], -loss[name]))
    told = ", ".join(f"{one} {100 * accuracy[one]:.1f} % (log loss {loss[one]:.3f})" for one in means)
    return Choice(name, accuracy, loss, f"chosen: {name}, on {len(folds)} inner folds of the training part: {told}")


def inner_folds(motions: MotionSet) -> list[tuple[np.ndarray, np.ndarray]]:
    """Folds of subjects where there are several, of sequences otherwise.

    Args:
        motions: labelled.
    Returns:
        indices of training and test, of at most `FOLDS` folds.
    """
    subjects = np.zeros(0) if motions.subjects is None else np.unique(motions.subjects, return_inverse=True)[1]
    if len(np.unique(subjects)) < 2:
        try:
            return [(split.train, split.test) for split in splits(motions, f"folds:{FOLDS}")]
        except DataError:  # too few
            return []
    fold = subjects % FOLDS
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold)]


def _judge(shares: np.ndarray, classes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the most probable class is right, and -log of the probability of the right one, (n, 2)."""
    truth = np.where(labels[:, None] == classes, shares, 0).sum(1)
    return np.column_stack((classes[shares.argmax(1)] == labels, -np.log(truth + _TINY)))
