"""Whether a motion is of one of the classes at all, learned by leaving classes out.

Groups (subjects) are taken out of the training in turn; their motions are known and new. With each group each class is
taken out as well; its motions of that group are unknown. Both have

    u = (largest score, its lead, -log d, -log d_c),

where d is the distance to the nearest training motion, d_c to the nearest one of the class found, both over those that
are usual between a training motion and the nearest of another group. Then

    p(known | u) = 1 / (1 + exp(-(w . u + b))),    w >= 0,

fitted with equal weight of known and unknown. Below the threshold, which one in twenty of the known motions left out
does not reach, a motion is called unknown; one that is more probably known than not never is.
Source: Platt, Probabilistic outputs for support vector machines (1999), for the fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mvnet.errors import MvnetError
from mvnet.models.activity.kernel_ridge import predict_without

CLUES = 4  # numbers in u
_MISSED, _EVEN = 0.05, 0.5
_FOLDS = 10
_PENALTY = 0.01
_STEPS = 2000
TINY = 1e-9
FAR, LARGEST_LEAD = 1e3, 2.0
"""Distance to a class without motions; lead of a perfect fit, or of a single class."""


@dataclass(frozen=True)
class Novelty:
    """A fitted rule.

    Attributes:
        usual: family -> usual distance between a training motion and the nearest of another group.
        weights: (4,) w, at least 0.
        offset: b.
        threshold: probability below which a motion is unknown.
    Raises:
        MvnetError: numbers that are none, as a damaged file may have them.
    """

    usual: dict[str, float]
    weights: tuple[float, ...]
    offset: float
    threshold: float

    def __post_init__(self) -> None:
        numbers = [*self.usual.values(), *self.weights, self.offset, self.threshold]
        plain = all(isinstance(x, int | float) and math.isfinite(x) for x in numbers)
        if not plain or len(self.weights) != CLUES or min(self.usual.values(), default=0) <= 0:
            found = f"usual {self.usual}, weights {self.weights}, offset {self.offset}, threshold {self.threshold}"
            raise MvnetError(f"novelty: found {found}, expected positive distances, {CLUES} weights and two numbers")

    def probability(self, u: np.ndarray) -> np.ndarray:
        """p(known | u).

        Args:
            u: (m, 4), see `evidence`.
        Returns:
            (m,), in [0, 1].
        """
        return _logistic(u @ np.array(self.weights) + self.offset)

    def distance(self, distances: dict[str, np.ndarray]) -> np.ndarray:
        """Mean of the distances of all families, in units of the usual ones.

        Args:
            distances: family -> (m, n).
        Returns:
            (m, n).
        """
        return np.mean([distances[family] / usual for family, usual in self.usual.items()], 0)


def evidence(scores: np.ndarray, distance: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """u of motions.

    Args:
        scores: (m, classes).
        distance: (m, n) to training motions; infinite for those left out.
        labels: (n,) their classes, columns of the scores.
    Returns:
        (m, 4).
    """
    order = np.argsort(scores, 1)
    rows, best = np.arange(len(scores)), order[:, -1]
    lead = np.minimum(scores[rows, best] - scores[rows, order[:, -2]], LARGEST_LEAD)
    nearest = np.stack([distance.min(1), np.where(labels == best[:, None], distance, np.inf).min(1)], 1)
    nearest = np.where(np.isfinite(nearest), nearest, FAR)
    return np.column_stack((scores[rows, best], lead, -np.log(nearest + TINY)))


def fit_novelty(
    fits: tuple[np.ndarray, np.ndarray],
    targets: np.ndarray,
    distances: dict[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
) -> Novelty:
    """Learn the rule.

    Args:
        fits: coefficients C (n, classes) and G (n, n) of `kernel_ridge.fit_coefficients`.
        targets: Y (n, classes).
        distances: family -> (n, n) between training motions.
        labels: (n,) integers.
        groups: (n,) subjects.
    Returns:
        the rule.
    """
    folds = np.unique(groups, return_inverse=True)[1] % _FOLDS
    apart = folds[:, None] != folds
    usual = {family: max(float(np.median(np.where(apart, d, np.inf).min(1))), TINY) for family, d in distances.items()}
    rule = Novelty(usual, (0.0,) * CLUES, 0.0, 0.0)
    distance = rule.distance(distances)
    known, new = [], []
    for fold in np.unique(folds):
        mine = folds == fold
        scores = predict_without(*fits, targets, mine)
        known.append(evidence(scores, np.where(mine, np.inf, distance[mine]), labels))
        for left_out in np.unique(labels[mine]):
            held = mine | (labels == left_out)
            asked = mine & (labels == left_out)
            scores = predict_without(*fits, targets, held)[asked[held]]
            scores[:, left_out] = -np.inf
            new.append(evidence(scores, np.where(held, np.inf, distance[asked]), labels))
    return fit_rule(usual, np.concatenate(known), np.concatenate(new), use_scores=targets.shape[1] > 2)


def fit_rule(usual: dict[str, float], known: np.ndarray, new: np.ndarray, use_scores: bool) -> Novelty:
    """Logistic regression with weights that are not negative, by projected gradient steps.

    Args:
        usual: see `Novelty`.
        known: u of known motions, (m, 4).
        new: u of unknown ones, (l, 4).
        use_scores: whether scores say something; not where a single class was left.
    Returns:
        the rule.
    """
    u = np.concatenate((known, new))
    truth = np.r_[np.ones(len(known)), np.zeros(len(new))]
    weight = np.r_[np.full(len(known), 0.5 / len(known)), np.full(len(new), 0.5 / len(new))]
    mean, scale = u.mean(0), u.std(0) + TINY
    z = (u - mean) / scale
    if not use_scores:  # a single class is left, which every motion is found to be of
        z[:, :2] = 0
    w, b = np.zeros(CLUES), 0.0
    for _ in range(_STEPS):
        error = weight * (_logistic(z @ w + b) - truth)
        w, b = np.maximum(w - (z.T @ error + _PENALTY * w), 0), b - error.sum()
    w = w / scale
    rule = Novelty(usual, tuple(w.tolist()), float(b - mean @ w), 0.0)
    threshold = min(float(np.quantile(rule.probability(known), _MISSED)), _EVEN)
    return Novelty(usual, rule.weights, rule.offset, threshold)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def rank_quality(known: np.ndarray, new: np.ndarray) -> float:
    """Share of pairs in which the known motion has the larger value: the area under the ROC curve.

    Args:
        known, new: values of known and of unknown motions.
    Returns:
        in [0, 1]; 1 for perfect separation.
    """
    a, b = known[:, None], new
    return float(((a > b) + 0.5 * (a == b)).mean())
