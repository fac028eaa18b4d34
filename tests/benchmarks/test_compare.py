"""Numbers that are worse beyond their noise are named; those within it, or better, are not."""

import pytest

from benchmarks.compare import differences
from benchmarks.run_all import page


def _run(target: str, *values: float, holds: bool = True) -> dict:
    bars = [{"name": "error", "bar": target, "values": list(values), "holds": holds}]
    return {"machine": "m", "versions": {}, "quick": True, "results": [{"name": "dti", "seconds": 1.0, "bars": bars}]}


@pytest.mark.parametrize(
    "target, before, after, named",
    [
        ("<= 1", (0.5, 0.6), (0.55, 0.7), False),  # the ranges meet
        ("<= 1", (0.5, 0.6), (0.62, 0.7), False),  # less than a tenth
        ("<= 1", (0.5, 0.6), (0.7, 0.8), True),
        ("<= 1", (0.5,), (0.1,), False),
        (">= 0.1", (0.5, 0.6), (0.4, 0.3), True),
        ("0.8 to 1.2", (0.9,), (1.1,), False),
    ],
)
def test_what_is_worse_is_named(target, before, after, named):
    assert bool(differences(_run(target, *before), _run(target, *after), 0.1)) == named


def test_missed_and_gone_bars_are_named():
    before = _run("<= 1", 0.99)
    (line,) = differences(before, _run("<= 1", 1.01, holds=False), 0.1)
    assert line.startswith("missed  dti: error")
    (line,) = differences(before, {**before, "results": []}, 0.1)
    assert line == "gone    dti: error"


def test_the_page_says_what_was_not_measured():
    run = _run("<= 1", 0.5, 0.6)
    run["results"].append({"name": "activity", "error": "more than 5 s", "bars": []})
    text = page(run)
    assert "## dti: 1 of 1 met, 1 s" in text and "| error | 0.5 to 0.6 | <= 1 | met |" in text
    assert "not measured: more than 5 s" in text
