"""Ridge regression with a kernel, with the held-out scores of every group in closed form.

With G = (K + c + a)^-1 (c a large constant, the intercept; a the penalty) and C = G Y, the values for a group h of a
fit without it are

    F_h = Y_h - (G_hh)^-1 C_h,

so that choices can be made by leaving one subject out at the cost of one inverse.
Source: Saunders, Gammerman, Vovk, ICML (1998); An, Liu, Venkatesh, CVPR (2007), eq. 12, for the groups.
"""

from __future__ import annotations

import numpy as np

INTERCEPT = 100.0


def fit_coefficients(kernel: np.ndarray, targets: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Dual coefficients C = G Y of ridge regression, G = (K + c + a)^-1.

    Args:
        kernel: (n, n) with mean diagonal about 1.
        targets: Y, (n, classes).
        penalty: a.
    Returns:
        C (n, classes) and G (n, n).
    """
    g = np.linalg.inv(kernel + INTERCEPT + penalty * np.eye(len(kernel)))
    return g @ targets, g


def predict_held_out(c: np.ndarray, g: np.ndarray, targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Scores of each sequence from the fit without its group.

    Args:
        c, g: from `fit_coefficients`, (n, classes) and (n, n).
        targets: Y, (n, classes).
        groups: (n,) labels.
    Returns:
        (n, classes).
    """
    scores = np.empty_like(targets)
    for group in np.unique(groups):
        h = groups == group
        scores[h] = predict_without(c, g, targets, h)
    return scores


def predict_without(c: np.ndarray, g: np.ndarray, targets: np.ndarray, held: np.ndarray) -> np.ndarray:
    """F_h = Y_h - (G_hh)^-1 C_h, the scores of some sequences from the fit without them.

    Args:
        c, g: from `fit_coefficients`, (n, classes) and (n, n).
        targets: Y, (n, classes).
        held: (n,) bool, h.
    Returns:
        (sequences held, classes).
    """
    return targets[held] - np.linalg.solve(g[np.ix_(held, held)], c[held])


def predict_scores(kernel: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Scores of new sequences.

    Args:
        kernel: (m, n) between new sequences and the training ones.
        c: from `fit_coefficients`, (n, classes).
    Returns:
        (m, classes).
    """
    return (kernel + INTERCEPT) @ c


class Centring:
    """Centres a kernel in feature space and scales its mean diagonal to 1, by training data only.

    Args:
        rows: (n,) column means of the training kernel.
        mean: its mean.
        scale: what centred kernels are multiplied by.
    """

    def __init__(self, rows: np.ndarray, mean: float, scale: float):
        self.rows, self.mean, self.scale = rows, mean, scale

    @classmethod
    def estimate(cls, kernel: np.ndarray) -> Centring:
        """Centring of a kernel of training sequences; one that is constant becomes 0.

        Args:
            kernel: (n, n).
        Returns:
            its centring.
        """
        rows, mean = kernel.mean(0), float(kernel.mean())
        spread = float(np.diag(kernel).mean()) - mean
        return cls(rows, mean, 1 / spread if spread > 1e-9 else 0.0)

    def __call__(self, kernel: np.ndarray) -> np.ndarray:
        """K_ij - mean_j' K_ij' - mean_i' K_i'j + mean of a kernel (m, n), scaled."""
        return (kernel - kernel.mean(1, keepdims=True) - self.rows + self.mean) * self.scale


def softmax(scores: np.ndarray, sharpness: float) -> np.ndarray:
    """Probabilities from scores.

    Args:
        scores: (m, classes).
        sharpness: what scores are multiplied by.
    Returns:
        (m, classes), rows of sum 1.
    """
    z = sharpness * (scores - scores.max(1, keepdims=True))
    e = np.exp(z)
    return e / e.sum(1, keepdims=True)


def fit_sharpness(scores: np.ndarray, labels: np.ndarray) -> float:
    """The sharpness for which held-out scores give the labels the largest likelihood.

    Args:
        scores: (n, classes).
        labels: (n,) integers.
    Returns:
        a number between 0.5 and 32.
    """
    grid = np.geomspace(0.5, 32, 25)
    rows = np.arange(len(labels))
    losses = [-np.log(softmax(scores, s)[rows, labels] + 1e-12).mean() for s in grid]
    return float(grid[int(np.argmin(losses))])
