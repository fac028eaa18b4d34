"""A classifier that can be told apart from a good one only by its speed, and a body that stands."""

from __future__ import annotations

import numpy as np

from mvnet.data_loaders.motion import MotionSet

NAMES = ("hips", "chest", "head", "left_hand", "right_hand", "left_foot", "right_foot")
PARENT = np.array([-1, 0, 1, 1, 1, 0, 0])
POSE = np.array(
    [[0, 0, 1], [0, 0.1, 1.5], [0, 0.1, 1.8], [0.5, 0.2, 1.3], [-0.5, 0.2, 1.3], [0.2, 0.1, 0], [-0.2, 0.1, 0]]
)


class Fake:
    """Class by the sign of the first coordinate of the first frame; unknown where it is beyond 10."""

    classes_ = np.array([0, 1])

    def __init__(self, strange: float = 0.2):
        self.strange, self.threshold = strange, 0.5

    def _first(self, X) -> np.ndarray:
        return np.array([np.asarray(x).ravel()[0] for x in X])

    def predict_proba(self, X) -> np.ndarray:
        positive = self._first(X) > 0
        return np.stack((np.where(positive, 0.1, 0.8), np.where(positive, 0.9, 0.2)), 1)

    def predict(self, X) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(1)]

    def known_probability(self, X) -> np.ndarray:
        return np.where(np.abs(self._first(X)) > 10, self.strange, 0.75)

    def is_unknown(self, X) -> np.ndarray:
        return self.known_probability(X) < self.threshold


def standing(frames: int = 6, pose: np.ndarray = POSE) -> np.ndarray:
    """The body, a little unsteady."""
    return pose + np.random.default_rng(0).normal(scale=0.01, size=(frames, 7, 3))


def bodies(*sequences: np.ndarray, **known) -> MotionSet:
    return MotionSet(sequences or (standing(),), **({"joints": NAMES, "parent": PARENT} | known))
