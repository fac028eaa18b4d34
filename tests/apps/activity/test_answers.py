"""One run of the command line, and what it says: notes, tables, joints, intervals, classes that it does not know."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from mvnet.apps import main
from mvnet.apps.activity import models as activity_models
from mvnet.data_loaders.motion import MotionSet, save_motion
from tests.apps.activity.test_commands import motion_set

JOINTS = tuple(f"joint {k}" for k in range(40))


@pytest.fixture(scope="module")
def motions() -> MotionSet:
    """18 recordings with names of joints, no tree, a joint that one recording never shows, and one that is empty."""
    whole = motion_set()
    hidden = whole.sequences[7].copy()
    hidden[:, 2] = np.nan
    sequences = (*whole.sequences[:7], hidden, np.full_like(hidden, np.nan), *whole.sequences[9:])
    return replace(whole, sequences=sequences, joints=JOINTS[: whole.width], parent=None)


@pytest.fixture(scope="module")
def trained(motions, tmp_path_factory) -> Path:
    """Folder of the data and of its run."""
    folder = tmp_path_factory.mktemp("answers")
    save_motion(motions, folder / "data.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activity_models, "FILTERS", 84)
        words = ["train", "activity", "--data", folder / "data.npz", "-o", folder / "run", "--quiet", "--mirror", "no"]
        assert main.run([str(word) for word in words]) == 0
    return folder


def test_what_was_decided_is_on_the_page_in_the_metrics_and_in_the_card(trained) -> None:
    notes = json.loads((trained / "run/activity.json").read_text())["notes"]
    assert notes == json.loads((trained / "run/metrics.json").read_text())["notes"]
    text, page = "\n".join(notes), (trained / "run/report.html").read_text()
    assert "left out 8: no value in any frame" in text and "joint 2 is never seen in 7" in text
    assert "no tree in the file" in text and "split cross-subject" in text
    assert all(note in page for note in notes) and "<canvas" in page and "no names" not in page


def test_notes_and_the_table_are_on_stderr(run, trained) -> None:
    told = run("evaluate", "activity", trained / "run")
    assert told.status == 0 and "note: left out 8: no value in any frame" in told.err
    assert "recordings" in told.err and "joint 0, joint 1" in told.err
    assert not run("evaluate", "activity", trained / "run", "--quiet").err
    as_json = run("evaluate", "activity", trained / "run", "--json")
    assert "recordings" not in as_json.err and "note: " in as_json.err
    summary = json.loads(as_json.out)
    assert summary["read"]["joints"] == len(summary["read"]["names"]) and summary["notes"]


def test_joints_in_another_order(run, motions, trained, tmp_path) -> None:
    order = np.random.default_rng(0).permutation(motions.width)
    names = tuple(JOINTS[k] for k in order)
    other = replace(motions, sequences=tuple(s[:, order] for s in motions.sequences), joints=names)
    one = replace(motions.take([3]), labels=None, classes=())
    save_motion(replace(other.take([3]), labels=None, classes=()), tmp_path / "other.npz")
    save_motion(one, tmp_path / "same.npz")
    told = run("predict", "activity", trained / "run", tmp_path / "other.npz", tmp_path / "same.npz", "--json")
    first, second = json.loads(told.out)["predictions"]
    assert first["probability"] == second["probability"] and first["class"] == second["class"]
    assert "in the order of the run, by name" in told.err
    save_motion(replace(one, joints=tuple(f"marker {k}" for k in range(one.width))), tmp_path / "else.npz")
    refused = run("predict", "activity", trained / "run", tmp_path / "else.npz")
    assert refused.status == 2 and "found no joints joint 0" in refused.err and refused.err.count("\n") == 1
    rest = run("predict", "activity", trained / "run", tmp_path / "else.npz", tmp_path / "same.npz", "--json")
    assert len(json.loads(rest.out)["predictions"]) == 1 and "left out" in rest.err


def test_windows_become_intervals_and_a_page(run, motions, trained, tmp_path) -> None:
    long = np.concatenate([motions.sequences[0], np.full_like(motions.sequences[0], np.nan), motions.sequences[2]])
    save_motion(MotionSet([long], joints=motions.joints, rate=5.0), tmp_path / "long.npz")
    words = ("predict", "activity", trained / "run", tmp_path / "long.npz", "--window", 1, "--report")
    told = run(*words, tmp_path / "found.html", "--json")
    assert told.status == 0, told.err
    summary = json.loads(told.out)
    spans = summary["intervals"]
    assert all(one["stop"] <= two["start"] + 1e-9 for one, two in pairwise(spans))
    assert spans[0]["start"] == 0 and spans[-1]["stop"] == pytest.approx(len(long) / 5)
    assert "unknown" in {entry["class"] for entry in spans} and len(summary["predictions"]) >= len(spans)
    page = (tmp_path / "found.html").read_text()
    assert "<canvas" in page and "unknown" in page and "http" not in page.replace("http-equiv", "")
    refused = run(*words, tmp_path / "found.html")
    assert refused.status == 2 and "--overwrite" in refused.err
    lines = run("predict", "activity", trained / "run", tmp_path / "long.npz", "--window", 1, "--quiet").out
    assert len(lines.splitlines()) == len(spans)


def test_other_classes_of_other_data(run, motions, trained, tmp_path) -> None:
    """One class of the run is absent, one is new: matched by name."""
    part = motions.take([0, 2, 3, 5, 6])
    save_motion(replace(part, labels=np.array([0, 1, 0, 1, 0]), classes=("jump", "foot")), tmp_path / "new.npz")
    told = run("evaluate", "activity", trained / "run", "--data", tmp_path / "new.npz", "--json")
    assert told.status == 0, told.err
    summary = json.loads(told.out)
    assert summary["test"] == 2 and summary["unknown"]["untrained"]["jump"]["sequences"] == 3
    assert "not trained on count as unknown: jump" in told.err
    assert "jump (not trained)" in run("evaluate", "activity", trained / "run", "--data", tmp_path / "new.npz").out


def test_options_of_the_training_are_used_again(run, motions, tmp_path, monkeypatch) -> None:
    """`--up y` in the training is that of the prediction, unless it says otherwise."""
    monkeypatch.setattr(activity_models, "FILTERS", 84)
    data = save_motion(replace(motions, rate=None), tmp_path / "data.npz")
    words = ("--data", data, "-o", tmp_path / "run", "--mirror", "no", "--up", "y", "--rate", 8, "--quiet")
    assert run("train", "activity", *words).status == 0
    card = json.loads((tmp_path / "run/activity.json").read_text())
    assert card["motions"]["options"] == {"up": "y", "rate": 8.0} and card["rate"] == 8
    again = run("predict", "activity", tmp_path / "run", data, "--json")
    assert "up: y (as asked)" in again.err
    other = run("predict", "activity", tmp_path / "run", data, "--up", "z", "--json")
    assert "up: z (as asked)" in other.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--up", "w"), "up: found 'w', expected one of x, y, z"),
        (("--scale", "0"), "scale: found 0.0, expected a number above 0"),
        (("--gyroscope", "a,b"), "--gyroscope: found 'a,b'"),
        (("--value", "rotations"), "value: found positions"),
        (("--split", "folds:1"), "split: found 1 folds"),
    ],
)
def test_errors_are_one_line(run, trained, tmp_path, words, message) -> None:
    told = run("train", "activity", "--data", trained / "data.npz", "-o", tmp_path / "out", *words)
    assert told.status == 2 and message in told.err and told.err.count("\n") == 1, told.err


def test_no_files_to_predict(run, trained) -> None:
    assert "expected recordings, or --follow -" in run("predict", "activity", trained / "run").err


def test_the_format_of_the_training_is_that_of_the_prediction(run, tmp_path, monkeypatch) -> None:
    """Quaternions without names, which only the command line can tell, as rotations."""
    monkeypatch.setattr(activity_models, "FILTERS", 84)
    time = np.linspace(0, 1, 12)
    for label, axis in enumerate(np.eye(3)[:2]):
        for subject in (1, 2, 3, 4):
            angle = (0.8 + 0.1 * subject) * np.sin(np.pi * time)[:, None]
            rows = np.concatenate((np.sin(angle / 2) * axis, np.cos(angle / 2)), 1)
            path = tmp_path / f"data/{'ab'[label]}/s0{subject}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savetxt(path, rows, delimiter=",", fmt="%.6f")
    words = ("train", "activity", "--data", tmp_path / "data", "-o", tmp_path / "run", "--split", "half", "--quiet")
    refused = run(*words, "--format", "quaternions")
    assert refused.status == 2 and "order: wxyz or xyzw" in refused.err
    assert run(*words, "--format", "quaternions", "--order", "xyzw", "--json").status == 0
    told = run("predict", "activity", tmp_path / "run", tmp_path / "data/b/s02.csv", "--json")
    assert json.loads(told.out)["predictions"][0]["nearest"] == "b" and "quaternions xyzw" in told.err
