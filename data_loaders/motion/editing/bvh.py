"""BVH: the text of the hierarchy stays, the numbers of the motion change.

Rotation channels of a joint become the rotation relative to the joint above, and back: of the triples of angles that
describe a rotation that is taken which lies nearest to the one of the file, whole turns included. The root's position
channels are a curve in R^3; those of other joints, which are lengths of bones, stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.editing.recording import ROOT, Curves, Recording
from mvnet.data_loaders.motion.skeleton.tree import forward_kinematics


@dataclass(frozen=True)
class _Joint:
    """name, parent (-1 at the root), offset (3,), and columns of the motion: positions and rotations by axis."""

    name: str
    parent: int
    offset: np.ndarray
    positions: dict[str, int]
    rotations: dict[str, int]


def open_bvh(path: Path) -> Recording:
    """Rotations of the joints, and the position of the root where it moves.

    Raises:
        DataError: damaged, or a motion that does not fit its hierarchy.
    """
    with reading(path, "BVH"):
        head, rows, frames, rate = _split(path)
        joints = _joints(head)
    channels = sum(len(joint.positions) + len(joint.rotations) for joint in joints)
    if rows.size % channels or not rows.size:
        raise DataError(f"{path}: found {rows.size} numbers, expected frames of {channels} channels")
    motion = rows.reshape(-1, channels)
    if len(motion) != frames:
        raise DataError(f"{path}: found {len(motion)} frames, expected {frames}")
    if not np.isfinite(motion).all():
        raise DataError(f"{path}: found values that are not finite, expected numbers")
    parent = np.array([joint.parent for joint in joints])
    local = np.stack([_rotations(motion, joint) for joint in joints], 1)
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
        target.write_text(head + text + "\n", encoding="utf-8")

    def pose(values: Sequence[np.ndarray]) -> np.ndarray:
        offsets = np.broadcast_to(np.stack([joint.offset for joint in joints]), (len(motion), len(joints), 3)).copy()
        for k, joint in enumerate(joints):
            for axis, column in joint.positions.items():
                offsets[:, k, "XYZ".index(axis)] = motion[:, column]
        start = values[1][:, 0] if len(values) > 1 else offsets[:, 0]
        return forward_kinematics(values[0], offsets, parent, start)[0]

    return Recording(path, "bvh", tuple(curves), write, pose, parent, rate)


def _split(path: Path) -> tuple[str, np.ndarray, int, float | None]:
    """The text before the first number of the motion, the numbers, the number of frames, and frames per second."""
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    place = text.index("MOTION")
    line = text.index("\n", text.index("Time", place)) + 1
    words = text[place:line].replace(":", " ").split()
    period, frames = float(words[-1]), int(words[2])  # MOTION, Frames, their number, Frame, Time, seconds
    rows = np.array(text[line:].split(), dtype=np.float64)
    return text[:line], rows, frames, 1 / period if 0 < period < np.inf else None


def _joints(head: str) -> list[_Joint]:
    """The joints in the order of their channels."""
    joints: list[_Joint] = []
    stack: list[int] = []
    name, column = "", 0
    for line in head.partition("MOTION")[0].splitlines():
        words = line.split()
        kind = words[0].upper() if words else ""
        if kind in ("ROOT", "JOINT", "END"):
            name = "" if kind == "END" else " ".join(words[1:])
        elif kind == "{":
            parent = stack[-1] if stack else -1
            if name:
                joints.append(_Joint(name, parent, np.zeros(3), {}, {}))
                stack.append(len(joints) - 1)
            else:
                stack.append(parent)
        elif kind == "}":
            stack.pop()
        elif kind == "OFFSET" and name:
            joints[-1].offset[:] = [float(word) for word in words[1:4]]
        elif kind == "CHANNELS":
            for word in words[2 : 2 + int(words[1])]:
                part = joints[-1].positions if word.lower().endswith("position") else joints[-1].rotations
                part[word[0].upper()] = column
                column += 1
    return joints


def _rotations(motion: np.ndarray, joint: _Joint) -> np.ndarray:
    """(frames, 3, 3): intrinsic, in the order of the channels."""
    from scipy.spatial.transform import Rotation

    if not joint.rotations:
        return np.broadcast_to(np.eye(3), (len(motion), 3, 3))
    angles = motion[:, list(joint.rotations.values())]
    return Rotation.from_euler("".join(joint.rotations), angles, degrees=True).as_matrix()


def _put_angles(motion: np.ndarray, joint: _Joint, rotations: np.ndarray) -> None:
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
