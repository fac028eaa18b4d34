"""Skeletons: a tree of joints, given by the joint above each, and the poses it takes.

A bone is named by its lower joint: bone j goes from parent[j] to j. The root has parent -1 and no bone.
"""

from __future__ import annotations

import numpy as np

from mvnet.data_loaders.errors import DataError


def check_parent(parent: np.ndarray, joints: int, source: str = "parent") -> np.ndarray:
    """The array (joints,) int64 with -1 at the root; a root may also be marked by its own index.

    Raises:
        DataError: another length, an index out of range, no root or several, a cycle.
    """
    array = np.asarray(parent)
    if array.shape != (joints,) or array.dtype.kind not in "iuf" or (array != np.round(array)).any():
        raise DataError(f"{source}: parent: found {array.dtype} {array.shape}, expected {joints} integers")
    array = array.astype(np.int64)
    array = np.where(array == np.arange(joints), -1, array)
    if array.min() < -1 or array.max() >= joints:
        raise DataError(
            f"{source}: parent: found indices {array.min()} to {array.max()}, expected -1 (root) to {joints - 1}"
        )
    roots = np.flatnonzero(array < 0)
    if len(roots) != 1:
        raise DataError(f"{source}: parent: found {len(roots)} roots {roots.tolist()[:8]}, expected one (-1)")
    if len(order(array)) < joints:
        raise DataError(f"{source}: parent: found a cycle, expected a tree")
    return array


def order(parent: np.ndarray) -> list[int]:
    """Joints from the root outwards, each after its parent; those of a cycle are absent."""
    found = np.flatnonzero(parent < 0).tolist()
    for joint in found:  # grows while it is read
        found.extend(np.flatnonzero(parent == joint).tolist())
    return found


def children(parent: np.ndarray, joint: int) -> list[int]:
    """The joints right below one."""
    return np.flatnonzero(parent == joint).tolist()


def parent_of_bones(pairs: np.ndarray, joints: int, root: int, source: str = "bones") -> np.ndarray:
    """Parents (joints,) of a tree given by undirected bones (bones, 2), seen from `root`.

    Raises:
        DataError: the bones do not join all joints into one tree.
    """
    pairs = np.asarray(pairs, dtype=np.int64)
    parent = np.full(joints, -2)
    parent[root] = -1
    reached = [root]
    for joint in reached:  # grows while it is read
        ends = np.concatenate((pairs[pairs[:, 0] == joint, 1], pairs[pairs[:, 1] == joint, 0]))
        for end in ends:
            if parent[end] == -2:
                parent[end] = joint
                reached.append(int(end))
    if len(reached) < joints or len(pairs) != joints - 1:
        found = f"{len(pairs)} bones that reach {len(reached)} of {joints} joints from {root}"
        raise DataError(f"{source}: found {found}, expected a tree of all")
    return parent


def bone_vectors(positions: np.ndarray, parent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the bones, and the joints that name them.

    Args:
        positions: (..., joints, 3).
    Returns:
        (..., joints - 1, 3) from parent to joint, and (joints - 1,) the joints, in their order.
    """
    bones = np.flatnonzero(parent >= 0)
    return positions[..., bones, :] - positions[..., parent[bones], :], bones


def forward_kinematics(
    rotations: np.ndarray, offsets: np.ndarray, parent: np.ndarray, root: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the joints from rotations relative to the joint above.

        G_j = G_p R_j,   x_j = x_p + G_p o_j,   p = parent of j

    Args:
        rotations: R (frames, joints, 3, 3).
        offsets: o (joints, 3), or (frames, joints, 3) where joints slide, in the axes of the joint above.
        parent: (joints,).
        root: x of the root (frames, 3).
    Returns:
        positions (frames, joints, 3) in the unit of the offsets, world rotations G (frames, joints, 3, 3).
    """
    world = np.empty_like(rotations)
    positions = np.empty(rotations.shape[:2] + (3,), dtype=rotations.dtype)
    offsets = np.broadcast_to(offsets, positions.shape)
    for joint in order(parent):
        above = parent[joint]
        if above < 0:
            world[:, joint], positions[:, joint] = rotations[:, joint], root
            continue
        world[:, joint] = world[:, above] @ rotations[:, joint]
        step = world[:, above] @ offsets[:, joint, :, None]
        positions[:, joint] = positions[:, above] + step[..., 0]
    return positions, world


Y_UP_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Quarter turn about x that sends y, up in BVH, ASF and camera frames, to z: (x, y, z) -> (x, -z, y)."""
TO_Z_UP = {"x": np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]), "y": Y_UP_TO_Z_UP, "z": np.eye(3)}
"""Rotation that makes an axis the vertical."""
