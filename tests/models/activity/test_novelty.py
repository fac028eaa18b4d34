"""The rule for motions of no class: what a card may say of it."""

from __future__ import annotations

from typing import Any

import pytest

from mvnet.errors import MvnetError
from mvnet.models.activity.novelty import Novelty

WHOLE: dict[str, Any] = {"usual": {"embedding": 1.0}, "weights": [0.0, 1.0, 0.5, 0.0], "offset": -1, "threshold": 0.5}
DAMAGED: dict[str, Any] = {
    "threshold": [[]],
    "offset": None,
    "weights": [0.0, 1.0, float("nan"), 0.0],
    "usual": {"embedding": 0.0},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_numbers_that_are_none_are_refused(name: str) -> None:
    assert Novelty(**WHOLE).threshold == 0.5
    others: Any = (DAMAGED[name], [0.0] if name == "weights" else {} if name == "usual" else "1")
    for value in others:
        with pytest.raises(MvnetError, match=r"novelty: found .*, expected positive distances, 4 weights"):
            Novelty(**WHOLE | {name: value})
