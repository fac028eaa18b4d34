"""A recording seen in several ways, each a curve of vectors sampled at a fixed number of times.

| kind      | recording                | view          | channels                                                    |
|-----------|--------------------------|---------------|-------------------------------------------------------------|
| positions | (frames, joints, 3)      | "facing"      | joints about the centre of the body facing one way, its path |
|           |                          | "bones"       | directions of the bones, facing one way (needs `parent`)    |
|           |                          | "distances"   | between all joints                                          |
| rotations | (frames, joints, 3, 3)   | "turns"       | R_0^T R_t of each joint                                     |
|           |                          | "pairs"       | R_i^T R_j of neighbouring joints                            |
|           |                          | "velocity"    | angular velocity, log(R_t^T R_t+1)                          |
| signals   | (frames, channels)       | "signals"     | each over its standard deviation in training                |
|           |                          | "sum"         | their running sum about the mean                            |

Each view exists in uniform time and, "/length", in equal steps of the length of its curve, which no change of
speed alters. Views of positions do not change with place, size and facing direction, those of rotations not with a
rotation of the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mvnet.curves import resample
from mvnet.data_loaders.motion.gaps import interpolate_gaps
from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.activity.body_frame import BodyFrame

KINDS = {3: "positions", 4: "rotations", 2: "signals"}
_STILL = 1e-3  # of the mean speed: added to the length of every step, so that standing still takes a little


def kind_of(recording: np.ndarray) -> str:
    """positions, rotations or signals, by shape; ValueError for another shape or too few frames."""
    shape = recording.shape
    if len(shape) not in KINDS or 0 in shape or shape[2:] not in ((), (3,), (3, 3)):
        raise MvnetError(
            f"X: found a sequence of shape {shape}, expected (frames, joints, 3), (frames, joints, 3, 3) or "
            "(frames, channels)"
        )
    return KINDS[len(shape)]


def fill_missing(recording: np.ndarray, name: str = "X") -> Tensor:
    """The recording (frames, ...), float64, values that are not finite replaced in time, linearly and per joint.

    A frame whose joints all lie in one point holds nothing and counts as missing. Rotations are interpolated in the
    matrices and projected back.

    Raises:
        ValueError: a joint or channel without any value.
    """
    x = np.array(recording, dtype=np.float64)
    kind = kind_of(x)
    flat = x.reshape(len(x), x.shape[1], -1)  # a view
    if kind == "positions" and x.shape[1] > 1:
        empty = np.nan_to_num(np.ptp(x, axis=1).max(-1), nan=1.0) == 0
        if not empty.all():
            x[empty] = np.nan
    seen = np.asarray(np.isfinite(flat).all(-1))
    result = torch.from_numpy(interpolate_gaps(x, seen, name))
    return so3.project(result) if kind == "rotations" and not seen.all() else result


def sampled(x: Tensor, samples: int, by_length: bool = False) -> Tensor:
    """The curve (frames, channels) at `samples` equally spaced times or, by_length, after equal lengths of it."""
    if not by_length:
        return resample(x, samples, group="vectors")
    step = torch.linalg.vector_norm(x[1:] - x[:-1], dim=-1)
    step = step + _STILL * step.sum() / max(len(step), 1) + 1e-12
    along = torch.nn.functional.pad(step.cumsum(0), (1, 0))
    return resample(x, samples, t=along, group="vectors")


@dataclass(frozen=True)
class Views:
    """What is learned from training recordings to see others the same way.

    Args:
        kind: of all recordings. joints: number of joints or channels.
        parent: (joints,) of a skeleton, or None.
        body: for positions. scale: (channels,) standard deviations, for signals.
    """

    kind: str
    joints: int
    parent: Tensor | None = None
    body: BodyFrame | None = None
    scale: Tensor | None = None

    @classmethod
    def estimate(cls, recordings: Sequence[Tensor], parent: Tensor | None) -> Views:
        """From completed training recordings."""
        kind, joints = kind_of(recordings[0].numpy()), recordings[0].shape[1]
        if kind == "positions":
            return cls(kind, joints, parent, BodyFrame.estimate(recordings, parent))
        if kind == "signals":
            x = torch.cat(list(recordings))
            return cls(kind, joints, scale=x.std(0, correction=0).clamp_min(1e-12))
        return cls(kind, joints, parent)

    @property
    def mirrors(self) -> bool:
        """Whether recordings have a mirror image."""
        return self.body is not None and self.body.mirror is not None

    def of(self, x: Tensor) -> dict[str, Tensor]:
        """name -> (frames, channels) of a completed recording."""
        if kind_of(x.numpy()) != self.kind or x.shape[1] != self.joints:
            raise MvnetError(f"X: found a sequence of shape {tuple(x.shape)}, expected {self.kind} of {self.joints}")
        if self.kind == "positions":
            return self._of_positions(x)
        return self._of_rotations(x) if self.kind == "rotations" else self._of_signals(x)

    def _of_positions(self, x: Tensor) -> dict[str, Tensor]:
        assert self.body is not None
        facing, path = self.body.facing(x)
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

    def _of_rotations(self, x: Tensor) -> dict[str, Tensor]:
        above = torch.arange(self.joints).roll(1) if self.parent is None else self.parent.clamp_min(0)
        steps = so3.log(x[:-1].mT @ x[1:]) if len(x) > 1 else x.new_zeros(1, self.joints, 3)
        views = {"turns": x[:1].mT @ x, "velocity": steps}
        if self.joints > 1:
            views["pairs"] = x[:, above].mT @ x
        return {name: value.flatten(1) for name, value in views.items()}

    def _of_signals(self, x: Tensor) -> dict[str, Tensor]:
        assert self.scale is not None
        z = x / self.scale
        return {"signals": z, "sum": (z - z.mean(0)).cumsum(0) / len(z)}


def channels(
    recordings: Sequence[Tensor], views: Views, samples: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], Tensor]:
    """(view, samples) -> (n, samples, channels) float32 of completed recordings."""
    found: dict[tuple[str, int], list[Tensor]] = {key: [] for key in samples}
    for recording in recordings:
        curves = views.of(recording)
        for view, count in samples:
            name, _, by_length = view.partition("/")
            found[view, count].append(sampled(curves[name], count, by_length == "length"))
    return {key: torch.stack(curves).float() for key, curves in found.items()}
