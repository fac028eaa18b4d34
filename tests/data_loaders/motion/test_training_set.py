"""The training set of the denoiser of motions: seeded, on the manifold, damaged as it says."""

import pytest
import torch

from mvnet.data_loaders.motion.training.corruption import Damage, correlated_noise, damage_rotations, runs
from mvnet.data_loaders.motion.training.dataset import MotionTrainingSet, part_of, resample
from mvnet.data_loaders.motion.training.simulation import Body, process, simulate_body
from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.motion.curves import RotationCurves


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def body(frames: int = 400, joints: int = 9) -> Body:
    return simulate_body(frames, joints, generator(3))


def test_examples_depend_on_the_seed_and_their_number_alone():
    one, two, other = (MotionTrainingSet([body()], 5, 10, 64, 6, seed) for seed in (1, 1, 2))
    for a, b, c in zip(one[3], two[3], other[3]):
        assert all(torch.equal(x, y) for x, y in zip(a, b)) and not torch.equal(a.values, c.values)


def test_examples_are_curves_of_the_shapes_they_say():
    data = MotionTrainingSet([body(joints=3)], 8, 10, 64, 6)
    for k in range(8):
        rotations, positions = data[k]
        assert rotations.values.shape == (6, 64, 3, 3) and positions.values.shape == (4, 64, 3)
        for r in (rotations.values, rotations.target):
            assert torch.allclose(r @ r.mT, torch.eye(3), atol=1e-5)
        assert rotations.parent.shape == (6,) and int((rotations.parent < 0).sum()) == 1
        assert bool((rotations.parent < 6).all())
        assert bool(rotations.seen.sum(1).ge(2).all()) and bool(positions.values.isfinite().all())


def test_noise_is_of_the_size_and_correlation_of_the_damage():
    still = torch.eye(3).expand(20000, 3, 3, 3)
    for correlation in (0.0, 0.8):
        found = damage_rotations(still, Damage(0.05, correlation), generator())
        n = so3.log(found.values)
        assert float(n.std()) == pytest.approx(0.05, rel=0.03)
        assert float((n[1:] * n[:-1]).mean() / n.square().mean()) == pytest.approx(correlation, abs=0.03)
        assert bool(found.seen.all()) and not bool(found.spike.any())
    mixed = correlated_noise((20000, 4), Damage(1.0, 0.9, white=0.3), generator())
    assert float(mixed.std()) == pytest.approx(1, rel=0.05)
    assert float((mixed[1:] * mixed[:-1]).mean()) == pytest.approx(0.63, abs=0.05)


@pytest.mark.parametrize("share, longest", [(0.02, 3), (0.1, 30)])
def test_runs_cover_their_share(share, longest):
    hit = runs(20000, 5, share, longest, generator())
    assert float(hit.double().mean()) == pytest.approx(share, rel=0.15)


def test_spikes_are_far_and_gaps_may_coincide():
    still = torch.eye(3).expand(2000, 3, 3, 3)
    found = damage_rotations(still, Damage(0.01, spikes=0.03, gaps=0.1, together=True), generator())
    angle = RotationCurves().distance(found.values, still)
    assert float(angle[found.spike].min()) > 0.25 and float(angle[~found.spike].max()) < 0.1
    assert bool((found.seen == found.seen[:, :1]).all()) and float(found.seen.double().mean()) < 0.97


def test_processes_are_smooth_and_of_unit_variance():
    t = torch.arange(200.0)
    x = process(t, 400, torch.full((400,), 20.0), generator())
    assert float(x.var()) == pytest.approx(1, abs=0.15)
    assert float((x[20:] * x[:-20]).mean()) == pytest.approx(0.607, abs=0.12)
    y = process(t, 5, torch.full((5,), 20.0), generator(), period=50.0)
    assert torch.allclose(y[50:], y[:-50], atol=1e-3)


def test_parts_are_trees_and_clips_lie_on_the_recording():
    whole = body()
    for seed in range(6):
        part = part_of(whole, 5, generator(seed))
        assert int((part.parent < 0).sum()) == 1 and part.rotations.shape[1] == 5
        clip = resample(part, 60, generator(seed)).rotations
        near = RotationCurves().distance(clip.unsqueeze(1), part.rotations.unsqueeze(0)).amin(1)
        step = RotationCurves().distance(part.rotations[1:], part.rotations[:-1]).max()
        assert float(near.max()) <= float(step)


def test_nothing_to_learn_from_is_named():
    with pytest.raises(MvnetError, match="training data: found none"):
        MotionTrainingSet(simulated=0)
    with pytest.raises(MvnetError, match="recorded: found 50 frames"):
        MotionTrainingSet([body(50)], frames=64)
