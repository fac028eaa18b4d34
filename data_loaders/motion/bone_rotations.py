"""Curves of joint positions as curves of rotations, by an explicit choice.

A bone has a direction and no twist, so its rotation is the smallest one that takes a reference to it. Choices:

    frame    "torso"  directions in the axes of the torso: nothing changes when the person turns or walks
             "world"  directions in space
    from     rest     the mean direction of that bone in the training recordings (default)
             pairs    another bone: R takes bone m to bone n (Vemulapalli et al., CVPR 2014, rotations of body parts)

A bone of length 0 and a missing joint have no direction. There the rotation is interpolated along the geodesic
between the frames before and after, and the returned mask is false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.gaps import fill_along
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.skeleton.torso import Torso, find_torso
from mvnet.linalg import so3

Array = TypeVar("Array", np.ndarray, Tensor)
_SHORT = 1e-5  # of the longest bone: shorter is length 0


def minimal_rotation(a: Array, b: Array) -> Array:
    """Smallest rotation with R a = b: by the angle between them, in the plane of a and the part n of b across a,

        R = 1 + s (n a^T - a n^T) + (c - 1) (a a^T + n n^T),   b = c a + s n,  s >= 0,  |n| = 1.

    At b = -a, where every half turn about an axis orthogonal to a will do, n is one of the vectors across a.

    Args:
        a, b: unit vectors (..., 3), broadcast against each other.
    Returns:
        (..., 3, 3), numpy for numpy, NaN where a or b is.
    """
    if isinstance(a, np.ndarray):
        return _minimal_rotation(torch.from_numpy(a), torch.as_tensor(b)).numpy()
    return _minimal_rotation(a, torch.as_tensor(b))


def _minimal_rotation(a: Tensor, b: Tensor) -> Tensor:
    a, b = torch.broadcast_tensors(a, b)
    across = _across(b, a)
    s, c = torch.linalg.vector_norm(across, dim=-1, keepdim=True), (a * b).sum(-1, keepdim=True)
    smallest = torch.nn.functional.one_hot(a.abs().argmin(-1), 3).to(a.dtype)
    none = s <= 8 * torch.finfo(a.dtype).eps
    n = _across(torch.where(none, smallest, across), a)
    n = n / torch.linalg.vector_norm(n, dim=-1, keepdim=True)
    n = _across(n, a)  # twice is enough
    n = n / torch.linalg.vector_norm(n, dim=-1, keepdim=True)
    s, c = (s / torch.hypot(s, c)).unsqueeze(-1), (c / torch.hypot(s, c)).unsqueeze(-1)
    eye = torch.eye(3, dtype=a.dtype, device=a.device)
    turn = _outer(n, a)
    return eye + s * (turn - turn.mT) + (c - 1) * (_outer(a, a) + _outer(n, n))


def _across(v: Tensor, a: Tensor) -> Tensor:
    """The part of v orthogonal to the unit vector a."""
    return v - (v * a).sum(-1, keepdim=True) * a


def _outer(v: Tensor, w: Tensor) -> Tensor:
    return v.unsqueeze(-1) * w.unsqueeze(-2)


def fill_rotations(rotations: Tensor, seen: Tensor) -> Tensor:
    """Rotations with those not seen replaced: R_t = R_a exp(s log(R_a^T R_b)), s = (t - a) / (b - a),

    between the frames a < t < b seen next to t; the nearest before the first and after the last; the identity where
    none is.

    Args:
        rotations: (frames, joints, 3, 3), anything where not seen. seen: (frames, joints) bool.
    Returns:
        (frames, joints, 3, 3), finite.
    """
    result = fill_along(rotations, seen, _geodesic)
    never = (~seen.any(0)).view(-1, 1, 1)
    return torch.where(never, torch.eye(3, dtype=rotations.dtype, device=rotations.device), result)


def _geodesic(first: Tensor, last: Tensor, share: Tensor) -> Tensor:
    """The point at a share, taken in single precision as stored classifiers have seen it."""
    share = share.float().to(share.dtype)
    return first @ so3.exp(share.unsqueeze(-1) * so3.log(first.mT @ last))


@dataclass(frozen=True)
class BoneRotations:
    """How positions of one skeleton become rotations; `fit` makes it from training recordings.

    Args:
        bones: (bones, 2) joints at the beginning and the end of each.
        rest: (bones, 3) unit vectors in the axes of the frame; unused with pairs.
        torso: whose axes are the frame; None for the world.
        pairs: (pairs, 2) bones m, n; None for rotations from `rest`.
    """

    bones: np.ndarray
    rest: np.ndarray
    torso: Torso | None = None
    pairs: np.ndarray | None = None

    @classmethod
    def fit(
        cls,
        sequences: Sequence[np.ndarray],
        parent: np.ndarray,
        frame: Literal["torso", "world"] = "torso",
        pairs: Literal["adjacent", "all"] | np.ndarray | None = None,
        torso: Torso | None = None,
    ) -> BoneRotations:
        """The mean directions of the bones, and the torso, of training recordings; no label is looked at.

        Args:
            sequences: positions (frames, joints, 3), z up, NaN where missing.
            parent: (joints,), -1 at the root.
            pairs: "adjacent": from each bone to those that begin where it ends; "all": from each to every other; or
                (pairs, 2) bones by their place among the joints that have a parent.
            torso: its pairs of joints; None finds them.
        Raises:
            DataError: unknown frame or pairs, no torso to be found, positions in an image.
        """
        if frame not in ("torso", "world"):
            raise DataError(f"frame: found {frame!r}, expected torso or world")
        if any(sequence.shape[-1] != 3 for sequence in sequences):
            raise DataError("sequences: found positions in an image, expected positions in space")
        ends = np.flatnonzero(parent >= 0)
        bones = np.stack((parent[ends], ends), axis=1)
        if frame == "torso" and torso is None:
            torso = find_torso(parent, sequences)
        plain = cls(bones, np.zeros((len(bones), 3)), torso if frame == "torso" else None, _pairs(pairs, bones))
        total = np.zeros((len(bones), 3))
        for sequence in sequences:
            total += np.nansum(plain.directions(torch.as_tensor(sequence, dtype=torch.float64)).numpy(), axis=0)
        norm = np.linalg.norm(total, axis=-1, keepdims=True)
        up = np.array([0.0, 0.0, 1.0])  # of a bone that never has a direction, or has every one equally
        return replace(plain, rest=np.where(norm > 1e-9, total / np.maximum(norm, 1e-9), up))

    def directions(self, positions: Tensor) -> Tensor:
        """Unit vectors (frames, bones, 3) of the bones in the axes of the frame, NaN where there is none."""
        vectors = positions[:, self.bones[:, 1]] - positions[:, self.bones[:, 0]]
        if self.torso is not None:
            vectors = vectors @ self.torso.frames(positions)  # rows v^T F = (F^T v)^T
        length = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
        longest = length.nan_to_num().max()
        return torch.where(length > _SHORT * longest, vectors / length, torch.nan)

    def __call__(self, positions: Array) -> tuple[Array, Array]:
        """Rotations (frames, bones or pairs, 3, 3) and the mask (frames, bones or pairs) of those not interpolated.

        Args:
            positions: (frames, joints, 3), numpy or torch; the result is of the same kind, dtype and device.
        Raises:
            DataError: another number of joints than the skeleton has.
        """
        if isinstance(positions, np.ndarray):
            rotations, seen = self._of(torch.from_numpy(positions))
            return rotations.numpy(), seen.numpy()
        return self._of(positions)

    def _of(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        joints = len(self.bones) + 1
        if positions.ndim != 3 or tuple(positions.shape[1:]) != (joints, 3):
            raise DataError(f"positions: found shape {tuple(positions.shape)}, expected (frames, {joints}, 3)")
        directions = self.directions(positions)
        if self.pairs is None:
            rest = torch.as_tensor(self.rest, dtype=positions.dtype, device=positions.device)
            rotations = _minimal_rotation(rest.expand_as(directions), directions)
        else:
            rotations = _minimal_rotation(directions[:, self.pairs[:, 0]], directions[:, self.pairs[:, 1]])
        seen = rotations.isfinite().all(-1).all(-1)
        return fill_rotations(rotations, seen), seen


def _pairs(pairs: str | np.ndarray | None, bones: np.ndarray) -> np.ndarray | None:
    if pairs is None:
        return None
    if not isinstance(pairs, str):
        return np.asarray(pairs, dtype=np.int64)
    first, second = np.meshgrid(np.arange(len(bones)), np.arange(len(bones)), indexing="ij")
    chosen = {"all": first != second, "adjacent": bones[first, 1] == bones[second, 0]}.get(pairs)
    if chosen is None:
        raise DataError(f"pairs: found {pairs!r}, expected adjacent, all, or an array (pairs, 2)")
    return np.stack((first[chosen], second[chosen]), axis=1)


def rotations_of(motions: MotionSet, bone_rotations: BoneRotations) -> tuple[MotionSet, tuple[np.ndarray, ...]]:
    """A motion set of rotations, and for each sequence the mask (frames, bones) of those not interpolated.

    Raises:
        DataError: the set does not hold positions.
    """
    if motions.kind != "positions" or motions.is_flat:
        found = "positions in an image" if motions.is_flat else motions.kind
        raise DataError(f"{motions.source}: found {found}, expected positions in space")
    results = [bone_rotations(sequence) for sequence in motions.sequences]
    sequences = tuple(rotations for rotations, _ in results)
    note = "rotations of bones, frame " + ("world" if bone_rotations.torso is None else "torso")
    result = replace(
        motions, sequences=sequences, kind="rotations", parent=None, joints=None, notes=(*motions.notes, note)
    )
    return result, tuple(seen for _, seen in results)
