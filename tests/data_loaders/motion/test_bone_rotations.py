"""Positions to rotations: smallest rotations, axes of the torso, gaps."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.bone_rotations import BoneRotations, fill_rotations, minimal_rotation, rotations_of
from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS
from mvnet.data_loaders.motion.skeleton.torso import Torso, find_torso
from mvnet.data_loaders.motion.skeleton.tree import forward_kinematics
from mvnet.linalg import so3

CHOICES = [("torso", None), ("world", None), ("torso", "adjacent"), ("world", "all")]
# Rest pose of "kinect-20": offsets from the joint above, metres, x to the right, y forward, z up.
REST = {
    "left_shoulder": (-0.2, 0, 0), "right_shoulder": (0.2, 0, 0), "neck": (0, 0, 0.3), "spine": (0, 0, 0.1),
    "left_hip": (-0.1, 0, -0.1), "right_hip": (0.1, 0, -0.1), "head": (0, 0.02, 0.2),
    "elbow": (0, 0, -0.28), "wrist": (0, 0.2, -0.1), "hand": (0, 0.07, 0), "knee": (0, 0, -0.45),
    "ankle": (0, 0, -0.42), "foot": (0, 0.15, 0),
}  # fmt: skip
LAYOUT = LAYOUTS["kinect-20"]
PARENT = LAYOUT.parents()


def person(frames=20, seed=0):
    """Positions (frames, 20, 3) of a body that moves all its joints smoothly."""
    rng = np.random.default_rng(seed)
    offsets = np.array([REST.get(name) or REST.get(name.split("_")[-1], (0, 0, 0)) for name in LAYOUT.joints], float)
    time = np.linspace(0, 1, frames)[:, None, None]
    swing = 0.4 * rng.normal(size=(1, 20, 3)) * np.sin(2 * np.pi * time + rng.uniform(0, 6, size=(1, 20, 1)))
    local = Rotation.from_rotvec(swing.reshape(-1, 3)).as_matrix().reshape(frames, 20, 3, 3)
    return forward_kinematics(local, offsets, PARENT, np.zeros((frames, 3)))[0]


def vectors(n=500):
    v = np.random.default_rng(1).normal(size=(2, n, 3))
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_minimal_rotation_is_the_smallest(dtype):
    a, b = vectors().astype(dtype)
    tolerance = float(20 * np.finfo(dtype).eps)
    r = minimal_rotation(a, b)
    assert r.dtype == dtype
    np.testing.assert_allclose(np.einsum("nij,nj->ni", r, a), b, atol=tolerance)
    np.testing.assert_allclose(r @ r.swapaxes(1, 2), np.broadcast_to(np.eye(3), r.shape), atol=tolerance)
    angle = so3.log(torch.from_numpy(r)).norm(dim=-1).numpy()
    np.testing.assert_allclose(angle, np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1)), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("off", [0.0, 1e-12, 1e-7, 1e-4])
def test_minimal_rotation_of_opposite_and_equal_vectors(off, dtype):
    a, b = vectors()
    near = a + off * b
    near /= np.linalg.norm(near, axis=-1, keepdims=True)
    for target in (near, -near):
        r = minimal_rotation(a.astype(dtype), target.astype(dtype))
        image = np.einsum("nij,nj->ni", r, a.astype(dtype))
        np.testing.assert_allclose(image, target, atol=float(20 * np.finfo(dtype).eps))
        np.testing.assert_allclose(np.linalg.det(r), 1, atol=float(20 * np.finfo(dtype).eps))


@pytest.mark.parametrize("frame, pairs", CHOICES)
def test_rotations_reproduce_the_directions(frame, pairs):
    positions = person()
    choice = BoneRotations.fit([positions], PARENT, frame, pairs)
    rotations, seen = choice(positions)
    directions = choice.directions(torch.from_numpy(positions)).numpy()
    start = (
        np.broadcast_to(choice.rest, directions.shape) if choice.pairs is None else directions[:, choice.pairs[:, 0]]
    )
    end = directions if choice.pairs is None else directions[:, choice.pairs[:, 1]]
    np.testing.assert_allclose(np.einsum("tbij,tbj->tbi", rotations, start), end, atol=1e-12)
    assert seen.all()


@pytest.mark.parametrize("pairs", [None, "adjacent"])
def test_torso_frame_ignores_where_the_person_stands_and_turns(pairs):
    positions = person()
    choice = BoneRotations.fit([positions], PARENT, "torso", pairs)
    turns = Rotation.from_rotvec(np.linspace(0, 2, len(positions))[:, None] * [0.3, -0.4, 1.0]).as_matrix()
    moved = np.einsum("tij,tnj->tni", turns, positions) * 1.7 + np.arange(len(positions))[:, None, None]
    np.testing.assert_allclose(choice(moved)[0], choice(positions)[0], atol=1e-12)


def test_torch_and_numpy_agree_and_keep_their_type():
    positions = person().astype(np.float32)
    choice = BoneRotations.fit([positions], PARENT)
    found, seen = choice(torch.from_numpy(positions))
    assert found.dtype == torch.float32 and seen.dtype == torch.bool
    np.testing.assert_array_equal(found.numpy(), choice(positions)[0])


@pytest.mark.parametrize(
    "layout", [name for name, found in LAYOUTS.items() if {"head", "left_hip"} <= set(found.joints)]
)
def test_torso_is_found_by_lengths_alone(layout):
    """Hips below, shoulders above, the same side first: also for the sensors with hands of several fingers."""
    joints, parent = LAYOUTS[layout].joints, LAYOUTS[layout].parents()
    offsets = np.array([REST.get(name) or REST.get(name.split("_")[-1], (0, 0, 0.05)) for name in joints], float)
    offsets[joints.index("head")] += (0, 0, 0.1)
    eye = np.broadcast_to(np.eye(3), (1, len(joints), 3, 3)).copy()
    positions = forward_kinematics(eye, offsets, parent, np.zeros((1, 3)))[0]
    found = find_torso(parent, [positions])
    assert [joints[i] for i in found.low] == ["left_hip", "right_hip"]
    assert [joints[i] for i in found.high] == ["left_shoulder", "right_shoulder"]
    np.testing.assert_allclose(found.frames(torch.from_numpy(positions))[0], np.eye(3), atol=1e-12)


def test_torso_can_be_given_and_may_not_exist():
    chain = np.array([-1, 0, 1, 2])
    line = np.random.default_rng(0).normal(size=(5, 4, 3))
    with pytest.raises(DataError, match="no two limbs alike"):
        BoneRotations.fit([line], chain)
    given = BoneRotations.fit([line], chain, torso=Torso(low=(0, 0), high=(1, 2)))
    assert np.isfinite(given(line)[0]).all()
    assert BoneRotations.fit([line], chain, "world")(line)[0].shape == (5, 3, 3, 3)


@pytest.mark.parametrize("frame, pairs", CHOICES)
def test_gaps_are_bridged_and_reported(frame, pairs):
    whole = person()
    choice = BoneRotations.fit([whole], PARENT, frame, pairs)
    broken = whole.copy()
    broken[[0, 7, 8]] = np.nan  # nobody seen
    broken[12, LAYOUT.joints.index("left_hand")] = np.nan
    broken[15, LAYOUT.joints.index("left_knee")] = broken[15, LAYOUT.joints.index("left_hip")]  # length 0
    rotations, seen = choice(broken)
    assert np.isfinite(rotations).all() and not seen[[0, 7, 8]].any() and 0 < (~seen[12]).sum() < seen.shape[1]
    assert not seen[15].all() and seen[[1, 6, 9, 19]].all()
    untouched = seen & (np.arange(20) != 15)[:, None]  # where the knee moves, so does the bone below it
    np.testing.assert_allclose(rotations[untouched], choice(whole)[0][untouched], atol=1e-12)
    np.testing.assert_array_equal(rotations[0], rotations[1])


def test_gap_is_a_geodesic():
    turns = Rotation.from_rotvec(np.arange(6)[:, None] * [0.1, 0.2, -0.3]).as_matrix()[:, None]
    rotations = torch.from_numpy(np.repeat(turns, 2, axis=1))
    seen = torch.ones(6, 2, dtype=torch.bool)
    seen[1:4, 0] = False
    seen[:, 1] = False
    bridged = fill_rotations(torch.where(seen[..., None, None], rotations, torch.nan), seen)
    np.testing.assert_allclose(bridged[:, 0], rotations[:, 0], atol=1e-12)
    np.testing.assert_array_equal(bridged[:, 1], np.broadcast_to(np.eye(3), (6, 3, 3)))


def test_one_frame_and_static_sequences():
    still = np.repeat(person(1), 4, axis=0)
    choice = BoneRotations.fit([still[:1]], PARENT)
    identity = np.broadcast_to(np.eye(3), (4, 19, 3, 3))
    np.testing.assert_allclose(choice(still)[0], identity, atol=1e-7)
    assert choice(still[:1])[0].shape == (1, 19, 3, 3)


def test_sets_of_rotations():
    motions = MotionSet([person(5), person(9, seed=1)], labels=np.array([0, 1]), classes=("a", "b"), parent=PARENT)
    turned, masks = rotations_of(motions, BoneRotations.fit(motions.sequences, PARENT))
    assert (turned.kind, turned.width, turned.lengths.tolist(), turned.classes) == ("rotations", 19, [5, 9], ("a", "b"))
    assert [mask.shape for mask in masks] == [(5, 19), (9, 19)]
    with pytest.raises(DataError, match="found rotations, expected positions"):
        rotations_of(turned, BoneRotations.fit(motions.sequences, PARENT))


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(frame="hips"), "frame: found 'hips'"),
        (dict(pairs="some"), "pairs: found 'some'"),
        (dict(sequences=[person(2)[..., :2]]), "found positions in an image, expected positions in space"),
    ],
)
def test_unknown_choices(wrong, message):
    with pytest.raises(DataError, match=message):
        BoneRotations.fit(**(dict(sequences=[person(2)], parent=PARENT) | wrong))
    with pytest.raises(DataError, match=r"expected \(frames, 20, 3\)"):
        BoneRotations.fit([person(2)], PARENT)(np.zeros((2, 15, 3)))
