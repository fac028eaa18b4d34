"""A classifier of motions with the interface of scikit-learn.

    classifier = MotionClassifier(parent=motions.parent).fit(sequences, labels, groups=subjects)
    classifier.predict_proba(others)

Kernels between curves (`kernel_bank`) are added up and fed to a ridge regression on the classes. Their shares, the
penalty and whether mirror images count as the same motion are chosen by leaving out one training group (subject) at a
time, in closed form (`kernel_ridge`), and so is whether a motion is of a known class at all (`novelty`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from mvnet.data_loaders.motion.formats.sensors.channels_first import frames_first
from mvnet.errors import MvnetError
from mvnet.models.activity.kernel_bank import KernelBank, Likeness, Shares
from mvnet.models.activity.kernel_ridge import (
    fit_coefficients,
    fit_sharpness,
    predict_held_out,
    predict_scores,
    softmax,
)
from mvnet.models.activity.novelty import Novelty, evidence, fit_novelty
from mvnet.models.activity.views import detect_kind, fill_missing

PENALTIES = (0.003, 0.03)
ELASTIC_SHARES = (1 / 2, 1 / 5, 0.0)
"""Weight of the elastic kernels among all, chosen with the penalty; 3 : 2 is how filters and competing ones share."""
_FILTERS = 3 / 5


class MotionClassifier(ClassifierMixin, BaseEstimator):
    """Classes of recordings of unequal length, with missing values, few of them to learn from.

    Args:
        parent: (joints,) index of the joint above, -1 at the root, of a skeleton; None where there is none.
        mirror: whether a motion and its mirror image are the same: True, False or "auto".
        filters: about how many filter responses each view has.
        seed: random seed of the filters.

    After `fit`: classes_, settings_ (what was chosen), inner_accuracy_ (of leaving one group out, of that choice),
    novelty_ (what tells the unknown; None in files of version 0.1.0, which know of no unknown).

    X everywhere: sequences (frames, joints, 3) positions with z up, (frames, joints, 2) poses in a picture,
    (frames, joints, 3, 3) rotations or (frames, channels) signals, as a list or as an array with one more dim; NaN
    where missing. A 2-D array is a list of signals of one frame.
    """

    novelty_: Novelty | None

    def __init__(
        self,
        parent: Sequence[int] | np.ndarray | None = None,
        mirror: bool | str = "auto",
        filters: int = 4000,
        seed: int = 0,
    ):
        self.parent = parent
        self.mirror = mirror
        self.filters = filters
        self.seed = seed

    def fit(self, X: Any, y: Any, groups: Any = None) -> MotionClassifier:
        """Learn from sequences and labels.

        Args:
            X: n sequences, see above.
            y: (n,) labels.
            groups: (n,) the subjects; None takes every sequence for one.
        Returns:
            itself.
        Warns:
            signals of fewer frames than channels, which may be (channels, frames).
        Raises:
            MvnetError: fewer than two classes, lengths that differ, shapes that differ, a joint without any value.
        """
        if self.mirror not in (True, False, "auto"):
            raise MvnetError(f"mirror: found {self.mirror!r}, expected True, False or 'auto'")
        if y is None:
            raise MvnetError("y: found None, expected labels (requires y to be passed, but the target y is None)")
        if _is_sequence(X):
            _warn_of_channels_first(X)
        else:
            X, y = validate_data(self, X, y)
        y = np.asarray(y).ravel() if np.ndim(y) == 2 and np.shape(y)[1] == 1 else np.asarray(y)
        check_classification_targets(y)
        recordings = convert_recordings(X)
        if len(y) != len(recordings):
            raise MvnetError(f"y: found {len(y)} labels for {len(recordings)} sequences, expected as many")
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise MvnetError(f"y: found {len(self.classes_)} class, expected at least two")
        groups = np.arange(len(y)) if groups is None else np.asarray(groups)
        if groups.shape != y.shape:
            raise MvnetError(f"groups: found shape {groups.shape}, expected {y.shape}, one for each sequence")
        if len(np.unique(groups)) < 2:
            groups = np.arange(len(y))
        parent = None if self.parent is None else torch.as_tensor(np.asarray(self.parent), dtype=torch.long)
        if (
            parent is not None
            and detect_kind(recordings[0].numpy()) != "signals"
            and len(parent) != recordings[0].shape[1]
        ):
            raise MvnetError(f"parent: found {len(parent)} joints, expected {recordings[0].shape[1]}")
        self.bank_ = KernelBank.estimate(recordings, parent, self.filters, self.seed)
        found = self.bank_.training(recordings)
        if self.mirror is True and True not in found:
            raise MvnetError("mirror: found no left and right in this skeleton, expected mirror='auto' or False")
        self.labels_ = labels
        self._choose(found, np.where(labels[:, None] == np.arange(len(self.classes_)), 1.0, -1.0), groups)
        return self

    def _choose(self, found: dict[bool, Likeness], targets: np.ndarray, groups: np.ndarray) -> None:
        """The settings with the least held-out squared error, which few motions tell better than the accuracy."""
        best, labels = np.inf, self.labels_
        fits = (np.empty(0), np.empty(0))
        mirrors = [m for m in found if self.mirror in ("auto", m)]
        for mirrored, share, penalty in product(mirrors, ELASTIC_SHARES, PENALTIES):
            c, g = fit_coefficients(found[mirrored].kernel(self._shares_of(share)), targets, penalty)
            scores = predict_held_out(c, g, targets, groups)
            error = float(np.square(scores - targets).mean())
            if error < best:
                best, fits = error, (c, g)
                self.inner_accuracy_ = float((scores.argmax(1) == labels).mean())
                self.dual_, self.sharpness_ = c, fit_sharpness(scores, labels)
                self.settings_ = {"mirror": mirrored, "elastic_share": share, "penalty": penalty}
        self.bank_.settle(self.settings_["mirror"])
        distances = found[self.settings_["mirror"]].distances
        self.novelty_ = fit_novelty(fits, targets, distances, labels, groups)

    @property
    def shares(self) -> Shares:
        """Weights of the families."""
        if "filter_share" in self.settings_:  # of version 0.1.0
            return {"elastic": 1 - self.settings_["filter_share"], "filters": self.settings_["filter_share"]}
        return self._shares_of(self.settings_["elastic_share"])

    def _shares_of(self, elastic: float) -> Shares:
        competing = (1 - elastic) * (1 - _FILTERS) if self.bank_.features["competing"] else 0.0
        return {"elastic": elastic, "filters": 1 - elastic - competing, "competing": competing}

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores, about 1 for the class and -1 for the others.

        Args:
            X: m sequences.
        Returns:
            (m, classes); (m,) of the second class of two.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _likeness(self, X: Any, families: Sequence[str] = ()) -> Likeness:
        """Beside the training motions, by the families of positive weight and those named."""
        check_is_fitted(self)
        if not _is_sequence(X):
            X = validate_data(self, X, reset=False)
        used = [family for family, share in self.shares.items() if share or family in families]
        return self.bank_.likeness(convert_recordings(X), self.settings_["mirror"], used)

    def _scores(self, X: Any) -> np.ndarray:
        return predict_scores(self._likeness(X).kernel(self.shares), self.dual_)

    def predict(self, X: Any) -> np.ndarray:
        """The class of each sequence.

        Args:
            X: m sequences.
        Returns:
            labels (m,).
        """
        best = self._scores(X).argmax(1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities: softmax of the scores, its sharpness from the held-out scores of training.

        Args:
            X: m sequences.
        Returns:
            (m, classes), in the order of classes_.
        """
        return softmax(self._scores(X), self.sharpness_)

    def known_probability(self, X: Any) -> np.ndarray:
        """Probability that a sequence is of one of the classes at all.

        Args:
            X: m sequences.
        Returns:
            (m,), in [0, 1]; 1 where nothing was learned about it, as in files of version 0.1.0.
        """
        return self.assess(X)[1]

    def is_unknown(self, X: Any) -> np.ndarray:
        """Whether a sequence is of none of the classes.

        Args:
            X: m sequences.
        Returns:
            (m,) bool; False where nothing was learned about it, as in files of version 0.1.0.
        """
        return self.assess(X)[2]

    def assess(self, X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `predict_proba`, `known_probability` and `is_unknown` say, at the cost of one of them.

        Args:
            X: m sequences.
        Returns:
            (m, classes), (m,) and (m,) bool.
        """
        rule = self.novelty_
        found = self._likeness(X, () if rule is None else tuple(rule.usual))
        scores = predict_scores(found.kernel(self.shares), self.dual_)
        probabilities, known = softmax(scores, self.sharpness_), np.ones(len(scores))
        if rule is None:
            return probabilities, known, np.zeros(len(scores), dtype=bool)
        known = rule.probability(evidence(scores, rule.distance(found.distances), self.labels_))
        return probabilities, known, known < rule.threshold

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _is_sequence(X: Any) -> bool:
    """A list of arrays, or an array with more than two dims."""
    if isinstance(X, np.ndarray):
        return X.ndim > 2 or (X.dtype == object and X.ndim == 1)
    return isinstance(X, Sequence) and len(X) > 0 and all(np.ndim(x) >= 2 for x in X)


def _warn_of_channels_first(X: Any) -> None:
    """Say that signals have fewer frames than channels, as (channels, frames) would have."""
    _, found = frames_first([np.asarray(x) for x in X])
    if found:
        warnings.warn(f"X: {found}", stacklevel=3)


def convert_recordings(X: Any) -> list[Tensor]:
    """Recordings of X without missing values, all of one kind and number of joints.

    Args:
        X: as in `MotionClassifier`.
    Returns:
        n tensors, float64.
    Raises:
        MvnetError: other values than numbers, infinite ones, shapes that differ.
    """
    if isinstance(X, np.ndarray) and X.ndim == 2:
        X = X[:, None]
    recordings = []
    for number, x in enumerate(X):
        array = np.asarray(x)
        array = array.astype(np.float64) if array.dtype == object else array
        if array.dtype.kind not in "fiub":
            raise MvnetError(f"X: found {array.dtype} values in sequence {number}, expected numbers")
        if np.isinf(array).any():
            raise MvnetError(f"X: found infinite values in sequence {number}, expected finite ones, NaN where missing")
        detect_kind(array)
        if recordings and array.shape[1:] != tuple(recordings[0].shape[1:]):
            expected = tuple(recordings[0].shape[1:])
            raise MvnetError(f"X: found frames of shape {array.shape[1:]} in sequence {number}, expected {expected}")
        recordings.append(fill_missing(array, f"X: sequence {number}"))
    return recordings
