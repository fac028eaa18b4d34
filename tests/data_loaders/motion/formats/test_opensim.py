"""STO and MOT: orientations, points, joint angles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion

TURNS = Rotation.from_quat(np.random.default_rng(0).normal(size=(10, 4)))
QUATERNIONS = TURNS.as_quat(scalar_first=True).reshape(5, 2, 4)
HEAD = "DataRate=30.000000\nDataType=Quaternion\nversion=3\nOpenSimVersion=4.5\nendheader\n"


def write(path: Path, head: str, names: list[str], values: np.ndarray, times: np.ndarray) -> Path:
    """values (frames, columns, size)."""
    rows = [
        "\t".join([f"{t:.4f}", *(",".join(f"{v:.9f}" for v in cell) for cell in row)]) for t, row in zip(times, values)
    ]
    path.write_text(head + "\t".join(["time", *names]) + "\n" + "\n".join(rows) + "\n")
    return path


def test_orientations(tmp_path: Path) -> None:
    path = write(tmp_path / "a.sto", HEAD, ["pelvis_imu", "torso_imu"], QUATERNIONS, np.arange(5) / 30)
    found = load_motion(path)
    matrices = TURNS.as_matrix().reshape(5, 2, 3, 3)
    np.testing.assert_allclose(found.sequences[0], matrices, atol=1e-8)
    assert (
        found.joints == ("pelvis", "torso") and found.rate == pytest.approx(30, rel=1e-2) and found.timestamps is None
    )
    turned = load_motion(path, up="y").sequences[0]
    np.testing.assert_allclose(turned, np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ matrices, atol=1e-8)


def test_angles_and_points(tmp_path: Path) -> None:
    head, uneven = (
        "Coordinates\nversion=1\nnRows=5\nnColumns=3\ninDegrees=yes\n\nendheader\n",
        np.array([0, 1, 2, 4, 5.0]),
    )
    angles = np.random.default_rng(1).normal(size=(5, 2, 1)).round(6)
    found = load_motion(write(tmp_path / "a.mot", head, ["hip_flexion_r", "knee_angle_r"], angles, uneven))
    np.testing.assert_allclose(found.sequences[0], angles[..., 0])
    assert found.channels == ("hip_flexion_r", "knee_angle_r") and found.notes == ("angles in degrees",)
    np.testing.assert_allclose(np.concatenate(found.timestamps or ()), uneven)
    points = np.random.default_rng(2).uniform(size=(5, 2, 3))
    x, y, z = np.moveaxis(points, -1, 0)
    found = load_motion(write(tmp_path / "b.sto", "DataType=Vec3\nUnits=m\nendheader\n", ["a", "b"], points, uneven))
    np.testing.assert_allclose(found.sequences[0], np.stack((x, -z, y), -1), atol=1e-8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.rstrip().rpartition("\t")[0], "row 5: found 2 columns, expected 3: truncated"),
        (lambda text: text[:-30], "row 5: found 2 columns, expected 3|cell of another size"),
        (lambda text: text.replace("0.0333", "9.0333"), "expected times that grow"),
        (lambda text: text.partition("time")[0] + "time\ta\n", "found 0 rows"),
        (lambda text: text.replace("0.1000", "x"), "found no number"),
    ],
)
def test_damage(tmp_path: Path, change, words: str) -> None:
    path = write(tmp_path / "a.sto", HEAD, ["a", "b"], QUATERNIONS, np.arange(5) / 30)
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=words):
        load_motion(path)
