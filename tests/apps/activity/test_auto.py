"""`--network auto`: what is chosen, stored, read back and exported; `mvnet export RUN`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("sklearn")

from mvnet.apps.activity import models as activity_models
from mvnet.data_loaders.motion import MotionSet, save_motion
from mvnet.models.activity import ensemble, kernel_bank
from mvnet.models.activity.programs import plain_classifier
from tests.apps.activity.test_commands import motion_set


@pytest.fixture(autouse=True)
def few_filters(monkeypatch):
    monkeypatch.setattr(activity_models, "FILTERS", 84)
    monkeypatch.setattr(kernel_bank, "ELASTIC_SAMPLES", 6)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("motions") / "motions.npz"
    save_motion(motion_set(9), path)
    return path


AUTO = ("--network", "auto", "--epochs", 1, "--device", "cpu", "--quiet", "--json")


@pytest.mark.parametrize("name", ["kernels", "lie", "ensemble"])
def test_what_is_chosen_is_stored_and_read_back(run, data, tmp_path, monkeypatch, name):
    accuracy, loss = {"kernels": 0.8, "lie": 0.7, "ensemble": 0.9}, {"kernels": 0.5, "lie": 0.6, "ensemble": 0.4}
    choice = ensemble.Choice(name, accuracy, loss, f"chosen: {name}")
    monkeypatch.setattr(ensemble, "choose", lambda motions, fits: choice)
    out = tmp_path / "run"
    trained = run("train", "activity", "--data", data, "-o", out, *AUTO)
    assert trained.status == 0, trained.err
    summary = json.loads(trained.out)
    assert summary["choice"]["name"] == name and f"chosen: {name}" in summary["notes"]
    card = json.loads((out / "activity.json").read_text())
    kinds = {"kernels": "MotionClassifier", "lie": "BodyMotionNetwork", "ensemble": "MotionEnsemble"}
    assert card["architecture"] == kinds[name] and card["network"] == "auto"
    assert sorted(path.name for path in out.iterdir()) == sorted(activity_files())
    again = run("evaluate", "activity", out, "--json")
    assert json.loads(again.out)["confusion"] == summary["confusion"], again.err
    found = json.loads(run("predict", "activity", out, data, "--json").out)["predictions"]
    assert all(1 / 3 <= entry["probability"] <= 1 for entry in found)
    if name == "ensemble":  # of both parts
        check_program(run, out, tmp_path)


def check_program(run, out: Path, tmp_path: Path) -> None:
    """`mvnet export` of the run."""
    program = tmp_path / "model.pt2"
    exported = run("export", out, "-o", program, "--quiet", "--json")
    assert exported.status == 0, exported.err
    about = json.loads((tmp_path / "model.json").read_text())
    assert about["difference"] <= 1e-5 and about["classes"] == ["left", "right", "foot"]
    assert about["architecture"] == "MotionEnsemble" and about["preparation"].startswith("mvnet.")
    classifier, _ = activity_models.load(out)
    sequence = motion_set(3).sequences[0]
    probabilities, _ = torch.export.load(program).module()(*plain_classifier(classifier).prepare(sequence))
    np.testing.assert_allclose(probabilities, classifier.predict_proba([sequence]), atol=1e-5)
    refused = run("export", out, "-o", program, "--size", 32, "--overwrite")
    assert refused.status == 2 and "--size: found 32, expected none" in refused.err


def activity_files() -> list[str]:
    return ["activity.json", "activity.safetensors", "metrics.json", "report.html"]


def test_every_split_says_what_it_chose(run, data):
    found = run("crossval", "activity", "--data", data, "--split", "half", *AUTO)
    assert found.status == 0, found.err
    summary = json.loads(found.out)
    choice = summary["splits"][0]["settings"]["choice"]
    assert set(choice["accuracy"]) == {"kernels", "lie", "ensemble"} and choice["name"] in choice["accuracy"]
    assert any(choice["note"] in note for note in summary["notes"])


def test_kernels_are_taken_where_the_network_cannot_be(run, tmp_path):
    known, path = motion_set(9), tmp_path / "signals.npz"
    whole = {"labels": known.labels, "classes": known.classes, "subjects": known.subjects}
    save_motion(MotionSet(tuple(s[:, :, 2] for s in known.sequences), kind="signals", **whole), path)
    trained = run("train", "activity", "--data", path, "-o", tmp_path / "run", *AUTO)
    assert trained.status == 0, trained.err
    choice = json.loads(trained.out)["choice"]
    assert choice["name"] == "kernels" and "found signals" in choice["note"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--resume",), "--resume: found --network auto, expected --network lie"),
        (("--frame", "world"), "--frame: found 'world'"),
    ],
)
def test_errors_are_one_line(run, data, tmp_path, words, message):
    result = run("train", "activity", "--data", data, "-o", tmp_path / "run", "--network", "auto", *words)
    assert result.status == 2 and message in result.err and result.err.count("\n") == 1


def test_a_folder_that_is_no_run_is_one_line(run, tmp_path):
    result = run("export", tmp_path, "-o", tmp_path / "model.pt2")
    assert result.status == 2 and "mvnet train activity" in result.err and result.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
