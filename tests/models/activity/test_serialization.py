"""What a stored classifier has to predict before it is taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mvnet.errors import MvnetError
from mvnet.models.activity.serialization import check_classifier, small_recording
from mvnet.models.stored import read_card

GOOD = {
    "classes_": np.array(["a", "b"]),
    "inner_accuracy_": 0.5,
    "settings_": {},
    "assess": lambda recordings: (np.array([[0.25, 0.75]]), np.array([1.0]), None),
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"classes_": np.array(["a"])}, r"found an array of shape \(1,\), expected at least two labels"),
        ({"inner_accuracy_": None}, "found NoneType and dict, expected a number and entries"),
        ({"assess": lambda _: (np.array([[0.5, 0.75]]), np.ones(1), None)}, "expected probabilities of the classes"),
        ({"assess": lambda _: (np.array([[np.nan, 1]]), np.ones(1), None)}, "predictions that are not finite"),
    ],
)
def test_predictions(change: dict[str, Any], words: str | None) -> None:
    classifier, recording = SimpleNamespace(**(GOOD | change)), small_recording("poses", 5)
    if words is None:
        check_classifier(classifier, recording)
        return
    with pytest.raises(MvnetError, match=words):
        check_classifier(classifier, recording)


def test_recordings_of_every_kind() -> None:
    shapes = {kind: small_recording(kind, 4).shape[1:] for kind in ("positions", "poses", "rotations", "signals")}
    assert shapes == {"positions": (4, 3), "poses": (4, 2), "rotations": (4, 3, 3), "signals": (4,)}
    with pytest.raises(MvnetError, match="kind: found 'words', expected one of"):
        small_recording("words", 4)


def test_a_card_that_is_no_object(tmp_path) -> None:
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(MvnetError, match="card: found a list, expected an object of entries"):
        read_card(tmp_path / "a.json")
