"""Rotations of the SMPL family, whatever its age."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion

VECTORS = np.random.default_rng(0).normal(scale=0.4, size=(5, 52, 3))
LOCAL = Rotation.from_rotvec(VECTORS[:, :22].reshape(-1, 3)).as_matrix().reshape(5, 22, 3, 3)
OLD = {"poses": VECTORS.reshape(5, -1), "trans": np.zeros((5, 3)), "betas": np.zeros(16), "mocap_framerate": 120.0}
NEW = {"root_orient": VECTORS[:, 0], "pose_body": VECTORS[:, 1:22].reshape(5, 63), "mocap_frame_rate": np.array(60.0)}


@pytest.mark.parametrize(("arrays", "rate"), [(OLD, 120), (NEW | {"trans": np.zeros((5, 3)), "gender": "neutral"}, 60)])
def test_rotations_of_the_body(tmp_path: Path, arrays, rate: float) -> None:
    np.savez(tmp_path / "a_poses.npz", **arrays)
    found = load_motion(tmp_path / "a_poses.npz")
    np.testing.assert_allclose(found.sequences[0], LOCAL, atol=1e-12)
    assert (
        found.kind == "rotations"
        and found.rate == rate
        and found.joints is not None
        and found.joints[21] == "right_wrist"
    )
    assert found.parent is not None and found.parent[:4].tolist() == [-1, 0, 0, 0]
    world = load_motion(tmp_path / "a_poses.npz", value="rotations").sequences[0]
    np.testing.assert_allclose(world[:, 4], LOCAL[:, 0] @ LOCAL[:, 1] @ LOCAL[:, 4], atol=1e-12)  # left knee
    turned = load_motion(tmp_path / "a_poses.npz", up="y").sequences[0]
    np.testing.assert_allclose(turned[:, 0, 2], LOCAL[:, 0, 1], atol=1e-12)
    with pytest.raises(DataError, match="value: found 'positions', expected local or rotations"):
        load_motion(tmp_path / "a_poses.npz", value="positions")


def test_folders_leave_out_what_holds_no_poses(tmp_path: Path) -> None:
    for name in ("walk/s01_poses.npz", "run/s02_poses.npz"):
        (tmp_path / name).parent.mkdir()
        np.savez(tmp_path / name, **OLD)
    np.savez(tmp_path / "walk/shape.npz", betas=np.zeros(16))
    found = load_motion(tmp_path)
    assert found.classes == ("run", "walk") and "walk/shape.npz" in found.notes[0]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (OLD | {"poses": np.zeros((5, 30))}, "expected at least 66 numbers a frame"),
        (OLD | {"poses": np.zeros((5, 156), int)}, "expected floating point"),
        ({"pose_body": np.zeros((5, 63)), "trans": np.zeros((5, 3))}, "found no root_orient"),
    ],
)
def test_other_arrays(tmp_path: Path, arrays, words: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=words):
        load_motion(tmp_path / "a.npz")
