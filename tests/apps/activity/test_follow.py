"""Frames as lines, answers as lines."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvnet.apps.activity.answers import follow, recordings
from mvnet.apps.activity.answers.follow import Shape, read_frames
from mvnet.apps.activity.answers.recordings import Run
from mvnet.apps.common.errors import UserError
from mvnet.data_loaders.motion import ReadOptions
from mvnet.data_loaders.motion.stand_in import StandIn
from tests.apps.activity.fakes import NAMES, Fake, bodies, standing
from tests.apps.activity.test_compare import trained

SHAPE = Shape(2, (3,), ("hips", "left hand"))
FRAME = np.array([[1, 2, 3], [4, 5, np.nan]])


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3,4,5,\n",
        "# a comment\n\n1, 2, 3, 4, 5, nan\n",
        "time,left hand_x,left.hand.y,Left Hand z,hips_x,hips_y,hips_z\n0.1,4,5,,1,2,3\n",
        "[1, 2, 3, 4, 5, null]",
        "[[1, 2, 3], [4, 5, null]]\n",
        '{"frame": [[1, 2, 3], [4, 5, NaN]]}',
        '{"joints": {"left hand": [4, 5, null], "hips": [1, 2, 3], "tail": [0, 0, 0]}}',
    ],
)
def test_spellings_of_a_frame(text) -> None:
    (found,) = read_frames(io.StringIO(text), SHAPE)
    np.testing.assert_array_equal(found, FRAME)


def test_a_joint_that_is_null_and_signals() -> None:
    (found,) = read_frames(io.StringIO("[[1, 2, 3], null]"), SHAPE)
    assert np.isnan(found[1]).all() and found[0].tolist() == [1, 2, 3]
    rows = list(read_frames(io.StringIO("y,x\n1,2\n3,4\n"), Shape(2, (), ("x", "y"))))
    assert [row.tolist() for row in rows] == [[2, 1], [4, 3]]
    (turn,) = read_frames(io.StringIO("1,0,0,0,1,0,0,0,1"), Shape(1, (3, 3), None))
    np.testing.assert_array_equal(turn, np.eye(3)[None])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n", "line 1: found 3 values, expected 6"),
        ("1,2,3,4,5,6\n1,2,3,4,5\n", "line 2: found 5 values, expected 6"),
        ("1,2,3,4,5,6\n1,2,3,4,5,6,7\n", "line 2: found 7 values, expected 6"),
        ("1,2,3,4,5,6\n1,2,3,4,x,6\n", "line 2: found 'x', expected a number"),
        ("a,b,c\n", "line 1: found no column hips_x, expected 6 as hips_x, hips_y, hips_z"),
        ("[1, 2", "line 1: found no JSON"),
        ("[[1, 2], [3, 4]]", "line 1: found 4 values, expected 6"),
        ("[[1, 2, 3], [4, 5]]", "line 1: found something else than numbers"),
        ('{"hips": [1, 2, 3]}', "line 1: found no left hand"),
        ('{"frame": 3}', "line 1: found something else than numbers"),
        ("[" * 100_000, "line 1: found no JSON"),
        ("1" * (1 << 20), "found a line of more than 1048576 characters"),
    ],
)
def test_lines_that_are_no_frame(text, message) -> None:
    with pytest.raises(UserError, match=message) as raised:
        list(read_frames(io.StringIO(text), SHAPE))
    assert "\n" not in str(raised.value)


@pytest.fixture
def fake_run(monkeypatch) -> Run:
    run = Run(Path("run"), Fake(), {"classes": ["down", "up"], "rate": 2.0}, trained(bodies()))
    monkeypatch.setattr(recordings.Run, "open", classmethod(lambda cls, folder: run))
    return run


def lines(x: np.ndarray) -> str:
    return "".join(json.dumps(np.round(frame, 3).tolist()) + "\n" for frame in x)


def follow_frames(run, monkeypatch, text: str, *more: object) -> Any:
    monkeypatch.setattr(follow.sys, "stdin", io.StringIO(text))
    return run("predict", "activity", "run", "--follow", "-", *more)


def test_an_answer_for_every_window(run, fake_run, monkeypatch) -> None:
    x = np.concatenate([standing(4) + 1, standing(4) - 1, np.full((4, 7, 3), np.nan)])
    text = lines(x).replace("NaN", "null")
    found = follow_frames(run, monkeypatch, text, "--window", 2, "--step", 2, "--json")
    assert found.status == 0, found.err
    told = [json.loads(line) for line in found.out.splitlines()]
    assert [(t["start"], t["stop"], t["class"]) for t in told] == [(0, 2, "up"), (2, 4, "down"), (4, 6, "unknown")]
    assert told[0]["probability"] == 0.9 and told[2]["reason"] == "7 of 7 joints or channels never seen"
    plain = follow_frames(run, monkeypatch, text, "--window", 1, "--step", 4, "--rate", 4, "--quiet")
    assert plain.out.splitlines()[0] == "0 to 1 s  up  0.900" and not plain.err


def test_axes_and_units_of_the_stream(run, fake_run, monkeypatch) -> None:
    y_up = standing(4) @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) * 100
    seen = []
    monkeypatch.setattr(Run, "answer", lambda self, x, parts: seen.append(x) or (Fake and _real(self, x, parts)))
    follow_frames(run, monkeypatch, lines(y_up), "--window", 2, "--up", "y", "--scale", 0.01)
    np.testing.assert_allclose(seen[0], standing(4), atol=1e-4)


_real = Run.answer


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--follow: found no --window"),
        (("--window", 9), "stdin: found 4 frames, expected at least the 18 of one window"),
        (("--window", 2, "--report", "a.html"), "--follow: found files or --report beside it"),
    ],
)
def test_errors_are_one_line(run, fake_run, monkeypatch, words, message) -> None:
    found = follow_frames(run, monkeypatch, lines(standing(4)), *words, "--quiet")
    assert found.status == 2 and message in found.err and found.err.count("\n") == 1


def test_a_source_that_is_no_pipe(run, fake_run) -> None:
    found = run("predict", "activity", "run", "--follow", "file", "--window", 2)
    assert found.status == 2 and "--follow: found 'file', expected -" in found.err


def test_a_run_that_does_not_know_its_joints(run, monkeypatch) -> None:
    old = Run(Path("run"), Fake(), {"classes": ["down", "up"], "rate": 2.0}, recordings.Trained())
    monkeypatch.setattr(recordings.Run, "open", classmethod(lambda cls, folder: old))
    found = follow_frames(run, monkeypatch, "", "--window", 2)
    assert found.status == 2 and "older version" in found.err
    assert len(NAMES) == 7 and StandIn.fit(bodies()).pose.shape == (7, 3) and ReadOptions().up is None
