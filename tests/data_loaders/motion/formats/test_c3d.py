"""C3D: what is a marker and what is not, names, units, the vertical, matrices of segments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion
from mvnet.data_loaders.motion.editing import open_recording

ezc3d = pytest.importorskip("ezc3d", reason="needs mvnet[motion]")
RANDOM = np.random.default_rng(0)
POINTS = RANDOM.uniform(100, 900, size=(5, 3, 3))  # mm
TURNS = Rotation.from_quat(RANDOM.normal(size=(10, 4))).as_matrix().reshape(5, 2, 3, 3)


def write(path: Path, points: np.ndarray, labels: list[str], unit: str = "mm", **parameters: Any) -> Path:
    """points (frames, n, 3). parameters: of the group POINT; `matrices` (frames, n, 4, 4) of the group ROTATION."""
    file = ezc3d.c3d()
    matrices = parameters.pop("matrices", None)
    point = file["parameters"]["POINT"]
    point["UNITS"]["value"], point["RATE"]["value"], point["LABELS"]["value"] = [unit], [100.0], labels
    for name, value in parameters.items():
        file.add_parameter("POINT", name, value)
    file["data"]["points"] = np.concatenate([points.transpose(2, 1, 0), np.ones((1, len(labels), len(points)))])
    if matrices is not None:
        file["data"]["rotations"] = matrices.transpose(2, 3, 1, 0)
        file.add_parameter("ROTATION", "LABELS", [f"part{k}_4X4" for k in range(matrices.shape[1])])
        file.add_parameter("ROTATION", "USED", [matrices.shape[1]])
        file.add_parameter("ROTATION", "RATE", [100.0])
    file.write(str(path))
    return path


def test_only_markers_with_labels_are_joints(tmp_path: Path) -> None:
    """Outputs are listed with or without the subject, or named so; *21 is nobody's."""
    labels = ["S01:LASI", "S01:RASI", "S01:SACR", "S01:LKnee", "S01:LHipAngles", "S01:Total", "*21", "S01:Torque"]
    values = np.concatenate([POINTS, 1e6 * RANDOM.normal(size=(5, 5, 3))], axis=1)
    listed: dict[str, Any] = {"ANGLES": ["LKnee"], "POWERS": ["S01:Total"], "TYPE_GROUPS": ["TORQUES", "TORQUE_UNITS"]}
    path = write(tmp_path / "a.c3d", values, labels, TORQUES=["Torque"], **listed)
    found = load_motion(path)
    assert found.joints == ("LASI", "RASI", "SACR")
    np.testing.assert_allclose(found.sequences[0], POINTS / 1000, rtol=1e-6)
    assert any("4 angles" in note for note in found.notes) and any("without a label" in note for note in found.notes)
    recording = open_recording(path)  # what is computed from markers is written back as it was
    recording.write(tmp_path / "b.c3d", [curves.values + 1 for curves in recording.curves])
    before, after = (ezc3d.c3d(str(tmp_path / name))["data"]["points"] for name in ("a.c3d", "b.c3d"))
    np.testing.assert_array_equal(before[:3, [3, 4, 5, 7]], after[:3, [3, 4, 5, 7]])
    np.testing.assert_allclose(after[:3, :3] - before[:3, :3], 1, atol=1e-3)


def test_one_subject_of_two(tmp_path: Path) -> None:
    """The one seen most, under the same names as where there is one."""
    labels = [f"{who}:{name}" for who in ("A", "B") for name in ("LASI", "RASI", "SACR")]
    both = np.concatenate((np.where(np.arange(5)[:, None, None] < 2, np.nan, POINTS + 9), POINTS), axis=1)
    found = load_motion(write(tmp_path / "a.c3d", both, labels))
    np.testing.assert_allclose(found.sequences[0], POINTS / 1000, rtol=1e-6)
    assert found.joints == ("LASI", "RASI", "SACR") and any("A, B of the file B is kept" in n for n in found.notes)


def test_without_any_label_all_points_are_markers(tmp_path: Path) -> None:
    found = load_motion(write(tmp_path / "a.c3d", POINTS, ["", "", ""]))
    assert found.joints == ("marker 1", "marker 2", "marker 3")
    twice = load_motion(write(tmp_path / "b.c3d", POINTS, ["toe", "toe", "heel"]))
    assert twice.joints == ("toe", "toe 2", "heel")


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1e-3), ("meters", 1.0), ("", 1e-3), ("Centimetres", 1e-2)])
def test_units(tmp_path: Path, unit: str, scale: float) -> None:
    found = load_motion(write(tmp_path / "a.c3d", POINTS, ["a", "b", "c"], unit))
    np.testing.assert_allclose(found.sequences[0], POINTS * scale, rtol=1e-6)
    assert any("by the size" in note for note in found.notes) == (unit == "")
    with pytest.raises(DataError, match="found unit 'furlong', expected one of m, cm, mm, in; give scale"):
        load_motion(write(tmp_path / "b.c3d", POINTS, ["a", "b", "c"], "furlong"))


def test_the_screen_names_the_vertical(tmp_path: Path) -> None:
    found = load_motion(write(tmp_path / "a.c3d", POINTS, ["a", "b", "c"], X_SCREEN=["+X"], Y_SCREEN=["+Y"]))
    x, y, z = np.moveaxis(POINTS, -1, 0) / 1000
    np.testing.assert_allclose(found.sequences[0], np.stack((x, -z, y), -1), rtol=1e-6)


def test_matrices_of_segments(tmp_path: Path) -> None:
    """Poses in space, NaN where a matrix is none; markers come first, if there are any."""
    matrices = np.zeros((5, 2, 4, 4))
    matrices[..., :3, :3], matrices[..., :3, 3], matrices[..., 3, 3] = TURNS, POINTS[:, :2], 1
    matrices[3, 1] = 0
    expected = TURNS.copy()
    expected[3, 1] = np.nan
    for labels in ([], ["a", "b", "c"]):
        path = write(tmp_path / "a.c3d", POINTS[:, : len(labels)], labels, matrices=matrices)
        found = load_motion(path, value="rotations")
        np.testing.assert_allclose(found.sequences[0], expected, atol=1e-6)
        assert found.joints == ("part0", "part1") and found.rate == 100
        assert load_motion(path).kind == ("positions" if labels else "rotations")
    write(tmp_path / "a.c3d", POINTS[:, :0], [], matrices=matrices)
    np.testing.assert_allclose(load_motion(path, value="positions").sequences[0][0], POINTS[0, :2] / 1000, rtol=1e-6)
    with pytest.raises(DataError, match="found 0 markers"):
        load_motion(write(tmp_path / "none.c3d", POINTS[:, :0], []))


def test_names_of_hdm05(tmp_path: Path) -> None:
    found = load_motion(write(tmp_path / "HDM_bk_walk2StepsLstart_001_120.c3d", POINTS, ["a", "b", "c"]))
    assert found.classes == ("walk2StepsLstart",) and found.require_subjects().tolist() == ["bk"]
    whole = load_motion(write(tmp_path / "HDM_bk_01-02_03_120.c3d", POINTS, ["a", "b", "c"]))
    assert whole.labels is None and whole.require_subjects().tolist() == ["bk"]
