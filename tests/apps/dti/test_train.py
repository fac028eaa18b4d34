"""The training loop: a run that was interrupted and resumed gives what an uninterrupted one gives."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from mvnet.training.run import Run, Schedule, train

SCHEDULE = Schedule(steps=12, batch=2, rate=1e-2, warm_up=3, checkpoint_every=5, workers=0)


class Line(Dataset):
    """Points of y = 2 x - 1 with seeded noise."""

    def __init__(self, stop_at: int | None = None):
        self.stop_at = stop_at

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int):
        if self.stop_at is not None and index >= self.stop_at:
            raise KeyboardInterrupt
        random = torch.Generator().manual_seed(index)
        x = torch.randn(3, generator=random)
        return x, 2 * x - 1 + 0.01 * torch.randn(3, generator=random)


def objective(model, batch):
    x, y = batch
    loss = (model(x.unsqueeze(-1))[..., 0] - y).square().mean()
    return loss, {"loss": float(loss.detach())}


def new_run(folder: Path, schedule: Schedule = SCHEDULE) -> Run:
    torch.manual_seed(0)
    return Run(folder, nn.Linear(1, 1), schedule)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = train(new_run(tmp_path / "whole"), objective, Line(), quiet=True)
    with pytest.raises(KeyboardInterrupt):
        train(new_run(tmp_path / "cut"), objective, Line(stop_at=15), quiet=True)
    resumed = new_run(tmp_path / "cut")
    assert resumed.step == 5
    again = train(resumed, objective, Line(), quiet=True)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)


def test_a_run_keeps_one_checkpoint_and_a_log(tmp_path):
    train(new_run(tmp_path), objective, Line(), quiet=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint-12.safetensors",
        "checkpoint.json",
        "log.jsonl",
    ]
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [5, 10, 12]


def test_another_schedule_does_not_resume(tmp_path):
    train(new_run(tmp_path), objective, Line(), quiet=True)
    with pytest.raises(ValueError, match=r"schedule: found steps 99 \(was 12\)"):
        new_run(tmp_path, replace(SCHEDULE, steps=99))


def test_another_network_does_not_resume(tmp_path):
    train(new_run(tmp_path), objective, Line(), quiet=True)
    with pytest.raises(ValueError, match="another size"):
        Run(tmp_path, nn.Linear(2, 1), SCHEDULE)


def test_a_step_without_a_finite_gradient_changes_nothing(tmp_path):
    run = new_run(tmp_path)
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    figures = run.update(objective, (torch.full((2, 3), torch.nan), torch.zeros(2, 3)))
    assert figures["skipped"] == 1
    for name, value in run.model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--simulated", 0], "training data: found none"),
        (["--simulated", -1], "--simulated"),
        (["--dwi", "DWI"], "--dwi: found no --bval and --bvec with it, expected both"),
        (["--dwi", "DWI", "--bval", "x.bval", "--bvec", "BVEC"], "x.bval"),
        (["--exclude", "3-5"], "'3-5', expected START:STOP"),
        (["--exclude", "9:2"], "'9:2', expected START:STOP"),
        (["--dwi", "DWI", "--bval", "BVAL", "--bvec", "BVEC", "--exclude", "2:9", "--patch", 4], "patch: found 4"),
        (["--simulated", 1, "--patch", 49], "patch: found 49, expected 1 to 48"),
        (["--device", "abacus"], "'abacus'"),
        (["--steps", 0], "--steps"),
        (["--rate", "nan"], "'--rate': found nan, expected"),
        (["--seed", -1], "--seed"),
        (["--seed", 2**23], "--seed"),
    ],
)
def test_bad_options_of_train_are_one_line_and_leave_nothing(arguments, words, scan, run, tmp_path):
    files = {"DWI": scan.dwi, "BVAL": scan.bval, "BVEC": scan.bvec}
    defaults = ["--simulated", 0, "--workers", 0]
    status, out, err = run("train", "dti", "-o", tmp_path / "run", *defaults, *(files.get(a, a) for a in arguments))
    assert status == 2 and out == "" and err.count("\n") == 1 and err.startswith("mvnet: error: ") and words in err
    assert list(tmp_path.iterdir()) == []
