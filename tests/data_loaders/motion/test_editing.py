"""Recordings written back in their own format: one battery for every format of EDITABLE."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import MotionSet, load_motion, save_motion
from mvnet.data_loaders.motion.editing import EDITABLE, open_recording
from tests.data_loaders.motion.files import bvh, trc

FRAMES = 12
RANDOM = np.random.default_rng(0)


def positions(joints: int = 3) -> np.ndarray:
    """(frames, joints, 3) with a gap, millimetres."""
    x = RANDOM.uniform(100, 900, (FRAMES, joints, 3))
    x[3:5, 1] = np.nan
    return x


def write_bvh(folder: Path) -> Path:
    frames = RANDOM.uniform(-170, 170, (FRAMES, 12))
    (folder / "a.bvh").write_text(bvh(frames))
    return folder / "a.bvh"


def write_c3d(folder: Path) -> Path:
    ezc3d = pytest.importorskip("ezc3d", reason="needs mvnet[motion]")
    file, x = ezc3d.c3d(), positions()
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file["parameters"]["POINT"]["RATE"]["value"] = [100]
    file["parameters"]["POINT"]["LABELS"]["value"] = ["LASI", "RASI", "SACR"]
    file["data"]["points"] = np.concatenate([x.transpose(2, 1, 0), np.ones((1, 3, FRAMES))])
    file.write(str(folder / "a.c3d"))
    return folder / "a.c3d"


def write_trc(folder: Path) -> Path:
    (folder / "a.trc").write_text(trc(positions(), ("LASI", "RASI", "SACR")))
    return folder / "a.trc"


def write_npz(folder: Path) -> Path:
    x = positions(4)
    motions = MotionSet([x, x[:5] + 1], parent=np.array([-1, 0, 1, 1]), labels=np.array([0, 1]), classes=("a", "b"))
    return save_motion(motions, folder / "a.npz")


FILES: dict[str, Callable[[Path], Path]] = {"bvh": write_bvh, "c3d": write_c3d, "trc": write_trc, "npz": write_npz}


def test_every_format_is_tried():
    assert set(FILES) == set(EDITABLE)


@pytest.fixture(params=EDITABLE)
def recording(request, tmp_path):
    return open_recording(FILES[request.param](tmp_path))


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of values seen in both."""
    return float(np.nanmax(np.abs(a - b)))


def test_the_same_values_give_the_same_motion(recording, tmp_path):
    target = tmp_path / f"out{recording.path.suffix}"
    values = [np.where(np.isfinite(c.values), c.values, 0.0) for c in recording.curves]
    recording.write(target, values)
    again = open_recording(target)
    assert again.format == recording.format and again.rate == recording.rate
    for before, after, given in zip(recording.curves, again.curves, values):
        assert (before.name, before.joints) == (after.name, after.joints)
        assert apart(after.values, given) < 1e-4 or recording.format == "c3d"  # where 0 is "not seen"
        assert (
            apart(
                np.where(before.seen[(...,) + (None,) * (before.values.ndim - 2)], after.values, np.nan), before.values
            )
            < 1e-4
        )


def test_changed_values_are_read_back(recording, tmp_path):
    target = tmp_path / f"out{recording.path.suffix}"
    turn = Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix()
    values = [turn @ c.values if c.is_rotations else np.nan_to_num(c.values) @ turn.T + 5 for c in recording.curves]
    recording.write(target, values)
    for after, given in zip(open_recording(target).curves, values):
        assert after.seen.all() and apart(after.values, given) < 1e-3
    pose = recording.pose(values)
    assert pose.shape[0] == len(values[0]) and pose.shape[2] == 3


def test_readers_and_editors_agree(recording):
    motions = load_motion(recording.path, **({"value": "local", "up": "z"} if recording.format == "bvh" else {}))
    scale = 1e-3 if recording.format in ("c3d", "trc") else 1.0
    expected = motions.sequences[0]
    if recording.format == "trc":  # y up
        expected = expected[..., [0, 2, 1]] * [1, 1, -1]
    assert apart(scale * recording.curves[0].values, expected) < 1e-6


def test_bvh_keeps_its_text_and_the_nearest_angles(tmp_path):
    recording = open_recording(write_bvh(tmp_path))
    target = tmp_path / "out.bvh"
    recording.write(target, [c.values for c in recording.curves])
    before, after = ((p.read_text().partition("MOTION\n")) for p in (recording.path, target))
    assert before[0] == after[0]
    numbers = [np.array([line.split() for line in part[2].splitlines()[2:]], dtype=float) for part in (before, after)]
    assert np.abs(numbers[0] - numbers[1]).max() < 1e-3


def test_bvh_joints_may_slide_and_have_fewer_angles(tmp_path):
    text = bvh(RANDOM.uniform(-40, 40, (4, 12)))
    text = text.replace("CHANNELS 3 Yrotation Zrotation Xrotation", "CHANNELS 3 Xposition Yposition Zrotation", 1)
    (tmp_path / "a.bvh").write_text(text)
    recording = open_recording(tmp_path / "a.bvh")
    recording.write(tmp_path / "out.bvh", [c.values for c in recording.curves])
    rows = [
        np.array([line.split() for line in p.read_text().splitlines()[-4:]], dtype=float)
        for p in (tmp_path / "a.bvh", tmp_path / "out.bvh")
    ]
    assert np.abs(rows[0] - rows[1]).max() < 1e-3
    world = recording.pose([c.values for c in recording.curves])
    assert np.allclose(np.linalg.norm(world[:, 1] - world[:, 0], axis=-1), np.linalg.norm(rows[0][:, [6, 7]], axis=1))


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.txt", "hello", "unknown format"),
        ("a.bvh", bvh(np.zeros((3, 12)))[:-10], "numbers, expected frames of 12 channels"),
        ("a.bvh", bvh(np.zeros((3, 12))).replace("Frames: 3", "Frames: 4"), "found 3 frames, expected 4"),
        ("a.bvh", bvh(np.zeros((3, 12))).replace("0.000000", "nan", 1), "not finite"),
        ("a.bvh", "HIERARCHY\nROOT a\n{\n", "cannot be read as BVH"),
        ("a.trc", trc(np.zeros((3, 3, 3))).rstrip() + "\t9\n", r"found 12 columns in line \d+, expected 11"),
        (
            "a.trc",
            "\n".join(trc(np.zeros((3, 3, 3))).splitlines()[:6]) + "\n",
            "found no frames of markers, expected 11",
        ),
        ("a.trc", "PathFileType\t4\nDataRate\n", "cannot be read as TRC"),
    ],
)
def test_what_cannot_be_edited_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        open_recording(tmp_path / name)
    with pytest.raises(DataError, match="found a folder"):
        open_recording(tmp_path)


def test_signals_are_no_curves(tmp_path):
    path = save_motion(MotionSet([np.zeros((5, 3))], "signals"), tmp_path / "a.npz")
    with pytest.raises(DataError, match="found signals"):
        open_recording(path)
