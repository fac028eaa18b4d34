"""`--network lie`: training, continuing after an interruption, files; the table of elastic distances."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from mvnet.apps.activity.elastic import elastic_table
from mvnet.data_loaders.motion import MotionSet, save_motion
from mvnet.models.activity.lie.training import BodyRun
from tests.apps.activity.test_commands import motion_set


@pytest.fixture(scope="module")
def positions() -> MotionSet:
    return motion_set(9)


@pytest.fixture(scope="module")
def data(positions, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("motions") / "motions.npz"
    save_motion(positions, path)
    return path


@pytest.fixture
def lie(run, data):
    """`mvnet train activity --network lie` of two epochs: lie(out, *more)."""

    def call(out: Path, *more: object):
        words = ["--network", "lie", "--epochs", 2, "--quiet", "--json"]
        words += [] if "--device" in more else ["--device", "cpu"]
        return run("train", "activity", "--data", data, "-o", out, *words, *more)

    return call


def test_elastic_table_tells_near_from_far(positions):
    still = np.repeat(positions.sequences[0][:1], 10, axis=0)
    wave = positions.sequences[0]
    pair = MotionSet(
        (still, wave, still[:5], wave[::-1].copy()[::-1]),
        labels=np.array([0, 1, 0, 1]),
        classes=("still", "wave"),
        parent=positions.parent,
    )
    text = "".join(elastic_table(pair, np.array([0, 1]), np.array([2, 3])))
    assert text.count("<td class=n>0.00</td>") == 2 and text.count("100 %") == 2


def test_train_evaluate_and_predict(lie, run, data, tmp_path):
    out = tmp_path / "run"
    assert lie(out, "--frame", "world").status == 2
    trained = lie(out, "--frame", "torso")
    assert trained.status == 0, trained.err
    summary = json.loads(trained.out)
    assert summary["network"] == "lie" and len(list(out.iterdir())) == 4
    assert json.loads((out / "activity.json").read_text())["architecture"] == "BodyMotionNetwork"
    assert "lie" in (out / "report.html").read_text()
    again = run("evaluate", "activity", out, "--json")
    assert json.loads(again.out)["confusion"] == summary["confusion"], again.err
    found = json.loads(run("predict", "activity", out, data, "--window", "1", "--json").out)["predictions"]
    assert {entry["sequence"] for entry in found} == {str(i) for i in range(9)}
    assert all(1 / 3 <= entry["probability"] <= 1 for entry in found)
    (out / "activity.json").write_text('{"architecture": "LieMotionNetwork"}')
    broken = run("evaluate", "activity", out)
    assert broken.status == 2 and "cannot be loaded" in broken.err


def test_an_interrupted_training_is_resumed(lie, tmp_path, monkeypatch):
    out, objective = tmp_path / "run", BodyRun.objective

    def interrupted(run: BodyRun, model, batch):
        if run.epoch == 1:
            raise KeyboardInterrupt
        return objective(run, model, batch)

    monkeypatch.setattr(BodyRun, "objective", interrupted)
    assert lie(out).status == 130
    monkeypatch.setattr(BodyRun, "objective", objective)
    first, second = sorted(path.name for path in out.iterdir())
    assert first.startswith("activity-checkpoint-") and second == "activity-checkpoint.json"
    for words, message in {(): "--resume", ("--resume", "--optimizer", "sgd"): "optimizer"}.items():
        refused = lie(out, *words)
        assert refused.status == 2 and message in refused.err and refused.err.count("\n") == 1
    assert lie(out, "--resume").status == 0
    assert not list(out.glob("activity-checkpoint*"))
    refused = lie(out, "--resume", "--overwrite")
    assert refused.status == 2 and "no unfinished training" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mirror", "no"), "--mirror: found --network lie, expected --network kernels"),
        (("--optimizer", "magic"), "--optimizer"),
        (("--learning-rate", "-1"), "'--learning-rate': found -1.0, expected"),
        (("--device", "abacus"), "device: found 'abacus'"),
    ],
)
def test_errors_are_one_line(lie, tmp_path, words, message):
    result = lie(tmp_path / "out", *words)
    assert result.status == 2
    assert message in result.err and result.err.count("\n") == 1


def test_signals_and_unknown_skeletons_are_named(run, positions, tmp_path):
    whole = {"labels": positions.labels, "classes": positions.classes, "subjects": positions.subjects}
    sets = {
        "found signals": MotionSet(tuple(s[:, :, 0] for s in positions.sequences), kind="signals", **whole),
        "expected an array `parent`": MotionSet(tuple(s[:, :2] for s in positions.sequences), **whole),
    }
    for number, (message, bad) in enumerate(sets.items()):
        path = tmp_path / f"{number}.npz"
        save_motion(bad, path)
        result = run("train", "activity", "--data", path, "-o", tmp_path / "out", "--network", "lie")
        assert result.status == 2 and message in result.err, result.err
        assert result.err.startswith("mvnet: error: --network lie") and result.err.count("\n") == 1
