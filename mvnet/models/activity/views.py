"""A recording seen in several ways, each a curve of vectors sampled at a fixed number of times.

| kind      | recording                | view          | channels                                                    |
|-----------|--------------------------|---------------|-------------------------------------------------------------|
| positions | (frames, joints, 3)      | "facing"      | joints about the centre of the body facing one way, its path |
|           |                          | "bones"       | directions of the bones, facing one way (needs `parent`)    |
|           |                          | "distances"   | between all joints                                          |
| poses     | (frames, joints, 2)      | as positions  | in the plane of the picture, which no turn is taken out of  |
| rotations | (frames, joints, 3, 3)   | "turns"       | R_0^T R_t of each joint                                     |
|           |                          | "pairs"       | R_i^T R_j of neighbouring joints                            |
|           |                          | "velocity"    | angular velocity, log(R_t^T R_t+1)                          |
| signals   | (frames, channels)       | "signals"     | each over its standard deviation in training                |
|           |                          | "steps"       | from each frame to the next, over their standard deviation  |
|           |                          | "sum"         | their running sum about the mean                            |

Each view exists in uniform time and, "/length", in equal steps of the length of its curve, which no change of
speed alters. Views of positions do not change with place, size and facing direction, those of poses not with place and
size, those of rotations not with a rotation of the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.motion.gaps import interpolate_gaps
from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.activity.body_frame import BodyFrame
from mvnet.models.activity.sampling import sample_curve

KINDS = {(): "signals", (2,): "poses", (3,): "positions", (3, 3): "rotations"}
"""Shape of the value of one joint or channel -> kind."""


def detect_kind(recording: np.ndarray) -> str:
    """Detect the kind of a recording by its shape.

    Args:
        recording: shape (frames, joints, 3), (frames, joints, 2), (frames, joints, 3, 3) or (frames, channels).
    Returns:
        "positions", "poses", "rotations" or "signals".
    Raises:
        MvnetError: another shape, or no frame.
    """
    shape = recording.shape
    if len(shape) < 2 or 0 in shape or shape[2:] not in KINDS:
        raise MvnetError(
            f"X: found a sequence of shape {shape}, expected (frames, joints, 3), (frames, joints, 2), "
            "(frames, joints, 3, 3) or (frames, channels)"
        )
    return KINDS[shape[2:]]


def fill_missing(recording: np.ndarray, name: str = "X") -> Tensor:
    """Values that are not finite replaced in time, linearly and per joint.

    A frame whose joints all lie in one point holds nothing and counts as missing. Rotations are interpolated in the
    matrices and projected back.

    Args:
        recording: of a shape of `detect_kind`, NaN where missing.
        name: name of the argument, for the message.
    Returns:
        the same shape, float64.
    Raises:
        MvnetError: a joint or channel without any value.
    """
    x = np.array(recording, dtype=np.float64)
    kind = detect_kind(x)
    flat = x.reshape(len(x), x.shape[1], -1)  # a view
    if kind in ("positions", "poses") and x.shape[1] > 1:
        empty = np.nan_to_num(np.ptp(x, axis=1).max(-1), nan=1.0) == 0
        if not empty.all():
            x[empty] = np.nan
    seen = np.asarray(np.isfinite(flat).all(-1))
    result = torch.from_numpy(interpolate_gaps(x, seen, name))
    return so3.project(result) if kind == "rotations" and not seen.all() else result


@dataclass(frozen=True)
class Views:
    """Normalisation fitted to training recordings.

    Attributes:
        kind: "positions", "poses", "rotations" or "signals".
        joints: number of joints or channels.
        parent: (joints,) joint above each joint of a skeleton, -1 at the root, or None.
        body: frame of the body, for positions and poses.
        scale: (channels,) standard deviations, for signals.
        steps: (channels,) standard deviations of their steps; None as in version 0.1.0, which has no such view.
    """

    kind: str
    joints: int
    parent: Tensor | None = None
    body: BodyFrame | None = None
    scale: Tensor | None = None
    steps: Tensor | None = None

    @classmethod
    def estimate(cls, recordings: Sequence[Tensor], parent: Tensor | None) -> Views:
        """Learn the views from training recordings.

        Args:
            recordings: without missing values, one kind and number of joints.
            parent: (joints,), -1 at the root, or None.
        Returns:
            the views.
        """
        kind, joints = detect_kind(recordings[0].numpy()), recordings[0].shape[1]
        if kind in ("positions", "poses"):
            body = BodyFrame.estimate([lift(x) for x in recordings], parent, turns=kind == "positions")
            return cls(kind, joints, parent, body)
        if kind == "signals":
            scale, steps = (
                torch.cat(parts).std(0, correction=0).clamp_min(1e-12)
                for parts in (list(recordings), [_steps(x) for x in recordings])
            )
            return cls(kind, joints, scale=scale, steps=steps)
        return cls(kind, joints, parent)

    @property
    def mirrors(self) -> bool:
        """Whether recordings have a mirror image."""
        return self.body is not None and self.body.mirror is not None

    def compute(self, x: Tensor) -> dict[str, Tensor]:
        """All views of a recording at its own times.

        Args:
            x: without missing values, of the kind and number of joints of training.
        Returns:
            name -> (frames, channels).
        Raises:
            MvnetError: another kind or number of joints.
        """
        if detect_kind(x.numpy()) != self.kind or x.shape[1] != self.joints:
            raise MvnetError(f"X: found a sequence of shape {tuple(x.shape)}, expected {self.kind} of {self.joints}")
        if self.body is not None:
            return self._view_positions(lift(x), self.body)
        return self._view_rotations(x) if self.scale is None else self._view_signals(x, self.scale)

    def reflect(self, x: Tensor) -> Tensor:
        """The mirror image of a recording, left and right exchanged.

        Args:
            x: positions (frames, joints, 3) or poses (frames, joints, 2).
        Returns:
            positions (frames, joints, 3) or poses (frames, joints, 2).
        Raises:
            MvnetError: there is none.
        """
        if self.body is None:
            raise MvnetError(f"mirrored: found True for {self.kind}, expected positions of a skeleton")
        image = self.body.reflect(lift(x))
        return image if x.shape[-1] == 3 else image[..., ::2]

    def _view_positions(self, x: Tensor, body: BodyFrame) -> dict[str, Tensor]:
        facing, path = body.facing(x)
        if self.parent is None:
            size = torch.linalg.vector_norm(facing, dim=-1).median(0).values.sum()
            bones, lengths = facing, facing
        else:
            lower = torch.nonzero(self.parent >= 0).flatten()
            bones = facing[:, lower] - facing[:, self.parent[lower]]
            lengths = torch.linalg.vector_norm(bones, dim=-1)
            size = lengths.median(0).values.sum()
        size = size.clamp_min(1e-9)
        i, j = torch.triu_indices(self.joints, self.joints, 1)
        views = {"facing": torch.cat((facing, path), 1) / size}
        if self.joints > 1:
            views["distances"] = torch.linalg.vector_norm(facing[:, i] - facing[:, j], dim=-1) / size
        if self.parent is not None:
            views["bones"] = bones / lengths.unsqueeze(-1).clamp_min(1e-9)
        return {name: value.flatten(1) for name, value in views.items()}

    def _view_rotations(self, x: Tensor) -> dict[str, Tensor]:
        above = torch.arange(self.joints).roll(1) if self.parent is None else self.parent.clamp_min(0)
        steps = so3.log(x[:-1].mT @ x[1:]) if len(x) > 1 else x.new_zeros(1, self.joints, 3)
        views = {"turns": x[:1].mT @ x, "velocity": steps}
        if self.joints > 1:
            views["pairs"] = x[:, above].mT @ x
        return {name: value.flatten(1) for name, value in views.items()}

    def _view_signals(self, x: Tensor, scale: Tensor) -> dict[str, Tensor]:
        z = x / scale
        views = {"signals": z, "sum": (z - z.mean(0)).cumsum(0) / len(z)}
        return views if self.steps is None else {**views, "steps": _steps(x) / self.steps}


def lift(x: Tensor) -> Tensor:
    """Poses as positions in the plane y = 0; positions as they are.

    Args:
        x: (frames, joints, 2) or (frames, joints, 3).
    Returns:
        (frames, joints, 3).
    """
    return x if x.shape[-1] == 3 else torch.stack((x[..., 0], torch.zeros_like(x[..., 0]), x[..., 1]), -1)


def _steps(x: Tensor) -> Tensor:
    """x_t+1 - x_t, (frames, channels), 0 after the last frame."""
    return torch.nn.functional.pad(x[1:] - x[:-1], (0, 0, 0, 1))


def sample_views(
    recordings: Sequence[Tensor], views: Views, samples: Sequence[tuple[str, int]], low_pass: bool = False
) -> dict[tuple[str, int], Tensor]:
    """Views of recordings at a fixed number of samples.

    Args:
        recordings: n of them, without missing values.
        views: fitted on training recordings.
        samples: (view, number of samples); a view may end in "/length".
        low_pass: as in `sample_curve`.
    Returns:
        (view, number of samples) -> (n, samples, channels), float32.
    """
    found: dict[tuple[str, int], list[Tensor]] = {key: [] for key in samples}
    for recording in recordings:
        curves = views.compute(recording)
        for view, count in samples:
            name, _, by_length = view.partition("/")
            found[view, count].append(sample_curve(curves[name], count, by_length == "length", low_pass))
    return {key: torch.stack(curves).float() for key, curves in found.items()}
