"""People among the bodies that a sensor followed, by what people have and ghosts have not.

    bones       lengths that stay: the median over the bones of std / mean over time is below a fifth
    tracking    frames: at least half as many as the body that is seen most

A person whose number changes comes as several tracks, which are joined where one begins near the place at which
another ends, with bones of like lengths.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mvnet.data_loaders.motion.motion_set import MotionSet

SECOND = "second"
"""What names of the joints of the second of two people begin with."""
_CONSTANT = 0.2  # relative standard deviation of the length of a bone
_ALIKE = 0.25  # relative difference of lengths of bones
_NEAR, _SPEED = 0.5, 0.1  # metres between tracks, and metres more for each frame between
_OFTEN = 0.5  # of the frames of the body seen most


@dataclass(frozen=True)
class Body:
    """frames: (n,) those in which it is seen, in order. positions (n, joints, 3), NaN for joints not seen.

    parent: (joints,).
    """

    frames: np.ndarray
    positions: np.ndarray
    parent: np.ndarray

    def in_all(self, frames: int) -> np.ndarray:
        """Positions (frames, joints, 3) of a recording, NaN where it is not seen."""
        positions = np.full((frames, *self.positions.shape[1:]), np.nan)
        positions[self.frames] = self.positions
        return positions

    def lengths(self) -> np.ndarray:
        """Mean length of every bone over time (joints - 1,)."""
        return _quietly(np.nanmean, self._bones())

    def variation(self) -> float:
        """Median over the bones of std / mean of their lengths, inf where bones have none."""
        bones, mean = self._bones(), self.lengths()
        spread = _quietly(np.nanstd, bones)
        known = np.isfinite(mean) & (mean > 0)
        return float(np.median(spread[known] / mean[known])) if known.any() else float("inf")

    def motion(self) -> float:
        """Total variance of the joints over time."""
        return float(np.nansum(_quietly(np.nanvar, self.positions)))

    def _bones(self) -> np.ndarray:
        bones = np.flatnonzero(self.parent >= 0)
        return np.linalg.norm(self.positions[:, bones] - self.positions[:, self.parent[bones]], axis=-1)


def people(tracks: Sequence[Body], count: int = 1) -> list[Body]:
    """Those who act: of the plausible bodies the one that moves most, or the two that are seen most.

    Args:
        tracks: one or more. count: of people, 1 or 2.
    Returns:
        `count` bodies or fewer, those who move more first; where none is plausible, the one with the steadiest bones.
    """
    bodies = _join(tracks) if len(tracks) > 1 else list(tracks)
    variations = [body.variation() for body in bodies]
    plausible = [body for body, variation in zip(bodies, variations) if variation < _CONSTANT]
    if not plausible:
        return [bodies[int(np.argmin(variations))]]
    plausible.sort(key=lambda body: len(body.frames), reverse=True)
    often = [body for body in plausible if len(body.frames) >= _OFTEN / count * len(plausible[0].frames)]
    often = often[:count] if count > 1 else often
    return sorted(often, key=Body.motion, reverse=True)[:count]


def same_people(parts: Sequence[MotionSet]) -> list[MotionSet]:
    """The recordings of one person each, where there are classes of one person among those of two."""
    two = [any(name.startswith(SECOND) for name in part.joints or ()) for part in parts]
    pairs = {part.classes for part, both in zip(parts, two) if both}
    alone = {part.classes for part, both in zip(parts, two) if not both}
    if not pairs or not alone - pairs:
        return list(parts)
    note = "the second person left out, because there are classes of one person"
    return [_first_person(part, note) if both else part for part, both in zip(parts, two)]


def _first_person(part: MotionSet, note: str) -> MotionSet:
    names = tuple(name for name in part.joints or () if not name.startswith(SECOND))
    sequences = tuple(sequence[:, : len(names)] for sequence in part.sequences)
    return replace(part, sequences=sequences, joints=names, notes=(*part.notes, note))


def _join(tracks: Sequence[Body]) -> list[Body]:
    """Tracks of one person as one, in the order of their first frames."""
    joined: list[Body] = []
    for track in sorted(tracks, key=lambda body: int(body.frames[0])):
        gaps = [_gap(body, track) for body in joined]
        best = min(range(len(joined)), key=lambda k: gaps[k], default=None)
        if best is None or not np.isfinite(gaps[best]):
            joined.append(track)
            continue
        both = [(body.frames, body.positions) for body in (joined[best], track)]
        frames, positions = (np.concatenate(part) for part in zip(*both))
        joined[best] = Body(frames, positions, track.parent)
    return joined


def _gap(before: Body, after: Body) -> float:
    """Metres between the end of one track and the beginning of another; inf where they are not one person."""
    between = int(after.frames[0] - before.frames[-1]) - 1
    if between < 0:
        return float("inf")
    ends = [_quietly(np.nanmean, body.positions[k]) for body, k in ((before, -1), (after, 0))]
    distance = float(np.linalg.norm(ends[1] - ends[0]))
    if not distance < _NEAR + _SPEED * between:
        return float("inf")
    lengths, others = before.lengths(), after.lengths()
    apart = abs(lengths - others) / np.maximum(lengths, others).clip(min=1e-9)
    return distance if _quietly(np.nanmedian, apart) < _ALIKE else float("inf")


def _quietly(reduce: Callable, values: np.ndarray) -> np.ndarray:
    """Over the first axis, without a word on joints that are never seen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return reduce(values, axis=0)
