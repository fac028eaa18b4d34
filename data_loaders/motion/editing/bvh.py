"""BVH: the text of the hierarchy stays, the numbers of the motion change.

Rotation channels of a joint become the rotation relative to the joint above, and back: of the triples of angles that
describe a rotation that is taken which lies nearest to the one of the file, whole turns included. The root's position
channels are a curve in R^3; those of other joints, which are lengths of bones, stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mvnet.data_loaders.motion.editing.recording import ROOT, Curves, Recording
from mvnet.data_loaders.motion.formats.capture.bvh import BvhJoint, parse_bvh
from mvnet.data_loaders.motion.skeleton.tree import forward_kinematics


def open_bvh(path: Path) -> Recording:
    """Rotations of the joints, and the position of the root where it moves.

    Raises:
        DataError: damaged, or a motion that does not fit its hierarchy.
    """
    bvh = parse_bvh(path)
    joints, motion, parent = bvh.joints, bvh.motion, bvh.parent
    local, (offsets, _) = bvh.rotations(), bvh.offsets()
    seen, names = np.ones(local.shape[:2], dtype=bool), tuple(joint.name for joint in joints)
    curves = [Curves("rotations", local, seen, parent, names)]
    root = [joints[0].positions[axis] for axis in "XYZ" if axis in joints[0].positions]
    if len(root) == 3:
        curves.append(Curves(ROOT, motion[:, None, root], seen[:, :1], None, names[:1], "units of the file"))

    def change(values: Sequence[np.ndarray]) -> np.ndarray:
        changed = motion.copy()
        for k, joint in enumerate(joints):
            _put_angles(changed, joint, values[0][:, k])
        if len(values) > 1:
            changed[:, root] = values[1][:, 0]
        return changed

    def write(target: Path, values: Sequence[np.ndarray]) -> None:
        text = "\n".join(" ".join(f"{x:.6f}" for x in row) for row in change(values))
        target.write_text(bvh.head + text + "\n", encoding="utf-8", errors="surrogateescape")

    def pose(values: Sequence[np.ndarray]) -> np.ndarray:
        start = values[1][:, 0] if len(values) > 1 else offsets[:, 0]
        return forward_kinematics(values[0], offsets, parent, start)[0]

    return Recording(path, "bvh", tuple(curves), write, pose, parent, 1 / bvh.period)


def _put_angles(motion: np.ndarray, joint: BvhJoint, rotations: np.ndarray) -> None:
    """Write the angles of rotations (frames, 3, 3) into the columns of a joint."""
    from scipy.spatial.transform import Rotation

    order, columns = "".join(joint.rotations), list(joint.rotations.values())
    if not order:
        return
    full = order + "".join(axis for axis in "XYZ" if axis not in order)
    if len(set(full)) != 3:
        return
    angles = Rotation.from_matrix(rotations).as_euler(full, degrees=True)
    other = np.stack([angles[:, 0] + 180, 180 - angles[:, 1], angles[:, 2] + 180], 1)
    before = motion[:, columns]
    choices = []
    for found in (angles, other):
        found = found[:, : len(columns)]
        choices.append(found - 360 * np.round((found - before) / 360))
    first, second = (np.abs(choice - before).sum(1) for choice in choices)
    motion[:, columns] = np.where((first <= second)[:, None], *choices)
