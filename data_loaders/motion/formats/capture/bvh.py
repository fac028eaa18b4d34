"""BVH: a tree of joints with offsets, and a row of channels for each frame.

Each joint has its own channels in its own order. Angles are intrinsic and in degrees: Zrotation Xrotation Yrotation is
the matrix Rz Rx Ry, scipy's upper-case "ZXY". Lengths stay in the unit of the file unless `scale` gives metres per
unit. End sites are no joints.

Position channels replace the offset of their joint, at the root and below; below the root some programs write what is
to be added to the offset instead, which shows where these positions are small beside the offsets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.joint_names import plain_names
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import one_recording
from mvnet.data_loaders.motion.skeleton.tree import forward_kinematics
from mvnet.data_loaders.text_files import head_lines

_MOTION = re.compile(r"^[ \t]*MOTION\b", re.MULTILINE)
_SMALL = 0.1  # positions beside offsets, where they are additions
_CHANNEL = re.compile(r"([XYZ])(position|rotation|scale)", re.IGNORECASE)


@dataclass(frozen=True)
class BvhJoint:
    """name, parent (-1 at the root), offset (3,), columns of positions and rotations by axis, in their order."""

    name: str
    parent: int
    offset: np.ndarray
    positions: dict[str, int] = field(default_factory=dict)
    rotations: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class BvhFile:
    """head: the text before the numbers. joints: in the order of their channels. motion (frames, channels).

    period: seconds of a frame.
    """

    head: str
    joints: tuple[BvhJoint, ...]
    motion: np.ndarray
    period: float

    @property
    def parent(self) -> np.ndarray:
        """(joints,), -1 at the root."""
        return np.array([joint.parent for joint in self.joints])

    def rotations(self) -> np.ndarray:
        """Rotations relative to the joint above, (frames, joints, 3, 3); the identity without channels."""
        return np.stack([_rotations(self.motion, joint) for joint in self.joints], axis=1)

    def offsets(self) -> tuple[np.ndarray, bool]:
        """Where each joint lies in the axes of the one above, (frames, joints, 3); whether positions were added."""
        fixed = np.stack([joint.offset for joint in self.joints])
        offsets = np.broadcast_to(fixed, (len(self.motion), *fixed.shape)).copy()
        below = [(k, "XYZ".index(a), c) for k, j in enumerate(self.joints) if k for a, c in j.positions.items()]
        moved = np.array([self.motion[:, column] for _, _, column in below])
        rest = np.array([fixed[k, axis] for k, axis, _ in below])[:, None]
        added = bool(below) and bool(np.abs(moved).sum() < _SMALL * np.abs(rest + 0 * moved).sum())
        for axis, column in self.joints[0].positions.items():
            offsets[:, 0, "XYZ".index(axis)] = self.motion[:, column]
        for (k, axis, _), values in zip(below, moved):
            offsets[:, k, axis] = values + added * fixed[k, axis]
        return offsets, added


def is_bvh(path: Path) -> bool:
    """The first word is HIERARCHY."""
    return any(line.split()[:1] == ["HIERARCHY"] for line in head_lines(path, 5)[:1])


def read_bvh(path: Path, options: ReadOptions) -> MotionSet:
    """World positions of the joints (default), world rotations or rotations relative to the joint above ("local").

    Raises:
        DataError: truncated or damaged, numbers of channels that do not agree, values that are not numbers.
    """
    bvh = parse_bvh(path)
    local, (offsets, added) = bvh.rotations(), bvh.offsets()
    positions, world = forward_kinematics(local, offsets, bvh.parent, offsets[:, 0])
    notes = []
    if not bvh.joints[0].positions:
        notes.append("the root has no position channels and stays at its offset")
    if added:
        notes.append("positions of joints taken as additions to their offsets")
    motions = one_recording(
        path,
        options,
        positions=positions,
        world=world,
        local=local,
        parent=bvh.parent,
        joints=plain_names([joint.name for joint in bvh.joints]),
        rate=_rate(bvh.period),
    )
    return replace(motions, notes=(*motions.notes, *notes))


def _rate(period: float) -> float:
    """Frames per second, whole where the digits of the period do not say otherwise: 0.033333 is 30."""
    rate = 1 / period
    return float(round(rate)) if abs(rate - round(rate)) < 1e-4 * rate else rate


def parse_bvh(path: Path) -> BvhFile:
    """The parts of a file.

    Raises:
        DataError: damaged, no or several roots, a number of channels other than declared, another number of frames.
    """
    with reading(path, "BVH"):
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
        start = next(_MOTION.finditer(text)).start()
        joints, columns = _joints(path, text[:start])
        place = text.index("\n", text.index("Time", start)) + 1
        words = text[start:place].replace(":", " ").replace(",", ".").split()
        frames, period = int(words[2]), float(words[-1])  # MOTION, Frames, their number, Frame, Time, seconds
        body = text[place:]
        numbers = np.array((body if "." in body else body.replace(",", ".")).split(), dtype=np.float64)
    if not columns or numbers.size % columns or not numbers.size:
        raise DataError(f"{path}: found {numbers.size} numbers, expected frames of {columns} channels")
    motion = numbers.reshape(-1, columns)
    if len(motion) != frames:
        raise DataError(f"{path}: found {len(motion)} frames, expected {frames} as it declares")
    if not np.isfinite(motion).all():
        raise DataError(f"{path}: found values that are not finite, expected numbers")
    if not 0 < period < np.inf:
        raise DataError(f"{path}: found a frame time of {period} s, expected one above 0")
    return BvhFile(text[:place], joints, motion, period)


def _joints(path: Path, head: str) -> tuple[tuple[BvhJoint, ...], int]:
    """The joints in the order of their channels, and the number of these."""
    joints: list[BvhJoint] = []
    stack: list[int] = []
    name, column = "", 0
    for line in head.replace("{", "\n{\n").replace("}", "\n}\n").splitlines():
        words = line.split()
        kind = words[0].upper() if words else ""
        if kind in ("ROOT", "JOINT", "END"):
            name = "" if kind == "END" else " ".join(words[1:]) or f"joint {len(joints) + 1}"
        elif kind == "{":
            parent = stack[-1] if stack else -1
            if name:
                joints.append(BvhJoint(name, parent, np.zeros(3)))
            stack.append(len(joints) - 1 if name else parent)
        elif kind == "}":
            stack.pop()
        elif kind == "OFFSET" and name:
            joints[-1].offset[:] = [float(word.replace(",", ".")) for word in words[1:4]]
        elif kind == "CHANNELS" and name:
            column = _add_channels(path, joints[-1], words[1:], column)
    roots = sum(joint.parent < 0 for joint in joints)
    if len(joints) > 3 * column:  # whose curves would take far more room than the file
        raise DataError(f"{path}: found {column} channels for {len(joints)} joints, expected three for each")
    if roots != 1 or stack:
        found = f"{roots} roots" if roots != 1 else "braces that do not close"
        raise DataError(f"{path}: found {found}, expected one tree of joints")
    return tuple(joints), column


def _add_channels(path: Path, joint: BvhJoint, words: list[str], column: int) -> int:
    """Note the columns of the channels of a joint, from `column` on; returns the column behind them."""
    count, names = int(words[0]), words[1:]
    found = [_CHANNEL.fullmatch(word) for word in names]
    wrong = [word for word, match in zip(names, found) if match is None]
    if wrong or len(names) != count:
        what = f"the channel {wrong[0]}" if wrong else f"{len(names)} names of {count} channels"
        raise DataError(f"{path}: joint {joint.name}: found {what}, expected Xposition, Zrotation and so on, all named")
    for match in found:
        assert match is not None
        axis, kind = match.group(1).upper(), match.group(2).lower()
        part = {"position": joint.positions, "rotation": joint.rotations}.get(kind, {})  # scales are passed over
        if axis in part:
            raise DataError(f"{path}: joint {joint.name}: found {match.group(0)} twice, expected it once")
        part[axis] = column
        column += 1
    return column


def _rotations(motion: np.ndarray, joint: BvhJoint) -> np.ndarray:
    """(frames, 3, 3): intrinsic, in the order of the channels."""
    from scipy.spatial.transform import Rotation

    if not joint.rotations:
        return np.broadcast_to(np.eye(3), (len(motion), 3, 3))
    angles = motion[:, list(joint.rotations.values())]
    return Rotation.from_euler("".join(joint.rotations), angles, degrees=True).as_matrix()
