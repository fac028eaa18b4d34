"""Published motion data; skipped without MVNET_DATA."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.motion import fill_missing, load_motion, splits, subset
from mvnet.data_loaders.motion.bone_rotations import BoneRotations
from mvnet.data_loaders.motion.inertial import integrate_gyroscope
from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS
from mvnet.data_loaders.motion.skeleton.torso import find_torso
from mvnet.data_loaders.motion.skeleton.tree import bone_vectors

BVH = {  # vertical axis, joints, frames
    "AV_8Walk_Meredith_HVHA_Rep1": ("y", 23, 1064),
    "Swagger": ("y", 22, 581),
    "bvh_example": ("z", 24, 75),
    "bvh_test3": ("z", 60, 100),
    "cmu_12_01_walk": ("y", 31, 524),
    "standard_skeleton": ("z", 24, 1),
    "test_freebvh": ("y", 55, 69),
    "test_mocapbank": ("y", 19, 455),
}


@pytest.mark.parametrize(
    "name, layout, count, classes, lengths",
    [("Florence3D", "kinect-15", 215, 9, (8, 35)), ("MSRAction3D", "kinect-20", 557, 20, (13, 76))],
)
def test_published_sets(data_root, name, layout, count, classes, lengths):
    motions = load_motion(data_root / "motion/skeleton" / name)
    assert (len(motions), len(motions.classes)) == (count, classes)
    assert (motions.lengths.min(), motions.lengths.max()) == lengths
    assert motions.parent is not None and motions.parent.tolist() == list(LAYOUTS[layout].parent)
    found = splits(motions)
    assert len(found) == 10
    subjects = motions.require_subjects()
    for train, test in found:
        assert len(train) + len(test) == count and len(set(subjects[train])) == len(set(subjects[test])) == 5
        assert not set(subjects[train]) & set(subjects[test])
    whole, masks = fill_missing(motions)
    assert all(np.isfinite(sequence).all() for sequence in whole.sequences)
    assert sum(int((~mask.any(1)).sum()) for mask in masks) == (252 if name == "MSRAction3D" else 0)
    head = LAYOUTS[layout].joints.index("head")
    upright = np.median([np.mean(s[:, head, 2] - s[..., 2].min(1)) for s in whole.sequences])
    assert 1.0 < upright < 2.0  # metres from the lowest joint to the head
    training = [motions.sequences[i] for i in found[0].train]
    torso = find_torso(motions.parent, training)
    names = [[LAYOUTS[layout].joints[i] for i in pair] for pair in (torso.low, torso.high)]
    assert names == [["left_hip", "right_hip"], ["left_shoulder", "right_shoulder"]]
    choice = BoneRotations.fit(training, motions.parent, torso=torso)
    assert all(np.isfinite(choice(motions.sequences[i])[0]).all() for i in found[0].test[:20])


def test_action_sets_of_msr(data_root):
    motions = load_motion(data_root / "motion/skeleton/MSRAction3D")
    assert len(subset(motions, [2, 3, 5, 6, 10, 13, 18, 20])) == sum(
        np.isin(motions.require_labels() + 1, [2, 3, 5, 6, 10, 13, 18, 20])
    )
    assert motions.classes[0] == "high arm wave" and motions.classes[19] == "pickup and throw"


@pytest.mark.parametrize("name", ["Florence3D", "MSRAction3D"])
def test_right_arm_is_the_one_that_moves(data_root, name):
    """Not mirrored: people move their right arm more, and right is where a right-handed frame has it."""
    motions = load_motion(data_root / "motion/skeleton" / name)
    joints = LAYOUTS["kinect-15" if name == "Florence3D" else "kinect-20"].joints
    wrists = [joints.index(f"{side}_wrist") for side in ("left", "right")]
    left, right = np.mean([np.nanstd(s[:, wrists], axis=0).max(-1) for s in motions.sequences], axis=0)
    assert right > 1.2 * left
    first = motions.sequences[0][0]
    right = first[joints.index("right_hip")] - first[joints.index("left_hip")]
    forward = np.cross([0, 0, 1], right)  # up x right
    hand = first[joints.index("right_wrist")] - first[joints.index("right_elbow")]
    toward_sensor = np.array([0, 1, 0])  # the depth axis, away from the sensor, became -y
    assert forward @ toward_sensor > 0 and hand @ forward > 0


@pytest.mark.parametrize("name", BVH)
def test_bvh_agrees_with_pybvh(data_root, name):
    pybvh = pytest.importorskip("pybvh", reason="needs mvnet[motion]")
    path, (up, joints, frames) = data_root / f"motion/bvh/{name}.bvh", BVH[name]
    found = load_motion(path)
    assert found.sequences[0].shape == (frames, joints, 3) and found.notes[0].startswith(f"up: {up}")
    theirs = pybvh.read_bvh_file(path, world_up="+y").joint_positions()
    ours = load_motion(path, up="z").sequences[0]
    np.testing.assert_allclose(ours, theirs, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize("name", ["35_01", "49_18"])
def test_acclaim_of_cmu(data_root, name):
    """Walking and hopping: bones of constant length, a person of ordinary height, feet at the ground."""
    found = load_motion(data_root / f"motion/amc/{name}.amc")
    positions, joints = found.sequences[0], found.joints or ()
    assert found.parent is not None
    lengths = np.linalg.norm(bone_vectors(positions, found.parent)[0], axis=-1)
    assert lengths.std(0).max() < 1e-12
    assert 1.4 < np.median(positions[:, joints.index("head"), 2]) < 1.8
    toes = positions[:, [joints.index("ltoes"), joints.index("rtoes")], 2]
    assert np.all(np.abs(toes.min(0)) < 0.06)
    torso = find_torso(found.parent, [positions])
    assert {joints[i] for i in torso.low + torso.high} == {"lhipjoint", "rhipjoint", "lclavicle", "rclavicle"}


def test_a_standing_foot_stands_still(data_root):
    """Walking: at every moment one foot of the two hardly moves. Wrong angles slide it."""
    found = load_motion(data_root / "motion/amc/35_01.amc", rate=120)
    joints = found.joints or ()
    feet = found.sequences[0][:, [joints.index("lfoot"), joints.index("rfoot")]]
    speed = np.linalg.norm(np.diff(feet, axis=0), axis=-1).min(1) * 120
    walking = np.linalg.norm(np.ptp(found.sequences[0][:, 0], axis=0)) / (len(feet) / 120)
    assert np.median(speed) < 0.25 * walking


def test_basic_motions(data_root):
    motions = load_motion(data_root / "motion/BasicMotions")
    assert (len(motions), motions.width, motions.classes) == (80, 6, ("Badminton", "Running", "Standing", "Walking"))
    assert [len(split.train) for split in splits(motions)] == [40] and set(motions.lengths) == {100}


def test_xsens_gyroscope_against_its_quaternions(data_root):
    """953 samples through half a turn and back: the drift stays below 6 degrees."""
    path = data_root / "motion/imu_skinematics/data_xsens.txt"
    device = load_motion(path, value="rotations").sequences[0][:, 0]
    signals = load_motion(path)
    channels = [(signals.channels or ()).index(f"Gyr_{axis}") for axis in "XYZ"]
    ours = integrate_gyroscope(
        signals.sequences[0][:, channels], np.arange(len(device)) / (signals.rate or 0), device[0]
    )
    turned = Rotation.from_matrix(device[0].T @ device).magnitude()
    error = Rotation.from_matrix(device.swapaxes(1, 2) @ ours).magnitude()
    assert np.degrees(turned.max()) > 170 and np.degrees(error.max()) < 6


def test_x_io_files(data_root):
    folder = data_root / "motion/imu_skinematics"
    quaternions, sensors = load_motion(folder / "quaternion.csv"), load_motion(folder / "sensors.csv")
    assert (quaternions.kind, quaternions.width, sensors.width) == ("rotations", 1, 10)
    assert quaternions.rate == pytest.approx(49.4, abs=0.1)
    assert "deg/s" in load_motion(folder / "sensors.csv", value="rotations").notes[0]
