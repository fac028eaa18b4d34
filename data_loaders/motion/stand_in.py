"""The mean pose of training recordings, and what stands in for a joint or channel that a recording never shows.

Recordings are superposed on a reference P, alternately estimated with it: translations and turns about the vertical for
positions, common rotations for rotations. With S the joints seen in a frame,

    positions    x_j = c + s R(theta) (P_j - c_P),   c, c_P centres of S,   R(theta) the best turn, s the ratio of sizes
    rotations    R_j = A P_j,   A = argmax tr(A^T sum_S R_i P_i^T)
    signals      x_j = mean of the channel

A joint that no training recording shows lies in the centre of the body, is not rotated, or is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.skeleton.common_joints import names_of

_SWEEPS, _FRAMES = 5, 1500


@dataclass(frozen=True)
class StandIn:
    """pose: (joints, 3) or (joints, 2), (joints, 3, 3), or (channels,), finite."""

    pose: np.ndarray

    @classmethod
    def fit(cls, motions: MotionSet) -> StandIn:
        """The mean pose of training recordings, NaN where nothing was seen."""
        some = motions.sequences[:: max(1, len(motions) // _FRAMES)]
        step = max(1, sum(map(len, some)) // _FRAMES)
        frames = np.concatenate(
            [np.asarray(x[min(k % step, len(x) - 1) :: step], np.float64) for k, x in enumerate(some)]
        )
        frames = frames[np.isfinite(frames).reshape(len(frames), -1).any(1)]
        if not len(frames):
            frames = np.zeros((1, *motions.sequences[0].shape[1:]))
        if frames.ndim == 2:
            return cls(np.nan_to_num(_mean(frames)))
        if frames.ndim == 4:
            pose = _sweep(frames, _common_rotation, lambda placed: _project(_mean(placed)))
            return cls(np.where(np.isfinite(pose), pose, np.eye(3)))
        pose = _sweep(frames, _common_turn, lambda placed: _mean(placed))
        return cls(np.nan_to_num(pose - _mean(pose)))

    def fill(self, sequence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A recording with the joints or channels it never shows placed in all frames that show anything.

        Returns:
            the recording, itself where nothing is missing throughout; and the joints or channels (k,).
        """
        seen = np.isfinite(sequence).reshape(*sequence.shape[:2], -1).all(-1)
        never = np.flatnonzero(~seen.any(0))
        if not len(never) or not seen.any():
            return sequence, never
        result = sequence.copy()
        if sequence.ndim == 2:
            result[:, never] = self.pose[never].astype(sequence.dtype)
        else:
            place = _common_rotation if sequence.ndim == 4 else _common_turn
            placed = place(np.asarray(sequence, dtype=np.float64), self.pose, sized=True)
            result[:, never] = placed[:, never].astype(sequence.dtype)
        return result, never

    def complete(self, motions: MotionSet) -> MotionSet:
        """All recordings filled, and a note for every joint or channel that stands in."""
        filled = [self.fill(sequence) for sequence in motions.sequences]
        names = names_of(motions) or tuple(map(str, range(motions.width)))
        what = "channel" if motions.kind == "signals" else "joint"
        notes = []
        for place in sorted({int(j) for _, never in filled for j in never}):
            where = [name for name, (_, never) in zip(motions.names, filled) if place in never]
            recordings = _listed(where)
            notes.append(f"{what} {names[place]} is never seen in {recordings}: its mean in training stands in")
        sequences = tuple(sequence for sequence, _ in filled)
        return replace(motions, sequences=sequences, notes=motions.notes + tuple(notes))


def without_empty(motions: MotionSet) -> MotionSet:
    """Without the recordings that hold no finite value at all, which a note names; the set itself where all do."""
    holds = np.array([bool(np.isfinite(sequence).any()) for sequence in motions.sequences])
    if holds.all() or not holds.any():
        return motions
    gone = [name for name, kept in zip(motions.names, holds) if not kept]
    return replace(motions.take(holds), notes=(*motions.notes, f"left out {_listed(gone)}: no value in any frame"))


def _listed(names: Sequence[str]) -> str:
    """The names, the first few of many."""
    shown = ", ".join(names[:3])
    return f"{len(names)} recordings ({shown}, ...)" if len(names) > 3 else shown


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first dim of what is finite, NaN where nothing is."""
    finite = np.isfinite(values)
    count = finite.sum(0)
    return np.where(count > 0, np.where(finite, values, 0.0).sum(0) / np.maximum(count, 1), np.nan)


def _sweep(frames: np.ndarray, place, average) -> np.ndarray:
    """The reference onto which all frames are superposed, starting from the frame that shows most."""
    axes = tuple(range(1, frames.ndim))
    reference = frames[int(np.isfinite(frames).sum(axes).argmax())]
    for _ in range(_SWEEPS):
        reference = average(place(frames, reference, back=True))
    return reference


def _common_turn(x: np.ndarray, pose: np.ndarray, back: bool = False, sized: bool = False) -> np.ndarray:
    """The pose placed in every frame x (frames, joints, 2 or 3); or, `back`, every frame placed on the pose."""
    both = np.asarray((np.isfinite(x) & np.isfinite(pose)).all(-1, keepdims=True))
    count = np.maximum(both.sum(1, keepdims=True), 1)
    centre = np.where(both, x, 0).sum(1, keepdims=True) / count
    origin = np.where(both, pose, 0).sum(1, keepdims=True) / count
    a, b = np.where(both, x - centre, 0.0), np.where(both, pose - origin, 0.0)
    angle = np.zeros(len(x))
    if x.shape[-1] == 3:
        dot = (a[..., :2] * b[..., :2]).sum((1, 2))
        angle = np.arctan2((b[..., 0] * a[..., 1] - b[..., 1] * a[..., 0]).sum(1), dot)
    turn = np.tile(np.eye(x.shape[-1]), (len(x), 1, 1))
    if x.shape[-1] == 3:
        turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angle)
        turn[:, 1, 0] = np.sin(angle)
        turn[:, 0, 1] = -turn[:, 1, 0]
    if back:
        return (x - centre) @ turn + origin
    spread = (b**2).sum((1, 2), keepdims=True)
    size = np.sqrt((a**2).sum((1, 2), keepdims=True) / np.maximum(spread, 1e-30)) if sized else 1.0
    size = np.where(spread > 0, size, 1.0)
    placed = centre + size * (pose - origin) @ turn.swapaxes(-1, -2)
    return np.where(both.any(1, keepdims=True), placed, np.nan)


def _common_rotation(x: np.ndarray, pose: np.ndarray, back: bool = False, sized: bool = False) -> np.ndarray:
    """The same for rotations (frames, joints, 3, 3); they have no size."""
    both = np.asarray((np.isfinite(x) & np.isfinite(pose)).all((-2, -1)))[..., None, None]
    together = np.where(both, x @ pose.swapaxes(-1, -2), 0.0).sum(1)
    turn = _project(together)[:, None]
    return turn.swapaxes(-1, -2) @ x if back else np.where(both.any(1, keepdims=True), turn @ pose, np.nan)


def _project(matrices: np.ndarray) -> np.ndarray:
    """The nearest rotations; NaN where a matrix is not finite."""
    finite = np.asarray(np.isfinite(matrices).all((-2, -1)))[..., None, None]
    u, _, v = np.linalg.svd(np.where(finite, matrices, np.eye(3)))
    flip = np.ones(u.shape[:-1])
    flip[..., -1] = np.sign(np.linalg.det(u @ v))
    return np.where(finite, (u * flip[..., None, :]) @ v, np.nan)
