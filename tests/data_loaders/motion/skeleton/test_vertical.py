"""Which axis is up: a rest pose, the bodies, and one answer for a data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import combine, one_recording
from mvnet.data_loaders.motion.skeleton.tree import TO_Z_UP, forward_kinematics
from mvnet.data_loaders.motion.skeleton.vertical import guess_vertical
from mvnet.data_loaders.motion.turning import turn

PARENT = np.array([-1, 0, 1, 0, 3])
OFFSETS = np.array([[0, 0, 0], [0.1, 0.5, 0], [0, 0.4, 0], [0, -0.5, 0.02], [0, -0.4, 0.1]])
"""A stick figure that stands along y: hips, chest, head, knee, foot."""


def recording(turned: Rotation, root=(0.0, 0.9, 0.0), **options) -> MotionSet:
    """Ten frames of the figure with its root turned."""
    rng = np.random.default_rng(0)
    local = Rotation.from_rotvec(rng.normal(scale=0.1, size=(50, 3))).as_matrix().reshape(10, 5, 3, 3)
    local[:, 0] = turned.as_matrix() @ local[:, 0]
    positions, world = forward_kinematics(local, OFFSETS, PARENT, np.tile(root, (10, 1)))
    known = {"positions": positions, "world": world, "local": local, "parent": PARENT}
    return one_recording(Path(options.pop("name", "a.bvh")), ReadOptions(**options), **known)


STANDING, LYING = Rotation.identity(), Rotation.from_euler("X", 90, degrees=True)


def test_a_body_that_lies_has_the_vertical_of_its_rest_pose() -> None:
    lies = recording(LYING, root=(0, 0.2, 0))
    assert lies.vertical is not None and lies.vertical.axis == "y"
    assert "farther along z; say up if wrong" in lies.notes[0]


def test_a_rest_pose_that_the_root_stands_up() -> None:
    """The file is z up: the feet are at zero of z, and the body is about zero of y."""
    stands = recording(LYING, root=(0, 0, 0.95))
    assert stands.vertical is not None and stands.vertical.axis == "z"


@pytest.mark.parametrize("value", ["positions", "rotations", "local"])
def test_one_answer_for_a_data_set(value) -> None:
    """Without rest poses the bodies of all recordings together decide, and the odd one is turned."""
    parts = [recording(STANDING, value=value), recording(STANDING, value=value), recording(LYING, value=value)]
    raw = [recording(turned, value=value, up="z").sequences[0] for turned in (STANDING, STANDING, LYING)]
    guesses = []
    for part, axis in zip(parts, "yyz"):
        assert part.vertical is not None
        alone = replace(part.vertical, axis=axis, rest=False)
        undecided = turn(part, part.vertical.axis, axis)
        guesses.append(replace(undecided, vertical=alone, notes=(alone.note,)))
    whole = combine(guesses, "all")
    assert whole.vertical is not None and whole.vertical.axis == "y"
    assert len(whole.notes) == 1 and "decided once for 3 recordings" in whole.notes[0]
    rotation = TO_Z_UP["y"]
    for sequence, before in zip(whole.sequences, raw):
        expected = before @ rotation.T if value == "positions" else rotation @ before
        np.testing.assert_allclose(sequence[:, 0], expected[:, 0], atol=1e-12)
        np.testing.assert_allclose(sequence[:, 1:], before[:, 1:] if value == "local" else expected[:, 1:], atol=1e-12)


def test_an_axis_that_is_asked_for_stands() -> None:
    whole = combine([recording(STANDING, up="x"), recording(LYING, up="x")], "all")
    assert whole.notes[0] == "up: x (as asked)" and whole.vertical is not None and whole.vertical.axis == "x"


def test_bodies_without_a_rest_pose() -> None:
    upright = np.random.default_rng(0).normal(size=(4, 6, 3)) * [0.2, 0.3, 1]
    assert guess_vertical(upright).axis == "z" and guess_vertical(upright[..., [0, 2, 1]]).axis == "y"
    bones_along_x = np.zeros((6, 3)) + np.arange(6)[:, None] * [1, 0.01, 0]
    assert not guess_vertical(upright, bones_along_x).rest
    assert guess_vertical(np.full((4, 6, 3), np.nan)).axis == "y"
