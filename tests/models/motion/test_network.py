"""The denoiser of motions: its symmetries, its objective, its training, and its checkpoint."""

import pytest
import torch
from torch.utils.data import default_collate

from mvnet.data_loaders.motion.training.dataset import MotionTrainingSet
from mvnet.errors import MvnetError
from mvnet.models.checkpoint import load_checkpoint, save_checkpoint
from mvnet.models.motion import loss
from mvnet.models.motion.curves import PositionCurves, RotationCurves
from mvnet.models.motion.guarantees import verify_denoiser
from mvnet.models.motion.inputs import curve_batch
from mvnet.models.motion.loss import acceleration, motion_loss
from mvnet.models.motion.network import MotionDenoiser
from mvnet.models.registry import verify
from tests.models.motion.curves import PARENT, jitter, small_model, smooth_positions, smooth_rotations

CURVES = {"rotations": smooth_rotations, "positions": smooth_positions}


def batch_of(values, seen=None):
    seen = torch.ones(values.shape[:2], dtype=torch.bool) if seen is None else seen
    return curve_batch(values.transpose(0, 1).unsqueeze(0), seen.T.unsqueeze(0), PARENT.unsqueeze(0))


def test_every_guarantee_holds_with_any_weights():
    found = verify_denoiser(small_model(), 3)
    assert len(found) == 10 and all(guarantee.holds for guarantee in found), found
    assert [g.name for g in verify(small_model(), 3)] == [g.name for g in found]


@pytest.mark.parametrize("kind", CURVES)
def test_a_constant_curve_stays(kind):
    values = CURVES[kind](1).expand(90, *CURVES[kind](1).shape[1:]).clone()
    out = small_model()(batch_of(values))
    assert torch.allclose(out.values[0].transpose(0, 1), values, atol=1e-9)


def test_positions_may_be_scaled_and_moved():
    model, values = small_model(), jitter(smooth_positions(), 0.05)
    first, second = model(batch_of(values)), model(batch_of(1000 * values + 7))
    assert torch.allclose(1000 * first.values + 7, second.values, rtol=1e-9)
    assert torch.allclose(first.log_error + torch.tensor(1000.0).double().log(), second.log_error, atol=1e-8)


@pytest.mark.parametrize("kind", CURVES)
def test_smoothing_at_initialisation(kind):
    """Before any training the means of all widths have one weight each."""
    model = MotionDenoiser(generator=torch.Generator().manual_seed(0)).double()
    clean = CURVES[kind](200, speed=0.01) if kind == "rotations" else CURVES[kind](200)
    noisy = jitter(clean, 0.2)
    with torch.no_grad():
        out = model(batch_of(noisy)).values[0].transpose(0, 1)
    distance = (RotationCurves() if kind == "rotations" else PositionCurves()).distance
    assert distance(out, clean).mean() < 0.6 * distance(noisy, clean).mean()


def test_acceleration_of_a_parabola():
    t = torch.arange(20.0).double()
    x = (3 * t**2).view(1, 20, 1) * torch.tensor([1.0, 0, 2]).double()
    expected = torch.tensor([6.0, 0, 12]).double().view(1, 3, 1).expand(1, 3, 18)
    assert torch.allclose(acceleration(x, PositionCurves()), expected)


def test_the_gradient_of_the_objective(monkeypatch):
    monkeypatch.setattr(loss, "_LIKELIHOOD", 0.0)  # its gradient does not reach the curves
    model = small_model(0.05)
    data = MotionTrainingSet(length=2, simulated=2, frames=40, joints=3)
    batch = default_collate([data[0], data[1]])
    parts = [part._replace(**{k: getattr(part, k).double() for k in ("values", "target", "noise")}) for part in batch]
    total, figures = motion_loss(model, *parts)
    assert set(figures) == {"loss", "rotations", "positions"}
    total.backward()
    for name in ("rounds.0.weights.weight", "rounds.1.flow.bias", "rounds.0.lift.weight", "rounds.0.slopes.weight"):
        parameter = dict(model.named_parameters())[name]
        assert parameter.grad is not None
        place = int(parameter.grad.abs().argmax())
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter.view(-1)[place] += step
            values.append(float(motion_loss(model, *parts)[0].detach()))
            with torch.no_grad():
                parameter.view(-1)[place] -= step
        slope = (values[0] - values[1]) / 2e-6
        assert slope == pytest.approx(float(parameter.grad.view(-1)[place]), rel=1e-4, abs=1e-7)


def test_a_few_steps_learn():
    model = small_model(0.0, dtype=torch.float32).train()
    data = MotionTrainingSet(length=2, simulated=2, frames=48, joints=3)
    batch = default_collate([data[0], data[1]])
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(12):
        total, _ = motion_loss(model, *batch)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
    assert losses[-1] < 0.85 * losses[0]


def test_checkpoint_round_trip(tmp_path):
    model, noisy = small_model(), batch_of(jitter(smooth_rotations(), 0.1))
    save_checkpoint(tmp_path / "net", model, {})
    again, card = load_checkpoint(tmp_path / "net")
    assert card["architecture"] == "MotionDenoiser"
    assert torch.equal(model(noisy).values, again.double()(noisy).values)


def test_values_of_another_shape_are_named():
    batch = batch_of(smooth_rotations())
    with pytest.raises(MvnetError, match="values: found shape"):
        small_model()(batch._replace(trust=batch.trust[..., 1:]))
