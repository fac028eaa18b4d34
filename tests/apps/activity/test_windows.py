"""Answers for windows, the intervals they merge into, and how right they are."""

from __future__ import annotations

import numpy as np
import pytest

from mvnet.apps.activity.answers.windows import UNKNOWN, Answer, classify, find_unknown, intervals, spans
from mvnet.apps.activity.metrics import measure
from mvnet.apps.common.errors import UserError
from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.stand_in import StandIn
from tests.apps.activity.fakes import NAMES, Fake, bodies, standing

CLASSES = ("down", "up")


def test_windows_cover_a_recording() -> None:
    assert spans(10, None, None, None) == [(0, 10)] and spans(10, 2.0, 9.0, None) == [(0, 10)]
    assert spans(10, 1.0, 4.0, None) == [(0, 4), (2, 6), (4, 8), (6, 10)]
    assert spans(11, 1.0, 4.0, 4.0) == [(0, 4), (4, 8), (7, 11)]


def test_a_window_that_shows_too_little_is_unknown_and_the_others_stand() -> None:
    """No hand: its mean stands in, said; half of the body: unknown, said; nobody: unknown."""
    x = np.concatenate([standing(5) + 1, standing(5) - 1, standing(15)])
    x[5:10, 3] = np.nan
    x[10:15, :4] = np.nan
    x[15:20] = np.nan
    x[20:] += 100
    parts = [(a, a + 5) for a in range(0, 25, 5)]
    found = classify(Fake(), CLASSES, x, parts, StandIn.fit(bodies()), NAMES)
    assert [answer.name for answer in found] == ["up", "down", UNKNOWN, UNKNOWN, UNKNOWN]
    assert [answer.reason for answer in found[:2]] == ["", "mean pose of left_hand"]
    assert found[2].reason == "4 of 7 joints or channels never seen" and found[2].nearest is None
    assert (found[4].nearest, found[4].probability, found[4].known) == ("up", 0.8, 0.2)
    x[20:] += 100
    doubtful = classify(Fake(0.3), CLASSES, x[20:], [(0, 5)], None, NAMES)
    assert doubtful[0].name == "up"  # a part of a motion is not unknown at once
    assert classify(Fake(0.3), CLASSES, x[20:], [(0, 5)], None, NAMES, windows=False)[0].name == UNKNOWN
    strict = Fake(0.6)
    strict.threshold = 0.7
    assert strict.is_unknown([x[20:]])[0] and not find_unknown(strict, [x[20:]])[1][0]  # known, more probably than not
    old = classify(Fake(), CLASSES, x, parts, None, None)  # a run that has no stand-in
    assert [answer.name for answer in old] == ["up", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]


def answer(start: int, stop: int, share: float | None) -> Answer:
    """`share` of "down"; None is unknown."""
    if share is None:
        return Answer(start, stop, UNKNOWN, 0.9, None, 0.1, None)
    name = CLASSES[int(share < 0.5)]
    return Answer(start, stop, name, max(share, 1 - share), name, 1.0, np.array([share, 1 - share]))


def test_windows_merge_into_intervals() -> None:
    windows = [answer(0, 4, 0.9), answer(2, 6, 0.8), answer(4, 8, 0.1), answer(6, 10, 0.3), answer(8, 12, None)]
    found = intervals(windows, CLASSES)
    assert [(start, stop, name) for start, stop, name, _ in found] == [(0, 4, "down"), (4, 10, "up"), (10, 12, UNKNOWN)]
    assert found[0][3] == pytest.approx((0.9 * 2 + 0.85 * 2) / 4) and found[2][3] == 0.9
    assert intervals([answer(0, 4, 0.9), answer(6, 8, 0.9)], CLASSES)[1][:2] == (6, 8)  # a hole stays one


def labelled(values, labels, classes) -> MotionSet:
    sequences = [np.full((2, 3, 3), float(value)) for value in values]
    return MotionSet(sequences, labels=np.array(labels), classes=classes)


def test_classes_are_matched_by_name() -> None:
    """Another order of the classes, one that is absent, one that was not trained."""
    motions = labelled([1, 1, -1, 50, 5], [0, 0, 0, 1, 1], ("up", "jump"))
    found = measure(Fake(), motions, np.arange(5), list(CLASSES))
    assert found["test"] == 3 and found["accuracy"] == pytest.approx(2 / 3)
    assert found["confusion"] == [[0, 0], [1, 2]]
    assert found["unknown"] == {"rejected": 0.0, "untrained": {"jump": {"sequences": 2, "unknown": 0.5}}}
    with pytest.raises(UserError, match="found classes jump, expected some of down, up"):
        measure(Fake(), motions, np.array([3, 4]), list(CLASSES))
