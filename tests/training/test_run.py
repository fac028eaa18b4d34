"""The training loop: a run that was interrupted and resumed gives what an uninterrupted one gives."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from mvnet.errors import MvnetError
from mvnet.manifolds import ManifoldParameter, Rotations
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.activity.training import MotionSchedule, train_motion_network
from mvnet.optim import OPTIMIZERS
from mvnet.training import Monitor, Run, Schedule, batches_of, train
from mvnet.training.schedule import DECAYS
from mvnet.training.state import optimizer_state, restore_optimizer
from tests.models.activity.test_network import _toy as toy_motions

VERSION_0_1_0 = Path(__file__).parent / "version_0_1_0"

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


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_resumes(optimizer, tmp_path):
    """Whatever state it has goes through the checkpoint: tensors and numbers, by its own names."""
    schedule = replace(SCHEDULE, optimizer=optimizer)
    whole = train(new_run(tmp_path / "whole", schedule), objective, Line(), quiet=True)
    with pytest.raises(KeyboardInterrupt):
        train(new_run(tmp_path / "cut", schedule), objective, Line(stop_at=15), quiet=True)
    again = train(new_run(tmp_path / "cut", schedule), objective, Line(), quiet=True)
    torch.testing.assert_close(dict(again.state_dict()), dict(whole.state_dict()), rtol=0, atol=0)


def test_averages_of_manifold_parameters_stay_on_the_manifold():
    class Turn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rotation = ManifoldParameter(torch.eye(3), Rotations())

    schedule = replace(SCHEDULE, optimizer="riemannian-adam", rate=0.3, average=0.9)
    model = Turn()
    run = Run(None, model, schedule)
    target = Rotations().random_point((), generator=torch.Generator().manual_seed(0))
    for _ in run.steps(lambda _, batch: ((model.rotation - target).square().sum(), {}), [None] * 12):
        assert float(Rotations().violation(run.average["rotation"])) < 1e-5
    run.finish()
    assert float(Rotations().dist(model.rotation.detach(), target)) < float(Rotations().dist(torch.eye(3), target))


def test_an_unknown_optimizer_is_named(tmp_path):
    with pytest.raises(MvnetError, match="optimizer: found 'magic', expected one of adamw, adam, sgd"):
        new_run(tmp_path, replace(SCHEDULE, optimizer="magic"))


def test_numbers_in_the_state_of_an_optimizer_survive():
    """Optimisers keep numbers beside tensors; L-BFGS is one of torch's own that does."""
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.LBFGS([weight], max_iter=1)

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    tensors, numbers = optimizer_state(optimizer)
    assert any(isinstance(value, int) for value in numbers.values())
    again = torch.optim.LBFGS([weight], max_iter=1)
    restore_optimizer(again, tensors, json.loads(json.dumps({k: v for k, v in numbers.items() if v is not None})))
    assert optimizer_state(again)[0].keys() == tensors.keys()


def test_a_monitor_ends_the_run_with_the_best_weights():
    scores = iter([1.0, 3.0, 2.0, 2.5, 9.0])
    monitor = Monitor(lambda model: (next(scores),), every=2, patience=2, keep_best=True)
    torch.manual_seed(0)
    run = Run(None, nn.Linear(1, 1), replace(SCHEDULE, steps=100), monitor=monitor)
    weights = {}
    for _ in run.steps(objective, batches_of(Line(), SCHEDULE, 0)):
        weights[run.step] = run.model.weight.item()  # pyright: ignore[reportCallIssue]
    assert run.step == 8 and monitor.best == (3.0,) and monitor.best_step == 4
    assert run.finish().weight.item() == weights[4]  # pyright: ignore[reportCallIssue]


def test_a_monitor_lowers_the_rate():
    monitor = Monitor(lambda model: (0.0,), every=1, patience=2, factor=0.1)
    run = Run(None, nn.Linear(1, 1), replace(SCHEDULE, steps=7), monitor=monitor)
    list(run.steps(objective, batches_of(Line(), SCHEDULE, 0)))
    assert [rate for _, _, rate in monitor.history] == pytest.approx([1e-2] * 3 + [1e-3] * 2 + [1e-4] * 2)


@pytest.mark.parametrize("decay", DECAYS)
def test_the_rate_rises_and_falls(decay):
    schedule = replace(SCHEDULE, decay=decay, warm_up=4, steps=100)
    rates = [schedule.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(schedule.rate / 4, rel=1e-3) and max(rates) <= schedule.rate
    falling = rates[4:]
    assert falling == sorted(falling, reverse=True)


# ---- run folders that version 0.1.0 left unfinished, and how it ended them ----


def expected() -> dict:
    return json.loads((VERSION_0_1_0 / "expected.json").read_text())


def test_a_run_of_version_0_1_0_resumes(tmp_path):
    shutil.copytree(VERSION_0_1_0 / "line", tmp_path / "line")
    run = new_run(tmp_path / "line")
    assert run.step == 5
    found = {k: v.tolist() for k, v in train(run, objective, Line(), quiet=True).state_dict().items()}
    assert found == expected()["line"]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_motion_training_of_version_0_1_0_resumes(optimizer, tmp_path, generator):
    folder = tmp_path / "motion"
    shutil.copytree(VERSION_0_1_0 / f"motion-{optimizer}", folder)
    curves, model = toy_motions(12, generator), LieMotionNetwork(2, 2, width=4, dilations=(1,))
    schedule = MotionSchedule(epochs=4, batch=6, optimizer=optimizer)
    epochs = []
    found = train_motion_network(model, *curves, schedule, lambda done, total: epochs.append(done), folder)
    before = expected()[f"motion-{optimizer}"]
    assert epochs == [2, 3, 4] and found == before["result"]
    torch.testing.assert_close(model(curves[0]), torch.tensor(before["scores"]), rtol=1e-5, atol=1e-6)


def test_figures_go_to_whoever_watches(tmp_path):
    seen = []
    train(new_run(tmp_path), objective, Line(), quiet=True, watch=lambda step, figures: seen.append((step, *figures)))
    assert [entry[0] for entry in seen] == [5, 10, 12]
    assert all("loss" in entry for entry in seen)
