"""`mvnet bench scaling`: what cannot be measured is refused, and the rows are told."""

import json

import pytest

from mvnet.apps.bench import scaling
from mvnet.apps.main import run


@pytest.mark.parametrize("counts", ["two", "0", "1,3,4"])
def test_numbers_that_cannot_be_measured_are_refused(counts, capsys):
    assert run(["bench", "scaling", "--counts", counts]) == 2
    assert "--counts: found" in capsys.readouterr().err


def test_efficiency_is_that_of_the_ideal(monkeypatch, capsys):
    monkeypatch.setattr(scaling, "_step_seconds", lambda count, batch, steps: batch / count * (1 + 0.25 * (count > 1)))
    monkeypatch.setattr(scaling, "_scene_seconds", lambda count: 8 / count)
    assert run(["bench", "scaling", "--counts", "2", "--json", "--quiet"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    found = {(row["kind"], row["count"]): row["efficiency"] for row in rows}
    assert found == {
        ("weak", 1): 1, ("weak", 2): 0.8, ("strong", 1): 1, ("strong", 2): 0.8, ("dask", 1): 1, ("dask", 2): 1
    }  # fmt: skip
