"""What stands in for a joint or channel that a recording never shows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.stand_in import StandIn, without_empty

RNG = np.random.default_rng(0)
POSE = RNG.normal(size=(7, 3))
TURNS = Rotation.from_rotvec(RNG.normal(size=(7, 3))).as_matrix()


def rigid(size=1.0, frames=9) -> np.ndarray:
    """The pose turned about the vertical and moved, every frame its own way."""
    about = Rotation.from_rotvec(RNG.uniform(-3, 3, size=(frames, 1)) * [0, 0, 1]).as_matrix()
    return size * POSE @ about.swapaxes(1, 2) + RNG.normal(size=(frames, 1, 3))


def rotated(frames=9) -> np.ndarray:
    return Rotation.from_rotvec(RNG.normal(size=(frames, 3))).as_matrix()[:, None] @ TURNS


@pytest.mark.parametrize("make", [rigid, rotated])
def test_a_rigid_body_is_completed_exactly(make) -> None:
    stand_in = StandIn.fit(MotionSet([make(), make()], "rotations" if make is rotated else "positions"))
    whole = make()
    part = whole.copy()
    part[:, [2, 5]] = np.nan
    part[3] = np.nan  # nobody in this frame
    filled, never = stand_in.fill(part)
    assert never.tolist() == [2, 5] and np.isnan(filled[3]).all()
    np.testing.assert_allclose(np.delete(filled, 3, 0), np.delete(whole, 3, 0), atol=1e-9)
    np.testing.assert_array_equal(stand_in.fill(whole)[0], whole)


def test_a_smaller_body_has_smaller_limbs() -> None:
    stand_in, whole = StandIn.fit(MotionSet([rigid()])), rigid(0.5)
    part = np.where((np.arange(7) == 4)[:, None], np.nan, whole)
    np.testing.assert_allclose(stand_in.fill(part)[0][:, 4], whole[:, 4], atol=1e-9)
    flat = StandIn.fit(MotionSet([whole[..., ::2]]))
    assert np.isfinite(flat.fill(part[..., ::2])[0]).all()


def test_channels_take_their_mean_and_it_is_said() -> None:
    values = RNG.normal(size=(20, 3)) + [1, 2, 3]
    gap = values.copy()
    gap[:, 1] = np.nan
    motions = MotionSet([values, gap], "signals", channels=("x", "y", "z"), names=("good", "bad"))
    found = StandIn.fit(motions).complete(motions)
    np.testing.assert_allclose(found.sequences[1][:, 1], values[:, 1].mean())
    assert found.notes == ("channel y is never seen in bad: its mean in training stands in",)


def test_what_no_training_recording_shows_has_a_neutral_value() -> None:
    for values, neutral in ((rigid(), None), (rotated(), np.eye(3)), (np.ones((9, 7)), 0)):
        values[:, 6] = np.nan
        pose = StandIn.fit(
            MotionSet([values], "signals" if values.ndim == 2 else "positions" if values.ndim == 3 else "rotations")
        ).pose
        assert np.isfinite(pose).all()
        np.testing.assert_allclose(pose[6], np.zeros(3) if neutral is None else neutral, atol=1e-12)


def test_recordings_without_any_value_are_left_out() -> None:
    motions = MotionSet([rigid(), np.full((3, 7, 3), np.nan)], names=("good", "bad"), subjects=np.array([1, 2]))
    found = without_empty(motions)
    assert found.names == ("good",) and found.notes == ("left out bad: no value in any frame",)
