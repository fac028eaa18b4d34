"""The axes of the torso, found from the tree of the joints and how they lie, without their names.

    up       from the middle of the lower pair of joints to the middle of the upper pair
    right    from the first to the second joint of both pairs together, made orthogonal to up
    forward  up x right

Pairs. Two limbs hang below one joint, have the same tree and the same lengths (within a quarter): arms, legs. Of all
such pairs the two longest count, so that fingers do not. Each is represented by the first joints along the limbs that
are apart. The pair that lies higher on average is the upper one; which of its joints comes first is the order of the
file, and the lower pair is swapped to agree with it. So "right" may be the left: it only has to be the same always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.skeleton.tree import children

_ALIKE = 0.25  # by which the lengths of two limbs may differ
_APART = 0.05  # of the length of the limb


@dataclass(frozen=True)
class Torso:
    """low, high: indices of a pair of joints each, first and second; a pair (j, j) is a point without direction."""

    low: tuple[int, int]
    high: tuple[int, int]

    def frames(self, positions: Tensor) -> Tensor:
        """Axes of the torso in the world: columns right, forward, up.

        Args:
            positions: (..., joints, 3).
        Returns:
            (..., 3, 3) rotations, NaN where a joint is missing or the pairs give no plane.
        """
        (a, b), (c, d) = self.low, self.high
        x = positions.unbind(-2)
        up = _unit((x[c] + x[d]) - (x[a] + x[b]))
        across = (x[b] - x[a]) + (x[d] - x[c])
        right = _unit(across - (across * up).sum(-1, keepdim=True) * up, across)
        return torch.stack((right, torch.linalg.cross(up, right), up), -1)


def _unit(v: Tensor, scale: Tensor | None = None) -> Tensor:
    """v / |v|, NaN where v is 0 or rounding beside `scale`."""
    norm = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    floor = 0.0 if scale is None else 1e-5 * torch.linalg.vector_norm(scale, dim=-1, keepdim=True)
    return torch.where(norm > floor, v / norm, torch.nan)


def find_torso(parent: np.ndarray, sequences: Sequence[np.ndarray]) -> Torso:
    """The torso of a skeleton.

    Where only one pair of limbs exists the other pair is a point: the root, or the joint of the trunk beside it.

    Args:
        parent: (joints,), -1 at the root.
        sequences: positions (frames, joints, 3), z up, of training recordings only; NaN where missing.
    Raises:
        DataError: no two limbs alike, so that the pairs have to be given: Torso(low=(l, r), high=(l, r)).
    """
    frames = np.concatenate([np.asarray(sequence, dtype=np.float64) for sequence in sequences])
    lengths = np.array([_mean_distance(frames, j, parent[j]) if parent[j] >= 0 else 0.0 for j in range(len(parent))])
    limbs = _pairs_of_limbs(parent, lengths)
    pairs = [_joints_apart(frames, parent, lengths, *limb) for limb in limbs[:2]]
    if not pairs:
        raise DataError("parent: found no two limbs alike, expected arms or legs; give Torso(low=(l, r), high=(l, r))")
    if len(pairs) == 1:
        point = _trunk(parent, limbs[0])
        pairs.append((point, point))
    low, high = sorted(pairs, key=lambda pair: float(np.nanmean(frames[:, list(pair), 2])))
    across = [frames[:, second] - frames[:, first] for first, second in (low, high)]
    agreement = np.nanmean((across[0] * across[1]).sum(-1))
    return Torso((low[1], low[0]) if agreement < 0 else low, high)


def _mean_distance(frames: np.ndarray, a: int, b: int) -> float:
    distances = np.linalg.norm(frames[:, a] - frames[:, b], axis=-1)
    return float(np.nanmean(distances)) if np.isfinite(distances).any() else 0.0


def _below(parent: np.ndarray, joint: int) -> list[int]:
    """The joint and all below it, the longest branch first at every fork."""
    found = [joint]
    for child in sorted(children(parent, joint), key=lambda c: _shape(parent, c), reverse=True):
        found.extend(_below(parent, child))
    return found


def _shape(parent: np.ndarray, joint: int) -> str:
    """The same text for the same tree below: "(" children in order ")"."""
    return "(" + "".join(sorted((_shape(parent, child) for child in children(parent, joint)), reverse=True)) + ")"


def _pairs_of_limbs(parent: np.ndarray, lengths: np.ndarray) -> list[tuple[int, int]]:
    """First joints of limbs alike, each limb in one pair, the longest limbs first."""
    candidates = []
    for joint in range(len(parent)):
        below = [child for child in children(parent, joint) if children(parent, child)]
        for i, one in enumerate(below):
            for other in below[i + 1 :]:
                if _shape(parent, one) != _shape(parent, other):
                    continue
                limb, twin = (lengths[_below(parent, first)[1:]].sum() for first in (one, other))
                difference = abs(limb - twin) / max(limb, twin, 1e-12)
                if difference < _ALIKE:
                    candidates.append((difference, limb + twin, one, other))
    chosen, used = [], set()
    for _, length, one, other in sorted(candidates):
        if one not in used and other not in used:
            used |= {one, other}
            chosen.append((length, one, other))
    return [(one, other) for _, one, other in sorted(chosen, key=lambda pair: (-pair[0], pair[1]))]


def _joints_apart(frames: np.ndarray, parent: np.ndarray, lengths: np.ndarray, one: int, other: int) -> tuple[int, int]:
    """The first joints along two limbs that do not coincide; some files let both limbs begin at one point."""
    limb = float(lengths[_below(parent, one)].sum())
    for pair in zip(_below(parent, one), _below(parent, other)):
        if _mean_distance(frames, *pair) > _APART * limb:
            return pair
    return one, other


def _trunk(parent: np.ndarray, limbs: tuple[int, int]) -> int:
    """A joint of the trunk that is not where the limbs join it: the root, or the largest other branch there."""
    joint = int(parent[limbs[0]])
    if parent[joint] >= 0:
        return int(np.flatnonzero(parent < 0)[0])
    others = [child for child in children(parent, joint) if child not in limbs]
    if not others:
        raise DataError("parent: found two limbs and no trunk, expected one; give Torso(low=(l, r), high=(l, r))")
    return max(others, key=lambda child: len(_below(parent, child)))
