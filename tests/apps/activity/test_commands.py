"""`mvnet train|evaluate|crossval|predict activity` on a small set of simulated motions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

from mvnet.apps.activity import models as activity_models
from mvnet.data_loaders.motion import MotionSet, save_motion
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.serialization import save_classifier
from tests.models.activity.test_classifier import motions
from tests.models.activity.test_kernels import PARENT


def motion_set(count: int = 18) -> MotionSet:
    """Recordings of 3 classes by 3 subjects."""
    sequences, labels, subjects = motions(count)
    return MotionSet(
        tuple(sequences),
        labels=labels,
        classes=("left", "right", "foot"),
        subjects=subjects,
        parent=PARENT.numpy(),
        rate=5.0,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("motions") / "motions.npz"
    save_motion(motion_set(), path)
    return path


@pytest.fixture(autouse=True)
def few_filters(monkeypatch):
    monkeypatch.setattr(activity_models, "FILTERS", 250)


def test_train_evaluate_and_predict(run, data, tmp_path):
    out = tmp_path / "run"
    trained = run("train", "activity", "--data", data, "-o", out, "--mirror", "no", "--quiet", "--json")
    assert trained.status == 0, trained.err
    summary = json.loads(trained.out)
    assert summary["accuracy"] == 1.0
    page = (out / "report.html").read_text()
    assert "Confusion matrix" in page and "Elastic distances" in page
    again = json.loads(run("evaluate", "activity", out, "--json").out)
    assert again["confusion"] == summary["confusion"]
    found = run("predict", "activity", out, data, "--window", "1", "--json")
    spans = [entry for entry in json.loads(found.out)["predictions"] if entry["sequence"] == "0"]
    assert spans[0]["start"] == 0 and spans[-1]["stop"] == pytest.approx(2.0)
    assert {entry["class"] for entry in spans} <= {"left", "right", "foot", "unknown"}
    refused = run("train", "activity", "--data", data, "-o", out)
    assert refused.status == 2 and "--overwrite" in refused.err and refused.err.count("\n") == 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a run that was trained and saved as the command does it."""
    folder, part = tmp_path_factory.mktemp("trained"), motion_set()
    classifier = MotionClassifier(part.parent, mirror=False, filters=84)
    classifier.fit(list(part.sequences), part.require_labels(), part.subjects)
    card = {"data": "", "format": None, "only_classes": None, "classes": list(part.classes), "test_sequences": [0, 17]}
    save_classifier(folder / "activity", classifier, {**card, "rate": 5.0})
    return folder


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("data", 3), ("format", []), ("only_classes", ...), ("classes", "ab"), ("classes", ["left"]),
        ("classes", [1, 2, 3]), ("labels", ["a", "b", "c"]), ("labels", [-1, 0, 1]), ("test_sequences", [0, "x"]),
        ("test_sequences", None), ("rate", "fast"), ("test_sequences", [0, 99]),
    ],
)  # fmt: skip
def test_a_card_that_no_training_wrote_is_one_line(run, data, trained, tmp_path, entry, value):
    for file in trained.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    card = {**json.loads((tmp_path / "activity.json").read_text()), "data": str(data), entry: value}
    if value is ...:
        del card[entry]
    (tmp_path / "activity.json").write_text(json.dumps(card))
    result = run("evaluate", "activity", tmp_path)
    assert result.status == 2 and result.err.count("\n") == 1
    assert entry.replace("labels", "label") in result.err or "sequences" in result.err


def test_crossval_tells_every_split(run, data):
    result = run("crossval", "activity", "--data", data, "--mirror", "no", "--json", "--quiet")
    assert result.status == 0, result.err
    told = json.loads(result.out)
    assert len(told["splits"]) == 3
    assert told["mean"] == pytest.approx(np.mean([s["accuracy"] for s in told["splits"]]))
    assert told["mean"] > 0.9


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("crossval", "activity", "--data", "nowhere.npz"), "nowhere.npz"),
        (("crossval", "activity", "--data", "DATA", "--mirror", "perhaps"), "--mirror"),
        (("crossval", "activity", "--data", "DATA", "--classes", "left,hat"), "classes"),
        (("train", "activity", "--data", "DATA", "-o", "OUT", "--split", "half:7"), "--split"),
        (("evaluate", "activity", "nowhere"), "nowhere"),
        (("predict", "activity", "nowhere", "DATA", "--window", "inf"), "--window: found inf"),
        (
            ("crossval", "activity", "--data", "DATA", "--learning-rate", "0.1"),
            "--learning-rate: found --network kernels",
        ),
        (("train", "activity", "--data", "DATA", "-o", "OUT", "--network", "magic"), "--network"),
        (
            ("train", "activity", "--data", "DATA", "-o", "OUT", "--epochs", "3"),
            "--epochs: found --network kernels, expected --network lie",
        ),
        (("train", "activity", "--data", "DATA", "-o", "OUT", "--device", "cpu", "--resume"), "--device, --resume"),
    ],
)
def test_errors_are_one_line(run, data, tmp_path, words, message):
    replaced = {"DATA": data, "OUT": tmp_path / "out"}
    result = run(*(replaced.get(word, word) for word in words))
    assert result.status == 2
    assert message in result.err and result.err.count("\n") == 1
