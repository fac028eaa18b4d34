"""BVH files through pybvh.

Each joint has its own order of channels. Angles are intrinsic: Zrotation Xrotation Yrotation is the matrix
Rz Rx Ry, scipy's upper-case "ZXY". Lengths stay in the unit of the file unless `scale` gives metres per unit.
The root alone may move; its position channels replace its offset. End sites are no joints.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import one_recording
from mvnet.data_loaders.motion.skeleton.tree import forward_kinematics
from mvnet.data_loaders.optional import import_optional
from mvnet.data_loaders.text_files import head_lines


def is_bvh(path: Path) -> bool:
    """The first word is HIERARCHY."""
    return [line.strip() for line in head_lines(path, 1)] == ["HIERARCHY"]


def read_bvh(path: Path, options: ReadOptions) -> MotionSet:
    """World positions of the joints (default), world rotations or rotations relative to the joint above ("local").

    Without `up`, y or z, whichever the body extends along further on average, is up; the notes say which.

    Raises:
        DataError: truncated or damaged, numbers of channels that do not agree, values that are not numbers.
    """
    from scipy.spatial.transform import Rotation

    bvh = _open(path)
    joints = [node for node in bvh.nodes if not node.is_end_site()]
    index = {id(node): i for i, node in enumerate(joints)}
    parent = np.array([-1 if node.parent is None else index[id(node.parent)] for node in joints])
    offsets = np.array([node.offset for node in joints], dtype=np.float64)
    angles, root = np.asarray(bvh.joint_angles, dtype=np.float64), np.asarray(bvh.root_pos, dtype=np.float64)
    local = np.stack(
        [Rotation.from_euler(order, angles[:, j]).as_matrix() for j, order in enumerate(bvh.euler_orders)], axis=1
    )
    if not (np.isfinite(local).all() and np.isfinite(root).all()):
        raise DataError(f"{path}: found values that are not finite, expected numbers")
    positions, world = forward_kinematics(local, offsets, parent, root)
    return one_recording(
        path,
        options,
        positions=positions,
        world=world,
        local=local,
        parent=parent,
        joints=tuple(node.name for node in joints),
        rate=1 / bvh.frame_time,
    )


def _open(path: Path) -> Any:
    pybvh = import_optional("pybvh", "motion")
    with reading(path, "BVH"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the vertical axis, which pybvh guesses and we do not use
        bvh = pybvh.read_bvh_file(path)
    if not len(bvh.joint_angles) or not bvh.frame_time > 0:
        raise DataError(f"{path}: found {len(bvh.joint_angles)} frames of {bvh.frame_time} s, expected at least one")
    return bvh
