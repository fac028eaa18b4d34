"""What a classifier of motions is asked, answered by its `assess`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np


class Answers(ABC):
    """classes_: labels (classes,)."""

    classes_: np.ndarray

    @abstractmethod
    def assess(self, sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `predict_proba`, `known_probability` and `is_unknown` say.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            (n, classes), (n,) and (n,) bool.
        """

    def predict_proba(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Probability of every class.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            (n, classes), rows of sum 1.
        """
        return self.assess(sequences)[0]

    def predict(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Most probable class.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            labels (n,).
        """
        return self.classes_[self.predict_proba(sequences).argmax(1)]

    def known_probability(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Probability that a recording is of one of the classes at all.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            (n,), in [0, 1]; 1 where nothing was learned about it.
        """
        return self.assess(sequences)[1]

    def is_unknown(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Whether a recording is of none of the classes.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            (n,) bool; False where nothing was learned about it.
        """
        return self.assess(sequences)[2]
