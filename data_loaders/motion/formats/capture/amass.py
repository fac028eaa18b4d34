"""AMASS and other .npz of the SMPL family: rotations of joints relative to the joint above, as axis vectors.

    poses (frames, 3 k), k = 24 SMPL, 52 SMPL+H, 55 SMPL-X, the root first;
    or root_orient (frames, 3) and pose_body (frames, 63)
    trans (frames, 3) metres, z up; mocap_framerate or mocap_frame_rate

The first 22 joints, of the body, are the same in all of them; hands, jaw and eyes are left out. Without the model of
the body there are no lengths of bones, so that positions cannot be had.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.npz import npz_names
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS
from mvnet.data_loaders.motion.skeleton.tree import TO_Z_UP, order
from mvnet.data_loaders.motion.skeleton.vertical import Vertical
from mvnet.data_loaders.npz_files import read_npz

_BODY = 22
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps", "framerate")


def is_amass(path: Path) -> bool:
    """An .npz with poses or pose_body beside trans, betas or root_orient."""
    names = set(npz_names(path))
    return bool(names & {"poses", "pose_body"}) and bool(names & {"trans", "betas", "root_orient"})


def read_amass(path: Path, options: ReadOptions) -> MotionSet:
    """Rotations (frames, 22, 3, 3): relative to the joint above (default), or with value="rotations" in space.

    Raises:
        DataError: damaged, other numbers of joints, positions asked for.
    Source: Mahmood et al., AMASS, ICCV 2019; Loper et al., SMPL, ACM Trans. Graph. 34 (2015).
    """
    from scipy.spatial.transform import Rotation

    if options.value not in (None, "local", "rotations"):
        raise DataError(
            f"value: found {options.value!r}, expected local or rotations: {path} holds no lengths of bones"
        )
    arrays = read_npz(path)
    vectors = _vectors(path, arrays)
    seen = np.asarray(np.isfinite(vectors).all(-1))
    local = Rotation.from_rotvec(np.where(seen[..., None], vectors, 0.0).reshape(-1, 3)).as_matrix()
    local = np.where(seen[..., None, None], local.reshape(*seen.shape, 3, 3), np.nan)
    layout, up = LAYOUTS["smpl-22"], options.up or "z"
    parent = layout.parents()
    local[:, 0] = TO_Z_UP[up] @ local[:, 0]
    values = local.copy()
    for joint in order(parent)[1:] if options.value == "rotations" else ():
        values[:, joint] = values[:, parent[joint]] @ local[:, joint]
    rate = next((float(arrays[name].ravel()[0]) for name in _RATES if name in arrays and arrays[name].size), None)
    vertical = Vertical(up, "as asked" if options.up else "by convention", local=options.value != "rotations")
    what = "in space" if options.value == "rotations" else "relative to the joint above"
    return MotionSet(
        [values],
        "rotations",
        parent=parent,
        names=(path.stem,),
        joints=layout.joints,
        rate=options.rate or rate,
        source=str(path),
        notes=(vertical.note, f"rotations of the 22 joints of the body, {what}; path, hands and face left out"),
        vertical=vertical,
    )


def _vectors(path: Path, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Axis vectors (frames, 22, 3)."""
    if "poses" in arrays:
        poses = arrays["poses"]
    else:
        parts = [arrays.get("root_orient"), arrays["pose_body"]]
        if any(part is None or part.ndim != 2 or len(part) != len(parts[1]) for part in parts):
            raise DataError(f"{path}: pose_body: found no root_orient of as many frames, expected both")
        poses = np.concatenate([np.asarray(part) for part in parts], axis=1)
    if poses.dtype.kind != "f" or poses.ndim not in (2, 3) or not len(poses):
        raise DataError(f"{path}: poses: found {poses.dtype} {poses.shape}, expected floating point (frames, 3 joints)")
    flat = poses.reshape(len(poses), -1)
    if flat.shape[1] % 3 or flat.shape[1] < 3 * _BODY:
        raise DataError(f"{path}: poses: found {poses.shape}, expected at least {3 * _BODY} numbers a frame")
    return flat[:, : 3 * _BODY].reshape(-1, _BODY, 3).astype(np.float64)
