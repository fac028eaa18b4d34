"""Recordings as curves on SO(3)^k x R^m in a frame of the body, all of the same number of frames.

| frame    | what is taken out                          | rotations R_j                                      |
|----------|--------------------------------------------|----------------------------------------------------|
| "facing" | a turn about the vertical, the place, size | bones, and the torso, in axes that face one way    |
| "torso"  | any turn, the place, size                  | bones in the mean axes of the torso, and the torso |

Both frames are one rotation for a whole recording, so that how the trunk leans and turns is kept. The vectors are the
joints about the centre of the body and the path of the centre, over the size of the body. Recordings of rotations stay
as they are, without vectors: the network has the frame of their first joint. Rest directions, torso and frame
come from training recordings only; curves are resampled along geodesics.
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
from mvnet.data_loaders.motion.skeleton.torso import Torso, find_torso
from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.activity.body_frame import BodyFrame
from mvnet.models.activity.lie.network import FRAME_NAMES
from mvnet.models.activity.rotation_curves import check_rotations
from mvnet.models.activity.sampling import sample_curve
from mvnet.models.activity.serialization import small_recording
from mvnet.models.activity.views import fill_missing

FRAMES = 24


@dataclass(frozen=True)
class BodyCurves:
    """How recordings become curves; `fit` makes it from training recordings.

    Attributes:
        frame: "facing" or "torso".
        joints: number of rotations in a frame of a curve, k.
        vectors: number of other values, m.
        body: frame of the body, for positions; None for recordings that are rotations already.
        bones: rotations of bones from their rest directions, for positions.
        torso: axes of the torso; None where the skeleton has none.
        frames: number of frames of every curve.
    """

    frame: str
    joints: int
    vectors: int
    body: BodyFrame | None = None
    bones: BoneRotations | None = None
    torso: Torso | None = None
    frames: int = FRAMES

    @classmethod
    def fit(cls, motions: MotionSet, frame: str = "facing") -> BodyCurves:
        """Learn the frame of the body from training recordings.

        Args:
            motions: rotations, or positions of a known skeleton.
            frame: "facing" or "torso".
        Returns:
            the conversion, for recordings of the same kind.
        Raises:
            MvnetError: another frame.
            DataError: as in `check_rotations`, or no torso to take the axes of.
        """
        if frame not in FRAME_NAMES:
            raise MvnetError(f"frame: found {frame!r}, expected one of {', '.join(FRAME_NAMES)}")
        check_rotations(motions)
        if motions.kind == "rotations":
            return cls(frame, motions.width, 0)
        assert motions.parent is not None
        recordings = [
            fill_missing(x, f"{motions.source}: sequence {n}") for n, x in zip(motions.names, motions.sequences)
        ]
        body = BodyFrame.estimate(recordings, torch.as_tensor(motions.parent))
        try:
            torso = find_torso(motions.parent, [x.numpy() for x in recordings])
        except DataError:
            if frame == "torso":
                raise
            torso = None
        plain = cls(frame, len(motions.parent), 3 * motions.width + 3, body, None, torso)
        seen = [plain._place(x)[0].numpy() for x in recordings]
        bones = BoneRotations.fit(seen, motions.parent, "world")
        return cls(frame, len(bones.bones) + (torso is not None), plain.vectors, body, bones, torso)

    def parent(self, motions: MotionSet) -> list[int]:
        """The rotation relative to which each rotation is seen; -1 for those seen in the frame.

        Args:
            motions: the recordings it was fitted to.
        Returns:
            (joints,) indices.
        """
        if self.bones is None:
            return [-1] * self.joints if motions.parent is None else motions.parent.tolist()
        first = int(self.torso is not None)
        at = {int(end): first + place for place, end in enumerate(self.bones.bones[:, 1])}
        return [-1] * first + [at.get(int(start), first - 1) for start in self.bones.bones[:, 0]]

    @property
    def mirrors(self) -> bool:
        """Whether recordings have a mirror image."""
        return self.body is not None and self.body.mirror is not None

    def example(self) -> np.ndarray:
        """A small recording.

        Returns:
            positions or rotations, as those that it was fitted to.
        """
        if self.bones is None:
            return small_recording("rotations", self.joints)
        return small_recording("positions", len(self.bones.bones) + 1)

    def __call__(self, sequences: Sequence[np.ndarray], mirrored: bool = False) -> tuple[Tensor, Tensor]:
        """Curves of recordings.

        Args:
            sequences: n recordings of the kind that it was fitted to.
            mirrored: of their mirror images.
        Returns:
            rotations (n, frames, joints, 3, 3) and vectors (n, frames, m), float32.
        Raises:
            MvnetError: recordings of another kind or number of joints.
        """
        curves = [self._curve(np.asarray(x, dtype=np.float64), mirrored) for x in sequences]
        rotations, vectors = (torch.stack(parts).float() for parts in zip(*curves))
        return rotations, vectors

    def _curve(self, x: np.ndarray, mirrored: bool) -> tuple[Tensor, Tensor]:
        if self.bones is None or self.body is None:
            return self._turn(torch.from_numpy(np.ascontiguousarray(x)))
        if x.ndim != 3 or x.shape[1:] != (len(self.bones.bones) + 1, 3):
            raise MvnetError(
                f"X: found a sequence of shape {x.shape}, expected (frames, {len(self.bones.bones) + 1}, 3)"
            )
        filled = fill_missing(x)
        placed, path, axes = self._place(self.body.reflect(filled) if mirrored else filled)
        rotations, _ = self.bones(placed)
        if axes is not None:
            rotations = torch.cat((axes, rotations), 1)
        size = torch.linalg.vector_norm(placed, dim=-1).median(0).values.sum().clamp_min(1e-9)
        vectors = torch.cat((placed, path), 1).flatten(1) / size * placed.shape[1]
        return resample(rotations, self.frames), sample_curve(vectors, self.frames)

    def _place(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Joints about the centre and the path of the centre, in the frame, and the axes of the torso there."""
        assert self.body is not None
        if self.frame == "facing":
            placed, path = self.body.facing(x)
        else:
            centre = self.body.centre(x)
            placed, path = x - centre, centre - centre.mean(0)
        axes = None if self.torso is None else self._axes(placed)
        if self.frame == "torso" and axes is not None:
            mean = so3.project(axes.mean(0))
            placed, path, axes = placed @ mean, path @ mean, mean.mT @ axes
        return placed, path, axes

    def _axes(self, placed: Tensor) -> Tensor:
        """(frames, 1, 3, 3), those of the frames next to it where a frame shows none."""
        assert self.torso is not None
        axes = self.torso.frames(placed).unsqueeze(1)
        return fill_rotations(axes, axes.isfinite().flatten(2).all(-1))

    def _turn(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Recorded rotations, gaps filled."""
        if tuple(x.shape[1:]) != (self.joints, 3, 3):
            raise MvnetError(f"X: found a sequence of shape {tuple(x.shape)}, expected (frames, {self.joints}, 3, 3)")
        x = fill_rotations(x, x.isfinite().flatten(2).all(-1))
        return resample(x, self.frames), x.new_zeros(self.frames, 0)
