"""The mean of what two classifiers of motions say,

    p = (p_kernels + p_network) / 2,    known likewise,    unknown where known is below the mean of both thresholds.

Each gives calibrated probabilities; their errors have little in common, one sees shapes of curves, the other rotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mvnet.errors import MvnetError
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.lie.answers import Answers
from mvnet.models.activity.lie.classifier import BodyMotionClassifier


@dataclass
class MotionEnsemble(Answers):
    """A classifier of kernels and a network, fitted to the same motions, with the attribute names of scikit-learn.

    Raises:
        MvnetError: parts of other classes.

    classes_: labels (classes,).  inner_accuracy_: on training motions left out, in [0, 1].
    """

    kernels: MotionClassifier
    network: BodyMotionClassifier
    inner_accuracy_: float
    settings_: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not np.array_equal(self.kernels.classes_, self.network.classes_):
            found = f"{self.kernels.classes_.tolist()} and {self.network.classes_.tolist()}"
            raise MvnetError(f"labels: found {found}, expected the same classes in both parts")
        self.classes_ = self.kernels.classes_

    def assess(self, sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `predict_proba`, `known_probability` and `is_unknown` say, at the cost of one of them.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            (n, classes), (n,) and (n,) bool.
        """
        parts = (self.kernels, self.network)
        shares, known, _ = zip(*(part.assess(sequences) for part in parts))
        # a part that has learned nothing of the unknown, which says 1, does not count
        learned = [k for part, k in zip(parts, known) if part.novelty_ is not None] or list(known)
        mean = np.mean(learned, 0)
        return np.mean(shares, 0), mean, mean < self.threshold

    @property
    def threshold(self) -> float:
        """Probability of being known below which a motion is unknown; 0 where neither part has learned one."""
        rules = [part.novelty_ for part in (self.kernels, self.network) if part.novelty_ is not None]
        return float(np.mean([rule.threshold for rule in rules])) if rules else 0.0
