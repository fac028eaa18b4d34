"""What the witness of a training says of people and actions that it has not learned from.

Its scores of motions of the subject left out give the sharpness of probabilities; they, and those of the classes left
out and of motions made up, give the rule that tells the unknown (`novelty`). Distances are between the embeddings of
motions, over the mean distance of a training motion and the nearest other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mvnet.models.activity.kernel_ridge import fit_sharpness
from mvnet.models.activity.novelty import Novelty, evidence, fit_rule
from mvnet.models.activity.views import fill_missing

FAMILY = "embedding"
_MADE_UP = 24
_TINY = 1e-9


class Parts(NamedTuple):
    """Who sees what.

    Args:
        classes: (classes left out,) integers.
        seen: (n,) bool, what the witness learns from.
        known: (n,) bool, motions of its classes that it does not learn from.
        new: (n,) bool, motions of the classes left out.
    """

    classes: np.ndarray
    seen: np.ndarray
    known: np.ndarray
    new: np.ndarray


class Testimony(NamedTuple):
    """What the witness says.

    Args:
        accuracy: on known motions, in [0, 1].
        sharpness: of probabilities.
        rule: that tells the unknown; None where nothing was left out.
    """

    accuracy: float
    sharpness: float
    rule: Novelty | None


def divide(labels: np.ndarray, groups: np.ndarray, seed: int) -> Parts:
    """Leave out the group of the largest number, or every fifth motion, and a fifth of three or more classes.

    Args:
        labels: (n,) integers.
        groups: (n,) integers.
        seed: random seed of the classes.
    Returns:
        the parts.
    """
    held = groups == groups.max() if len(np.unique(groups)) > 1 else np.arange(len(labels)) % 5 == 0
    found = np.unique(labels)
    count = max(1, len(found) // 5) if len(found) > 2 else 0
    out = np.random.default_rng(seed).choice(found, count, replace=False)
    new = np.isin(labels, out)
    if (~new & ~held).sum() < 2:  # too few to leave any out
        return Parts(out[:0], np.ones(len(labels), dtype=bool), held, np.zeros(len(labels), dtype=bool))
    return Parts(out, ~new & ~held, ~new & held, new)


def make_up(sequences: Sequence[np.ndarray], labels: np.ndarray, seed: int) -> list[np.ndarray]:
    """Motions of no class, made of training motions: bodies at rest, frames out of order, halves of two classes.

    Args:
        sequences: n recordings, frames first.
        labels: (n,) integers, two or more.
        seed: random seed.
    Returns:
        at most 3 * 24 recordings.
    """
    random = np.random.default_rng(seed)
    found = []
    for i in random.permutation(len(sequences))[:_MADE_UP]:
        # gaps are filled first: the frame that a body rests in may lack a joint
        two = i, random.choice(np.flatnonzero(labels != labels[i]))
        x, other = (fill_missing(sequences[k]).numpy() for k in two)
        glued = np.concatenate((x[: (len(x) + 1) // 2], other[len(other) // 2 :]))
        found += [np.repeat(x[len(x) // 2 :][:1], len(x), 0), x[random.permutation(len(x))], glued]
    return found


def hear(embedded: Tensor, scores: np.ndarray, labels: np.ndarray, parts: Parts) -> Testimony:
    """Accuracy, sharpness and rule.

    Args:
        embedded: of all motions by the witness, and of those made up after them, (1, n + l, features).
        scores: of the same, (n + l, classes).
        labels: (n,) integers.
        parts: who sees what.
    Returns:
        what it says.
    """
    scores, known = scores.copy(), np.flatnonzero(parts.known)
    scores[:, parts.classes] = -np.inf
    new = np.r_[np.flatnonzero(parts.new), len(labels) : len(scores)]
    if not len(known):
        return Testimony(float("nan"), 1.0, None)
    accuracy = float((scores[known].argmax(1) == labels[known]).mean())
    sharpness = fit_sharpness(scores[known], labels[known])
    distance = relative_distance(embedded, embedded[:, : len(labels)][:, torch.from_numpy(parts.seen)])
    u = evidence(scores, distance, labels[parts.seen])
    return Testimony(accuracy, sharpness, fit_rule({FAMILY: 1.0}, u[known], u[new], True))


def relative_distance(embedded: Tensor, reference: Tensor) -> np.ndarray:
    """Distances to training motions over their usual distance from the nearest other one, averaged over streams.

    Args:
        embedded: (streams, m, features).
        reference: of training motions, (streams, n, features).
    Returns:
        (m, n).
    """
    usual = usual_distance(reference).view(-1, 1, 1)
    return (torch.cdist(embedded, reference) / usual).mean(0).double().cpu().numpy()


def usual_distance(reference: Tensor) -> Tensor:
    """Mean distance of a training motion from the nearest other one; 1 where there is none.

    Args:
        reference: of training motions, (streams, n, features).
    Returns:
        (streams,).
    """
    own = torch.cdist(reference, reference)
    own.diagonal(dim1=-2, dim2=-1).fill_(torch.inf)
    return own.amin(-1).mean(-1).clamp_min(_TINY) if reference.shape[1] > 1 else own.new_ones(len(own))
