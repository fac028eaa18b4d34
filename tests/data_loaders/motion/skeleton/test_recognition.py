"""Trees of joints found by names, as known layouts, from rigidity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.motion import MotionSet, load_motion
from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS
from mvnet.data_loaders.motion.skeleton.names import exchange_of_names, side_and_part, tree_of_names
from mvnet.data_loaders.motion.skeleton.recognition import find_tree
from mvnet.data_loaders.motion.skeleton.rigidity import bone_costs, find_exchange, rooted, spanning_tree
from mvnet.data_loaders.motion.skeleton.tree import forward_kinematics

NAMES = [
    *("Hips", "Spine", "Neck", "Head", "LeftArm", "LeftForeArm", "LeftHand", "RightArm", "RightForeArm", "RightHand"),
    *("LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg", "RightFoot"),
]
PARENT = np.array([-1, 0, 1, 2, 2, 4, 5, 2, 7, 8, 0, 10, 11, 0, 13, 14])
OFFSETS = np.array(
    [[0, 0, 0], [0, 0, 25], [0, 0, 25], [0, 0, 20], [18, 0, -2], [5, 0, -28], [0, -5, -25], [-18, 0, -2], [-5, 0, -28],
     [0, -5, -25], [10, 0, 0], [0, 0, -42], [0, 3, -40], [-10, 0, 0], [0, 0, -42], [0, 3, -40]]
) / 100  # fmt: skip


def moving(count: int = 4, frames: int = 25) -> list[np.ndarray]:
    """Recordings of a body of 16 joints that moves all its joints and faces anywhere."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        steps = rng.normal(scale=0.08, size=(frames, 16, 3)).cumsum(0)
        turns = Rotation.from_rotvec(steps.reshape(-1, 3)).as_matrix().reshape(frames, 16, 3, 3)
        turns[:, 0] = Rotation.from_euler("z", rng.uniform(-180, 180), degrees=True).as_matrix() @ turns[:, 0]
        found.append(forward_kinematics(turns, OFFSETS, PARENT, rng.normal(size=(frames, 3)))[0])
    return found


def bones(parent: np.ndarray) -> set[frozenset[int]]:
    return {frozenset((joint, int(above))) for joint, above in enumerate(parent) if above >= 0}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("LeftUpLeg", ("l", "upleg", 0)), ("mixamorig:RightHandIndex2", ("r", "handindex", 2)),
        ("l_hip", ("l", "hip", 0)), ("rknee", ("r", "knee", 0)), ("Bip01 L Thigh", ("l", "thigh", 0)),
        ("lfemur", ("l", "femur", 0)), ("LShoulder", ("l", "shoulder", 0)), ("hand_r", ("r", "hand", 0)),
        ("Spine3", ("", "spine", 3)), ("lowerback", ("", "lowerback", 0)), ("right ankle", ("r", "ankle", 0)),
    ],
)  # fmt: skip
def test_names_are_a_side_and_a_part(name, parts) -> None:
    assert side_and_part(name) == parts


def test_trees_of_names() -> None:
    found = tree_of_names(NAMES)
    assert found is not None and found.tolist() == PARENT.tolist()
    for layout in LAYOUTS.values():
        order = np.random.default_rng(0).permutation(len(layout.joints))
        shuffled = [layout.joints[i] for i in order]
        found = tree_of_names(shuffled)
        assert found is not None
        pairs = {(shuffled[i], None if above < 0 else shuffled[above]) for i, above in enumerate(found)}
        assert pairs == {(j, None if p < 0 else layout.joints[p]) for j, p in zip(layout.joints, layout.parent)}
    assert tree_of_names(["LASI", "RASI", "C7"]) is None and tree_of_names(["hips", "head", "head"]) is None
    assert tree_of_names(["left_knee", "left_hip", "left_ankle"]) is None
    assert exchange_of_names(NAMES)[[0, 4, 15]].tolist() == [0, 7, 12]


def test_bones_are_found_by_rigidity_with_left_and_right() -> None:
    """In any order of the joints: the true bones, the true exchange, a root in the middle; without names."""
    sequences = moving()
    order = np.random.default_rng(2).permutation(16)
    found = find_tree(MotionSet([s[:, order] for s in sequences]))
    assert found is not None and "inferred from rigid pairs of joints, with left and right" in found[1]
    wanted = bones(PARENT)
    assert {frozenset(int(order[j]) for j in bone) for bone in bones(found[0])} == wanted
    assert order[int(np.flatnonzero(found[0] < 0)[0])] in (0, 1, 2)


def test_a_body_without_left_and_right_has_a_tree_nevertheless() -> None:
    chain = [s[:, [0, 1, 2, 4, 5, 6]] for s in moving()]
    found = find_tree(MotionSet(chain))
    assert found is not None and "without left and right" in found[1]
    assert bones(found[0]) == {frozenset((k, k + 1)) for k in range(5)}
    assert find_tree(MotionSet([s[:, :3] for s in moving()])) is None
    never = [np.where(np.arange(6)[:, None] == 2, np.nan, s) for s in chain]
    assert find_tree(MotionSet(never)) is None


@pytest.mark.parametrize("data, name", [("Florence3D", "kinect-15"), ("MSRAction3D", "kinect-20")])
def test_layouts_of_kinect_sets(data_root, data, name) -> None:
    """Recognised without names and tree from the recordings of half of the people; any other order is inferred."""
    motions = load_motion(data_root / "motion/skeleton" / data)
    part = motions.take(np.asarray(motions.require_subjects()) % 2 == 1)
    found = find_tree(replace(part, parent=None, joints=None))
    assert found is not None and name in found[1] and motions.parent is not None
    assert bones(found[0]) == bones(motions.parent)
    order = np.random.default_rng(0).permutation(motions.width)
    other = find_tree(MotionSet([s[:, order] for s in part.sequences]))
    assert other is not None and "with left and right" in other[1]
    assert {frozenset(int(order[j]) for j in bone) for bone in bones(other[0])} == bones(motions.parent)


def test_spanning_trees() -> None:
    """Prim's algorithm as an oracle; the symmetric tree is its own image."""
    cost = bone_costs(moving())
    tree = spanning_tree(cost)
    reached, total = {0}, 0.0
    while len(reached) < 16:
        i, j = min(((i, j) for i in reached for j in range(16) if j not in reached), key=lambda e: cost[e])
        reached.add(j)
        total += cost[i, j]
    assert tree is not None and cost[tree[:, 0], tree[:, 1]].sum() == pytest.approx(total)
    still = forward_kinematics(np.tile(np.eye(3), (1, 16, 1, 1)), OFFSETS, PARENT, np.zeros((1, 3)))[0][0]
    exchange = find_exchange(still)
    assert exchange is not None and exchange.tolist() == exchange_of_names(NAMES).tolist()
    paired = spanning_tree(cost, exchange)
    assert paired is not None
    assert {frozenset(exchange[list(bone)].tolist()) for bone in bones(rooted(paired))} == bones(rooted(paired))
