"""Layers on rotations, the network built of them, and its training."""

from __future__ import annotations

import math

import pytest
import torch

from mvnet.linalg import so3
from mvnet.manifolds.rotations import Rotations
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.activity.training import CHECKPOINT, MotionSchedule, augment, train_motion_network
from mvnet.models.checkpoint import load_checkpoint, save_checkpoint
from mvnet.nn.rotations import LogMap, RotationFlow, RotationMapping, RotationMixing, RotationPooling
from mvnet.optim import OPTIMIZERS
from mvnet.training import Run

JOINTS = 4


def _flow() -> RotationFlow:
    flow = RotationFlow(JOINTS)
    torch.nn.init.normal_(flow.constant, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(flow.slope, generator=torch.Generator().manual_seed(2))
    return flow


LAYERS = {
    "mapping": lambda: RotationMapping(JOINTS, spread=1.0, generator=torch.Generator().manual_seed(0)),
    "mixing": lambda: RotationMixing(JOINTS, own=0.5),
    "pooling": lambda: RotationPooling(3),
    "flow": _flow,
}


@pytest.fixture
def curves(generator) -> torch.Tensor:
    """(2, 7, JOINTS, 3, 3) float64, angles between neighbours below a quarter turn."""
    return so3.exp(torch.randn(2, 7, JOINTS, 3, generator=generator, dtype=torch.float64) / 4)


@pytest.mark.parametrize("name", LAYERS)
def test_rotations_stay_rotations_and_turn_with_the_world(name, curves, generator):
    layer = LAYERS[name]().double()
    g = Rotations().random_point((), generator=generator, dtype=torch.float64)
    out = layer(curves)
    assert float(Rotations().violation(out.detach()).max()) < 1e-12
    torch.testing.assert_close(layer(g @ curves), g @ out, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_finite_at_equal_rotations(name):
    layer = LAYERS[name]().double()
    r = torch.eye(3, dtype=torch.float64).expand(1, 6, JOINTS, 3, 3).clone().requires_grad_()
    so3.log(layer(r)).square().sum().backward()
    assert r.grad is not None and bool(r.grad.isfinite().all())


def test_mapping_stays_on_the_group_under_an_optimiser_and_learns_a_rotation(curves, generator):
    wanted = Rotations().random_point((JOINTS,), generator=generator, dtype=torch.float64)
    layer = RotationMapping(JOINTS).double()
    optimiser = torch.optim.Adam(layer.parameters(), 0.1)
    for _ in range(100):
        optimiser.zero_grad()
        loss = (layer(curves) - curves @ wanted).square().mean()
        loss.backward()
        optimiser.step()
    assert float(Rotations().violation(layer.weight.detach()).max()) < 1e-12
    assert float(loss.detach()) < 1e-4


def test_gradient_of_the_mapping_at_identity_is_riemannian(curves):
    layer = RotationMapping(JOINTS, side="left", spread=0.0).double()
    target = torch.randn(JOINTS, 3, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (layer.weight * target).sum().backward()
    identity = torch.eye(3, dtype=torch.float64).expand(JOINTS, 3, 3)
    expected = Rotations().axis_vector(identity, Rotations().riemannian_gradient(identity, target))
    torch.testing.assert_close(layer.axis.grad, expected)


def test_pooling_by_angle_takes_the_largest(curves):
    out = RotationPooling(7, kind="angle")(curves)
    angles = so3.log(curves).norm(dim=-1)
    torch.testing.assert_close(so3.log(out).norm(dim=-1)[:, 0], angles.amax(1))


def test_relative_log_map_is_invariant_and_bounded(curves, generator):
    layer = LogMap(torch.tensor([3, 0, 1, 2]))
    g = Rotations().random_point((), generator=generator, dtype=torch.float64)
    torch.testing.assert_close(layer(g @ curves), layer(curves))
    assert float(LogMap()(g @ curves).norm(dim=-1).max()) <= math.pi + 1e-9


@pytest.mark.parametrize("make", [lambda: RotationMapping(2, side="up"), lambda: RotationPooling(2, kind="max")])
def test_unknown_kinds_are_named(make):
    with pytest.raises(ValueError, match="expected"):
        make()


def test_network_does_not_see_a_rotation_of_the_world(curves, generator):
    model = LieMotionNetwork(JOINTS, 3, width=8).double().eval()
    g = Rotations().random_point((), generator=generator, dtype=torch.float64)
    torch.testing.assert_close(model(g @ curves), model(curves), rtol=0, atol=1e-8)


def test_augmented_curves_are_rotations_and_keep_both_ends(curves, generator):
    out = augment(curves, 0.5, 0.0, generator)
    assert float(Rotations().violation(out.detach()).max()) < 1e-12
    torch.testing.assert_close(out[:, [0, -1]], curves[:, [0, -1]])


def _toy(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Curves (n, 16, 2, 3, 3): the second joint swings about x or about z of the first; the world is any."""
    labels = torch.arange(n) % 2
    swing = torch.sin(torch.linspace(0, 2 * math.pi, 16)) * (1 + 0.3 * torch.rand(n, 1, generator=generator))
    axis = torch.eye(3)[2 * labels]
    second = so3.exp(swing.unsqueeze(-1) * axis.unsqueeze(1))
    world = Rotations().random_point((n, 1, 1), generator=generator, dtype=torch.float32)
    return world @ torch.stack((torch.eye(3).expand_as(second), second), 2), labels, torch.arange(n) % 4


def test_training_learns_and_is_reproducible(generator):
    r, labels, groups = _toy(24, generator)
    scores = []
    for _ in range(2):
        model = LieMotionNetwork(2, 2, width=8, dilations=(1,), dropout=0.0)
        found = train_motion_network(model, r, labels, groups, MotionSchedule(epochs=10, rate=1e-2))
        scores.append(model(r).detach())
    assert found["inner_accuracy"] == 1.0
    assert bool((scores[0].argmax(-1) == labels).all())
    torch.testing.assert_close(scores[0], scores[1])


def _stop_at(epoch: int):
    def progress(done: int, total: int) -> None:
        if done == epoch:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_resumed_training_equals_an_uninterrupted_one(optimizer, tmp_path, generator):
    curves, schedule = _toy(12, generator), MotionSchedule(epochs=4, batch=6, optimizer=optimizer)
    whole, cut, resumed = (LieMotionNetwork(2, 2, width=8, dilations=(1,)) for _ in range(3))
    expected = train_motion_network(whole, *curves, schedule)
    with pytest.raises(KeyboardInterrupt):
        train_motion_network(cut, *curves, schedule, _stop_at(2), tmp_path)
    assert train_motion_network(resumed, *curves, schedule, folder=tmp_path) == expected
    torch.testing.assert_close(dict(resumed.state_dict()), dict(whole.state_dict()), rtol=0, atol=0)


def test_another_training_does_not_resume(tmp_path, generator):
    r, labels, groups = _toy(6, generator)
    model = LieMotionNetwork(2, 2, width=8, dilations=(1,))
    train_motion_network(model, r, labels, groups, MotionSchedule(epochs=1), folder=tmp_path)
    train_motion_network(model, r, labels, groups, MotionSchedule(epochs=2), folder=tmp_path)  # longer is the same
    for name, other in {"rate": MotionSchedule(rate=1.0), "optimizer": MotionSchedule(optimizer="sgd")}.items():
        with pytest.raises(ValueError, match=f"schedule: found .*{name} .*, to resume it"):
            train_motion_network(model, r, labels, groups, other, folder=tmp_path)
    with pytest.raises(ValueError, match=r"schedule: found curves .*, to resume it"):
        train_motion_network(model, r.flip(1), labels, groups, MotionSchedule(), folder=tmp_path)
    (tmp_path / "activity-checkpoint.json").write_text("{")
    with pytest.raises(ValueError, match=r"resume: .* cannot be read"):
        train_motion_network(model, r, labels, groups, MotionSchedule(), folder=tmp_path)
    Run.drop(tmp_path, CHECKPOINT)
    assert not list(tmp_path.iterdir())


def test_checkpoint_gives_the_same_network(curves, tmp_path):
    model = LieMotionNetwork(JOINTS, 3, parent=[-1, 0, 0, 2], width=8).eval()
    save_checkpoint(tmp_path / "activity", model, {})
    again, card = load_checkpoint(tmp_path / "activity")
    assert card["architecture"] == "LieMotionNetwork"
    torch.testing.assert_close(again(curves.float()), model(curves.float()))


def test_unknown_optimizer_is_named(generator):
    r, labels, groups = _toy(4, generator)
    with pytest.raises(ValueError, match="optimizer"):
        train_motion_network(LieMotionNetwork(2, 2), r, labels, groups, MotionSchedule(optimizer="magic"))
