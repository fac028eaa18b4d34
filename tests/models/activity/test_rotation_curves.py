"""Recordings as curves of rotations: what they do not depend on, what each rotation is seen from, what is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mvnet.data_loaders.motion import MotionSet
from mvnet.linalg import so3
from mvnet.manifolds.rotations import Rotations
from mvnet.models.activity.rotation_curves import CurveMaker
from tests.models.activity.test_classifier import motions
from tests.models.activity.test_kernels import PARENT, turned


@pytest.fixture(scope="module")
def positions() -> MotionSet:
    return MotionSet(tuple(motions(9)[0]), parent=PARENT.numpy(), rate=5.0)


def test_curves_do_not_see_place_size_and_direction(positions):
    maker = CurveMaker.fit(positions)
    curves = maker(positions.sequences)
    assert curves.shape == (9, maker.frames, 11, 3, 3)
    assert float(Rotations().violation(curves).max()) < 1e-5
    moved = [2 * turned(torch.from_numpy(s), 1.0).numpy() + [3.0, 1.0, 0.5] for s in positions.sequences]
    torch.testing.assert_close(maker(moved), curves, rtol=0, atol=1e-5)


def test_bones_are_seen_from_the_bone_above_and_the_first_from_the_torso(positions):
    maker = CurveMaker.fit(positions)
    parent = maker.parent(positions)
    assert maker.bones is not None and parent is not None
    for place, above in enumerate(parent[1:]):
        start = maker.bones.bones[place, 0]
        assert above == 0 if start == 0 else maker.bones.bones[above - 1, 1] == start


def test_missing_frames_one_frame_and_a_skeleton_without_torso(positions):
    maker = CurveMaker.fit(positions)
    holed = positions.sequences[0].copy()
    holed[3], holed[5, 4] = np.nan, np.nan
    assert bool(maker([holed, holed[:1]]).isfinite().all())
    chain = MotionSet(tuple(s[:, :3] for s in positions.sequences), parent=np.array([-1, 0, 1]))
    maker = CurveMaker.fit(chain)
    assert maker.bones is not None and maker.bones.torso is None and maker.parent(chain) == [-1, 0]


def test_rotations_are_taken_as_they_are(generator):
    r = so3.exp(torch.randn(32, 3, 3, generator=generator, dtype=torch.float64))
    holed = r.clone()
    holed[4, 1] = torch.nan
    maker = CurveMaker.fit(MotionSet((r.numpy(),), kind="rotations"))
    torch.testing.assert_close(maker([r.numpy()])[0], r.float())
    assert bool(maker([holed.numpy()]).isfinite().all())
    with pytest.raises(ValueError, match="expected \\(frames, 3, 3, 3\\)"):
        maker([r[:, :2].numpy()])
