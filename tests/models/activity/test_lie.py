"""The network of body motions: its curves, its invariance, its training, its files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mvnet.data_loaders.motion import MotionSet
from mvnet.linalg import so3
from mvnet.manifolds.rotations import Rotations
from mvnet.models.activity.lie.curves import BodyCurves
from mvnet.models.activity.lie.network import BodyMotionNetwork, TreeFlow, align
from mvnet.models.activity.lie.training import Curves, train_body_network
from mvnet.models.activity.lie.witness import divide, make_up, relative_distance
from mvnet.models.activity.lie_classifier import fit_lie_classifier, load_lie_classifier, save_lie_classifier
from mvnet.models.activity.training import MotionSchedule
from mvnet.models.registry import verify
from tests.models.activity.test_classifier import motions
from tests.models.activity.test_kernels import PARENT, turned

ABOVE = [-1, 0, 1, 1]


def motion_set(n: int = 18, seed: int = 0) -> MotionSet:
    sequences, labels, subjects = motions(n, seed)
    return MotionSet(sequences, "positions", labels, ("left", "right", "foot"), subjects, PARENT.numpy())


def network(**options) -> BodyMotionNetwork:
    return BodyMotionNetwork(4, 6, 3, ABOVE, **{"width": 8, "dilations": (1,)} | options)


def curves(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    r = so3.exp(torch.randn(n, 7, 4, 3, generator=generator, dtype=torch.float64) / 3)
    return r, torch.randn(n, 7, 6, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("frame", ["facing", "torso"])
def test_curves_do_not_change_with_place_size_and_turns(frame):
    known = motion_set(6)
    maker = BodyCurves.fit(known, frame)
    moved = [1.7 * turned(torch.from_numpy(s), 2.0).numpy() + [5.0, 1.0, -0.3] for s in known.sequences]
    for one, other in zip(maker(known.sequences), maker(moved)):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)
    assert float(Rotations().violation(maker(known.sequences)[0]).max()) < 1e-5


def test_the_facing_frame_keeps_how_the_trunk_leans_and_that_of_the_torso_does_not():
    known = motion_set(6)
    lean = so3.exp(torch.tensor([0.6, 0.0, 0.0], dtype=torch.float64)).numpy()
    leaning = [s @ lean.T for s in known.sequences]
    change = {}
    for frame in ("facing", "torso"):
        maker = BodyCurves.fit(known, frame)
        change[frame] = float((maker(known.sequences)[0] - maker(leaning)[0]).abs().max())
    assert change["torso"] < 1e-4 < 0.1 < change["facing"]


def test_aligned_curves_are_those_of_the_turned_world(generator):
    r, v = curves(2, generator)
    for frame, axis in (("facing", [0.0, 0.0, 2.0]), ("torso", [0.7, -1.0, 2.0])):
        g = so3.exp(torch.tensor(axis, dtype=torch.float64))
        turned_v = (v.unflatten(-1, (-1, 3)) @ g.mT).flatten(2)
        for one, other in zip(align(r, v, frame), align(g @ r, turned_v, frame)):
            torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


def test_the_flow_stays_on_the_group_and_moves_joints_to_their_parents(generator):
    r, _ = curves(1, generator)
    flow = TreeFlow(torch.tensor([0, 0, 1, 1])).double()
    torch.testing.assert_close(flow(r), r)
    torch.nn.init.constant_(flow.constant, 0.5)
    torch.nn.init.constant_(flow.turn[3], 0.3)
    out = flow(r).detach()
    assert float(Rotations().violation(out).max()) < 1e-12
    before, after = (so3.log(x[..., 0, :, :].mT @ x[..., 1, :, :]).norm(dim=-1) for x in (r, out))
    assert bool((after < before).all())


@pytest.mark.parametrize("frame", ["facing", "torso"])
def test_invariance_is_certified(frame):
    found = verify(network(frame=frame).eval())
    assert len(found) == 2
    assert all(guarantee.holds for guarantee in found)


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="parent: found"):
        BodyMotionNetwork(3, 0, 2, [-1, 0])
    with pytest.raises(ValueError, match="frame: found 'world'"):
        network(frame="world")
    with pytest.raises(ValueError, match="frame: found 'world'"):
        BodyCurves.fit(motion_set(6), "world")


def test_a_witness_sees_neither_a_subject_nor_a_class():
    labels, groups = np.repeat(np.arange(5), 6), np.tile(np.arange(3), 10)
    parts = divide(labels, groups, 0)
    assert len(parts.classes) == 1
    assert not (parts.seen & (groups == 2)).any()
    assert not np.isin(labels[parts.seen], parts.classes).any()
    assert not (parts.known & parts.new).any()
    assert not len(divide(labels % 2, groups, 0).classes)


def test_distances_are_relative_to_those_between_training_motions(generator):
    reference = torch.randn(2, 9, 4, generator=generator, dtype=torch.float64)
    found = relative_distance(reference[:, :3], reference)
    np.testing.assert_allclose(found, relative_distance(5 * reference[:, :3], 5 * reference))
    assert found[0, 0] < 1e-6


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, generator):
    r, v = (part.float() for part in curves(12, generator))
    labels, seen = torch.arange(12) % 3, torch.arange(12) < 8
    schedule = MotionSchedule(epochs=4, batch=5)
    whole, cut, resumed = (network(streams=2) for _ in range(3))
    train_body_network(whole, Curves(r, v, r, v), labels, seen, schedule)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_body_network(cut, Curves(r, v, r, v), labels, seen, schedule, stop, tmp_path)
    train_body_network(resumed, Curves(r, v, r, v), labels, seen, schedule, folder=tmp_path)
    torch.testing.assert_close(dict(resumed.state_dict()), dict(whole.state_dict()), rtol=0, atol=0)
    other = replace(schedule, rate=1.0)
    with pytest.raises(ValueError, match=r"schedule: found rate .*, to resume it"):
        train_body_network(network(streams=2), Curves(r, v, r, v), labels, seen, other, folder=tmp_path)


def test_learns_and_files_give_the_same(tmp_path):
    known, new = motion_set(27), motion_set(9, seed=50)
    fitted = fit_lie_classifier(known, MotionSchedule(epochs=15, batch=9), torch.device("cpu"), streams=1)
    assert (fitted.predict(new.sequences) == new.labels).mean() > 0.6
    save_lie_classifier(tmp_path / "activity", fitted, {})
    again, _ = load_lie_classifier(tmp_path / "activity")
    for one, other in zip(fitted.assess(new.sequences), again.assess(new.sequences)):
        np.testing.assert_allclose(one, other, atol=1e-6)
    noise = list(np.random.default_rng(0).normal(size=(4, 12, 11, 3)))
    assert fitted.known_probability(noise).max() < fitted.known_probability(new.sequences).mean()


def test_motions_of_no_class_have_no_gap_where_a_joint_was_not_seen_for_a_while():
    random = np.random.default_rng(0)
    sequences = [random.normal(size=(9, 4, 3)) for _ in range(4)]
    for x in sequences:
        x[4, 1] = np.nan
    assert all(np.isfinite(x).all() for x in make_up(sequences, np.array([0, 1, 0, 1]), 0))
