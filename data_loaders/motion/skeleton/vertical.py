"""Which axis of a recording is up, where its file does not say.

    asked, declared or by convention of the format     taken as it is
    rest pose (joints above each other by offsets)      y or z, whichever it extends along clearly farther
    recordings that stand                               y or z, by the extent of the body

A rest pose belongs to the skeleton, so that a body that lies does not change the answer. Some files stand up a rest
pose by turning the root: where the bodies extend farther along the other axis, that one is up if they stand on its zero
and not on that of the rest pose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mvnet.data_loaders.motion.skeleton.tree import order

_CLEAR, _LEAST = 1.5, 0.4  # of the rest pose: longer over shorter of y and z, and the longer one over x
_LYING = 1.25  # extent along another axis over that along the vertical, from which it is doubted
_GROUND = -0.03, 0.15  # lowest point of a recording over the size of the body, where it stands on zero


@dataclass(frozen=True)
class Vertical:
    """axis: "x", "y" or "z" of the file, z of the motions. reason: in words.

    extents: mean extent of the body along y and z of the file, where the axis is a guess; None where it is known.
    rest: whether the guess is that of the rest pose. local: rotations that are relative to the joint above.
    """

    axis: str
    reason: str
    extents: tuple[float, float] | None = None
    rest: bool = False
    local: bool = False

    @property
    def note(self) -> str:
        """For the notes of a set."""
        return f"up: {self.axis} ({self.reason})"


def guess_vertical(positions: np.ndarray, rest: np.ndarray | None = None) -> Vertical:
    """The vertical axis of one recording, y or z.

    Args:
        positions: (frames, joints, 3) in the axes of the file, NaN where missing.
        rest: (joints, 3) pose without any rotation; None where there is none.
    """
    seen = positions[np.isfinite(positions).all((1, 2))]
    spans = np.ptp(seen if len(seen) else np.nan_to_num(positions), axis=1).mean(0)
    extents = float(spans[1]), float(spans[2])
    if rest is not None:
        x, y, z = np.ptp(rest, axis=0)
        if max(y, z) > _CLEAR * min(y, z) and max(y, z) > _LEAST * x:
            axis, other = (1, 2) if y > z else (2, 1)
            lowest = np.nanmin(positions, axis=(0, 1)) / np.linalg.norm(np.ptp(rest, axis=0))
            if spans[other] > _LYING * spans[axis] and _on_ground(lowest[other]) and not _on_ground(lowest[axis]):
                return Vertical("xyz"[other], "the body stands on its zero, its rest pose turned", extents, True)
            return doubted(Vertical("xyz"[axis], "the rest pose stands along it", extents, True))
    return Vertical("y" if extents[0] >= extents[1] else "z", "the body extends farthest along it", extents)


def _on_ground(lowest: float) -> bool:
    return _GROUND[0] <= lowest <= _GROUND[1]


def rest_pose(positions: np.ndarray, world: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """The pose in which no joint is rotated.

        r_j = r_p + mean_t G_p^T (x_j - x_p),   p = parent of j

    Args:
        positions: x (frames, joints, 3). world: rotations G (frames, joints, 3, 3) in space. parent: (joints,).
    Returns:
        r (joints, 3), the root at 0.
    """
    rest = np.zeros(positions.shape[1:])
    for joint in order(parent)[1:]:
        above = parent[joint]
        step = positions[:, joint] - positions[:, above]
        rest[joint] = rest[above] + np.einsum("tba,tb->ta", world[:, above], step).mean(0)
    return rest


def doubted(vertical: Vertical) -> Vertical:
    """With a word where the bodies extend along the other axis."""
    y, z = vertical.extents or (1.0, 1.0)
    other = "z" if vertical.axis == "y" else "y"
    along, across = (y, z) if vertical.axis == "y" else (z, y)
    if across <= _LYING * along or "extends" in vertical.reason:
        return vertical
    return replace(vertical, reason=f"{vertical.reason}, the body extends farther along {other}; say up if wrong")
