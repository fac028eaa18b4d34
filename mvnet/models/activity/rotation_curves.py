"""Recordings as curves of rotations, all of the same number of frames.

Positions become rotations of bones in the axes of the torso, which is itself the first rotation, the identity, that
the first bones are seen from; a skeleton without a torso is taken in the axes of the world. Rest directions and torso
come from training recordings only. Every curve is resampled along geodesics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mvnet.curves import resample
from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.bone_rotations import BoneRotations, fill_rotations
from mvnet.errors import MvnetError

FRAMES = 32


def check_rotations(motions: MotionSet) -> None:
    """Refuse recordings that cannot become rotations.

    Args:
        motions: recordings.
    Raises:
        DataError: signals, positions in an image, or of an unknown skeleton.
    """
    if motions.kind == "signals" or motions.is_flat:
        found = "positions in an image" if motions.is_flat else "signals"
        raise DataError(f"{motions.source}: found {found}, expected rotations or positions of a skeleton in space")
    if motions.kind == "positions" and (motions.parent is None or motions.width < 2):
        raise DataError(
            f"{motions.source}: found joints without connections, expected an array `parent` that tells them"
        )


@dataclass(frozen=True)
class CurveMaker:
    """How recordings become curves of rotations.

    Args:
        bones: for positions; None for recordings that are rotations already.
        joints: number of rotations in a frame of a curve.
        frames: number of frames of every curve.
    """

    bones: BoneRotations | None
    joints: int
    frames: int = FRAMES

    @classmethod
    def fit(cls, motions: MotionSet) -> CurveMaker:
        """Choose the bones and the axes from training recordings.

        Args:
            motions: rotations, or positions of a known skeleton.
        Returns:
            the conversion, for recordings of the same kind.
        Raises:
            DataError: as in `check_rotations`.
        """
        check_rotations(motions)
        if motions.kind == "rotations":
            return cls(None, motions.width)
        assert motions.parent is not None
        try:
            bones = BoneRotations.fit(motions.sequences, motions.parent)
        except DataError:  # no torso
            bones = BoneRotations.fit(motions.sequences, motions.parent, frame="world")
        return cls(bones, len(bones.bones) + (bones.torso is not None))

    @property
    def frame(self) -> str:
        """The axes that rotations refer to: "given", "torso" or "world"."""
        if self.bones is None:
            return "given"
        return "world" if self.bones.torso is None else "torso"

    def parent(self, motions: MotionSet) -> list[int] | None:
        """The rotation relative to which each rotation is seen, for `LieMotionNetwork`.

        Args:
            motions: the recordings it was fitted to.
        Returns:
            (joints,) indices, -1 for a root; None where the recordings give none.
        """
        if self.bones is None:
            return None if motions.parent is None else motions.parent.tolist()
        first = int(self.bones.torso is not None)
        at = {int(end): first + place for place, end in enumerate(self.bones.bones[:, 1])}
        return [-1] * first + [at.get(int(start), first - 1) for start in self.bones.bones[:, 0]]

    def __call__(self, sequences: Sequence[np.ndarray]) -> Tensor:
        """Curves of rotations.

        Args:
            sequences: n recordings (frames, joints, 3) or (frames, joints, 3, 3), of the kind that it was fitted to.
        Returns:
            (n, self.frames, self.joints, 3, 3), float32.
        Raises:
            MvnetError: recordings of another kind or number of joints.
        """
        plain = (torch.from_numpy(np.ascontiguousarray(sequence, dtype=np.float64)) for sequence in sequences)
        return torch.stack([self._curve(x) for x in plain]).float()

    def _curve(self, x: Tensor) -> Tensor:
        if self.bones is not None:
            rotations, _ = self.bones(x)
            if self.bones.torso is not None:
                torso = torch.eye(3, dtype=x.dtype).expand(len(x), 1, 3, 3)
                rotations = torch.cat((torso, rotations), 1)
        elif tuple(x.shape[1:]) != (self.joints, 3, 3):
            raise MvnetError(f"X: found a sequence of shape {tuple(x.shape)}, expected (frames, {self.joints}, 3, 3)")
        else:
            rotations = fill_rotations(x, x.isfinite().flatten(2).all(-1))
        return resample(rotations, self.frames)
