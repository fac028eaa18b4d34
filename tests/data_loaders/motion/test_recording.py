"""Motion capture: BVH, ASF/AMC, C3D."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.motion import DataError, load_motion
from tests.data_loaders.motion.files import bvh

ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")


def matrix(order, degrees):
    """Product of elementary rotations, the first axis leftmost: written out, not through Euler angles of a library."""
    result = np.eye(3)
    for axis, value in zip(order, np.radians(degrees)):
        i, j = {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[axis]
        turn = np.eye(3)
        turn[[i, j], [i, j]] = np.cos(value)
        turn[i, j], turn[j, i] = -np.sin(value), np.sin(value)
        result = result @ turn
    return result


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("second", ["ZXY", "YZX"])
def test_bvh_against_elementary_rotations(tmp_path, order, second):

    frames = np.random.default_rng(0).uniform(-170, 170, size=(4, 12))
    (tmp_path / "a.bvh").write_text(bvh(frames, order, second))
    found = load_motion(tmp_path / "a.bvh", up="z")
    for row, (root, chest, neck) in zip(frames, found.sequences[0]):
        first = matrix(order, row[3:6])
        np.testing.assert_allclose(root, row[:3], atol=1e-5)
        np.testing.assert_allclose(chest, root + first @ [1, 20, 0], atol=1e-4)
        np.testing.assert_allclose(neck, chest + first @ matrix(second, row[6:9]) @ [0, 15, -2], atol=1e-4)
    local = load_motion(tmp_path / "a.bvh", up="z", value="local").sequences[0]
    np.testing.assert_allclose(local[0, 2], matrix(order, frames[0, 9:]), atol=1e-6)
    world = load_motion(tmp_path / "a.bvh", up="z", value="rotations").sequences[0]
    np.testing.assert_allclose(world[:, 2], local[:, 0] @ local[:, 1] @ local[:, 2], atol=1e-12)
    assert found.joints == ("hips", "chest", "neck") and found.rate == pytest.approx(50)
    assert found.parent is not None and found.parent.tolist() == [-1, 0, 1]


@pytest.mark.parametrize("value", ["positions", "rotations", "local"])
def test_y_up_becomes_z_up(tmp_path, value):

    (tmp_path / "a.bvh").write_text(bvh(np.random.default_rng(1).uniform(-20, 20, size=(3, 12))))
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    as_is, turned = (load_motion(tmp_path / "a.bvh", up=up, value=value).sequences[0] for up in "zy")
    if value == "positions":
        np.testing.assert_allclose(turned, as_is @ turn.T, atol=1e-12)
        found = load_motion(tmp_path / "a.bvh", scale=0.01)  # upright along y: found without being told
        np.testing.assert_allclose(found.sequences[0], turned / 100, atol=1e-12)
        assert "up: y" in found.notes[0] and "0.01 metres" in found.notes[1]
    else:
        np.testing.assert_allclose(turned[:, 0], turn @ as_is[:, 0], atol=1e-12)
        assert np.allclose(turned[:, 1:], as_is[:, 1:]) == (value == "local")


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text[: len(text) - 30], "a.bvh"),
        (
            lambda text: "\n".join(text.splitlines()[:-2]),
            "found 2 frames, expected 4",
        ),
        (lambda text: text[: text.index("MOTION")], "a.bvh"),
        (lambda text: text.replace("CHANNELS 3 Yrotation", "CHANNELS 3 Wrotation"), "a.bvh.*Wrotation"),
        (lambda text: text.replace("CHANNELS 6", "CHANNELS 5"), "a.bvh.*found 6 names of 5 channels"),
        (lambda text: text.replace("Frame Time: 0.02", "Frame Time: 0"), "a.bvh"),
    ],
)
def test_damaged_bvh(tmp_path, change, message):

    (tmp_path / "a.bvh").write_text(change(bvh(np.ones((4, 12)))))
    with pytest.raises(DataError, match=message) as raised:
        load_motion(tmp_path / "a.bvh")
    assert "\n" not in str(raised.value)


ASF = """:version 1.10
:units
  length 0.5
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name leg
    direction 0 -1 0
    length 8
    axis 0 0 20 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
    id 2
    name foot
    direction 0 0 1
    length 2
    axis 30 -40 20 ZYX
    dof rx rz
  end
:hierarchy
  begin
    root leg
    leg foot
  end
"""
AMC = """:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 10 20 30
leg 15 -25 35
foot 40 50
2
root 0 0 0 0 0 0
leg 0 0 0
foot 0 0
"""


def write_acclaim(tmp_path, asf=ASF, amc=AMC):
    (tmp_path / "07.asf").write_text(asf)
    (tmp_path / "07_01.amc").write_text(amc)
    return tmp_path / "07_01.amc"


def test_acclaim_against_the_formula(tmp_path):
    """Fixed axes in their written order: XYZ is Rz Ry Rx; a bone turns in its own axes, R = C M C^T."""
    found = load_motion(write_acclaim(tmp_path), up="z", scale=1.0)
    root, leg, foot = found.sequences[0][0]
    first = matrix("ZYX", (30, 20, 10))
    own = matrix("ZYX", (20, 0, 0))
    second = first @ own @ matrix("ZYX", (35, -25, 15)) @ own.T
    axes = matrix("XYZ", (20, -40, 30))  # ZYX about fixed axes: Rx Ry Rz
    third = second @ axes @ matrix("XZ", (40, 50)) @ axes.T
    np.testing.assert_allclose(root, [1, 2, 3])
    np.testing.assert_allclose(leg, root + second @ [0, -8, 0], atol=1e-12)
    np.testing.assert_allclose(foot, leg + third @ [0, 0, 2], atol=1e-12)
    np.testing.assert_allclose(found.sequences[0][1], [[0, 0, 0], [0, -8, 0], [0, -8, 2]], atol=1e-12)
    metres = load_motion(write_acclaim(tmp_path)).sequences[0][1]
    np.testing.assert_allclose(metres, np.array([[0, 0, 0], [0, 0, -8], [0, -2, -8]]) * 0.0254 / 0.5, atol=1e-12)


@pytest.mark.parametrize(
    "asf, amc, message",
    [
        (ASF, AMC[:-3], "line 10: found foot with 1 values, expected 2"),
        (ASF, AMC.replace("leg 0 0 0", "leg 0 0"), "line 9: found leg with 2 values, expected 3 values of leg"),
        (ASF, AMC.replace("leg 0 0 0\n", ""), "found 2 bones in frame 2"),
        (ASF, AMC.replace("foot 0", "hand 0"), "found hand with 2 values, expected a bone of the .asf"),
        (ASF.replace("ZYX", "ZYY"), AMC, "bone foot: found axis 30 -40 20 ZYY"),
        (ASF.replace("dof rx rz", "dof rx tz"), AMC, "bone foot: found dof rx tz, expected rx, ry, rz only"),
        (ASF, AMC.replace("leg 0 0 0", "leg 0 x 0"), "line 9: found no number"),
        (ASF.replace(":hierarchy", ":other"), AMC, "found no section :hierarchy"),
        (ASF.replace("    leg foot\n", ""), AMC, "2 roots"),
    ],
)
def test_damaged_acclaim(tmp_path, asf, amc, message):
    with pytest.raises(DataError, match=message):
        load_motion(write_acclaim(tmp_path, asf, amc))


def test_acclaim_without_skeleton(tmp_path):
    (tmp_path / "x.amc").write_text(AMC)
    with pytest.raises(DataError, match=r"found 0 \.asf files beside it"):
        load_motion(tmp_path / "x.amc")


def test_c3d_written_by_ezc3d(tmp_path):
    ezc3d = pytest.importorskip("ezc3d", reason="needs mvnet[motion]")
    points = np.random.default_rng(0).uniform(100, 900, size=(4, 3, 5))  # mm
    points[:3, 1, 2] = np.nan  # not seen
    points[3] = 1
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file["parameters"]["POINT"]["RATE"]["value"] = [100]
    file["parameters"]["POINT"]["LABELS"]["value"] = ["LASI", "RASI", "SACR"]
    file["data"]["points"] = points
    file.write(str(tmp_path / "a.c3d"))
    found = load_motion(tmp_path / "a.c3d")
    np.testing.assert_allclose(found.sequences[0], points[:3].transpose(2, 1, 0) / 1000, rtol=1e-6)
    assert found.joints == ("LASI", "RASI", "SACR") and found.rate == 100 and found.parent is None
    assert np.isnan(found.sequences[0]).sum() == 3
    whole = (tmp_path / "a.c3d").read_bytes()
    (tmp_path / "cut.c3d").write_bytes(whole[:700])
    with pytest.raises(DataError, match=r"cut\.c3d"):
        load_motion(tmp_path / "cut.c3d")


def test_elementary_rotations_of_this_file():
    """The oracle itself, against scipy's intrinsic (upper-case) angles."""
    for order in ORDERS:
        np.testing.assert_allclose(
            matrix(order, (10, 20, 30)), Rotation.from_euler(order, (10, 20, 30), True).as_matrix()
        )
