"""Answers for windows of a recording, and the intervals they merge into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mvnet.data_loaders.motion.stand_in import StandIn

UNKNOWN = "unknown"
_SEEN = 0.5  # share of the joints that a window must show
_WHOLE, _PART = 0.5, 0.25
"""Probability of being known from which a recording, or a window, is never called unknown, whatever threshold a file
has: what is known more probably than not has a class; a part is less like what was learned whole."""


@dataclass(frozen=True)
class Answer:
    """start, stop: frames. name: a class, or UNKNOWN. probability: of the class among the known ones, or, of UNKNOWN,
    that it is none of them. nearest: the most probable class. known: probability that it is a known class at all.
    shares: of all classes, (classes,). reason: why UNKNOWN, or what stood in; "" where there is nothing to say.
    """

    start: int
    stop: int
    name: str
    probability: float
    nearest: str | None
    known: float
    shares: np.ndarray | None
    reason: str = ""


def spans(frames: int, rate: float | None, window: float | None, step: float | None) -> list[tuple[int, int]]:
    """First frame and the one after the last of every window; the last window ends with the recording."""
    if window is None or rate is None or (length := max(2, round(window * rate))) >= frames:
        return [(0, frames)]
    stride = max(1, round((step or window / 2) * rate))
    starts = list(range(0, frames - length + 1, stride))
    if starts[-1] + length < frames:
        starts.append(frames - length)
    return [(a, a + length) for a in starts]


def classify(
    classifier: Any,
    classes: Sequence[str],
    sequence: np.ndarray,
    parts: Sequence[tuple[int, int]],
    stand_in: StandIn | None,
    names: Sequence[str] | None,
    windows: bool = True,
) -> list[Answer]:
    """An answer for every part [start, stop) of a recording; one that shows too little is unknown, the others stand.

    Args:
        classifier: fitted; its labels are places in `classes`.
        stand_in: for joints or channels that a part never shows; None where the run has none.
        names: of joints or channels, for the reasons.
        windows: whether the parts are windows; what is called unknown is less then.
    """
    found: list[Answer | None] = [None] * len(parts)
    pieces, whose = [], []
    for k, (start, stop) in enumerate(parts):
        piece, never = sequence[start:stop], _never_seen(sequence[start:stop])
        if len(never) > (1 - _SEEN) * piece.shape[1] or (len(never) and stand_in is None):
            what = f"{len(never)} of {piece.shape[1]} joints or channels never seen"
            found[k] = Answer(start, stop, UNKNOWN, 1.0, None, 0.0, None, what)
            continue
        pieces.append(piece if stand_in is None else stand_in.fill(piece)[0])
        listed = ", ".join(names[int(j)] if names else str(j) for j in never[:6])
        whose.append((k, f"mean pose of {listed}" if len(never) else ""))
    if pieces:
        shares, (known, strange) = classifier.predict_proba(pieces), find_unknown(classifier, pieces, windows)
        for (k, reason), p, q, odd in zip(whose, shares, known, strange):
            best = int(p.argmax())
            nearest = classes[int(classifier.classes_[best])]
            name, sure = (UNKNOWN, 1 - float(q)) if odd else (nearest, float(p[best]))
            found[k] = Answer(parts[k][0], parts[k][1], name, sure, nearest, float(q), p, reason)
    return [answer for answer in found if answer is not None]


def find_unknown(classifier: Any, sequences: Sequence[Any], windows: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Probability (n,) that each sequence is of a known class at all, and whether it is called unknown (n,) bool."""
    known = classifier.known_probability(sequences)
    return known, classifier.is_unknown(sequences) & (known < (_PART if windows else _WHOLE))


def _never_seen(piece: np.ndarray) -> np.ndarray:
    return np.flatnonzero(~np.isfinite(piece).reshape(*piece.shape[:2], -1).all(-1).any(0))


def intervals(answers: Sequence[Answer], names: Sequence[str]) -> list[tuple[int, int, str, float]]:
    """Windows that overlap as intervals (start, stop, name, probability) that do not, in order.

    Between two bounds of windows the mean over the windows there decides: unknown where more than half of them are,
    else the class with the largest mean probability. Neighbours of one name are one interval.

    Args:
        names: of the classes, in the order of the shares.
    """
    bounds = sorted({frame for answer in answers for frame in (answer.start, answer.stop)})
    merged: list[tuple[int, int, str, float]] = []
    for start, stop in pairwise(bounds):
        here = [answer for answer in answers if answer.start <= start and answer.stop >= stop]
        if not here:
            continue
        strange = [answer for answer in here if answer.name == UNKNOWN or answer.shares is None]
        if 2 * len(strange) > len(here):
            name, p = UNKNOWN, float(np.mean([answer.probability for answer in strange]))
        else:
            shares = np.mean([a.shares for a in here if a.shares is not None and a.name != UNKNOWN], axis=0)
            name, p = names[int(shares.argmax())], float(shares.max())
        if merged and merged[-1][2] == name and merged[-1][1] == start:
            first, _, _, before = merged[-1]
            merged[-1] = (first, stop, name, (before * (start - first) + p * (stop - start)) / (stop - first))
        else:
            merged.append((start, stop, name, p))
    return merged
