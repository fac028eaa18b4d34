"""Poses that detectors find in the frames of a video: one person of those in it, in the plane of the image.

Coordinates of images go down; positions here go up: (x, -y). A joint of confidence 0, or at the origin, is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS, SkeletonLayout

_FAR = 1.0  # of the size of a person, from one frame to the next
_PIXELS = 30.0  # by which joints are apart in an image, at least
_EMPTY = 50  # frames for each that holds somebody, at most
_BY_JOINTS = {17: "coco-17", 25: "body-25", 33: "mediapipe-33"}
"""What detectors with so many joints have in common."""


@dataclass(frozen=True)
class Pose:
    """positions (joints, 2 or 3), NaN where missing. confidence: of the whole pose. number: of the person, if known."""

    positions: np.ndarray
    confidence: float
    number: str | None = None


def pose_of(values: np.ndarray, number: object = None, score: float | None = None) -> Pose:
    """A pose from coordinates (joints, 2 or 3), or (joints, 3 or 4) with the confidence last and `score` None.

    Args:
        score: confidence of the pose, where `values` holds none of the joints.
    """
    values = np.asarray(values, dtype=np.float64)
    positions, confidence = (values, np.ones(len(values))) if score is not None else (values[:, :-1], values[:, -1])
    seen = (confidence > 0) & np.isfinite(positions).all(1) & (positions != 0).any(1)
    whole = float(np.mean(confidence * seen)) if score is None else float(score)
    name = None if number is None or str(number) == "-1" else str(number)
    return Pose(np.where(seen[:, None], positions, np.nan), max(whole, 0.0), name)


def layout_of(joints: int) -> SkeletonLayout | None:
    """The skeleton that detectors of so many joints use; None where there are several, or none is known."""
    return LAYOUTS.get(_BY_JOINTS.get(joints, ""))


def one_person(source: str, frames: Mapping[int, Sequence[Pose]]) -> tuple[np.ndarray, list[str]]:
    """The person who is seen most, with most confidence and largest: positions (frames, joints, 2 or 3), and notes.

    Numbers of people, where there are any, are followed; else whoever is nearest to where a person was.

    Args:
        source: for messages. frames: poses by number of the frame; frames between that are not there are missing.
    Raises:
        DataError: nobody in any frame, poses of other numbers of joints, frames far apart.
    """
    first, count = min(frames, default=0), max(frames, default=-1) + 1 - min(frames, default=0)
    people = _numbered(frames) or _followed(frames)
    shapes = {pose.positions.shape for person in people for pose in person.values()}
    if len(shapes) != 1 or 0 in min(shapes, default=(0,)):
        found = "nobody" if not shapes else f"poses of shapes {sorted(shapes)}"
        raise DataError(f"{source}: found {found} in {len(frames)} frames, expected poses of the same joints")
    if count > _EMPTY * len(frames) + 1000:
        raise DataError(f"{source}: found {len(frames)} frames with numbers up to {count} apart, expected a recording")
    chosen = max(people, key=_weight)
    positions = np.full((count, *min(shapes)), np.nan)
    for frame, pose in chosen.items():
        positions[frame - first] = pose.positions
    several = any(len(poses) > 1 for poses in frames.values())
    return positions, ["of several people the one seen most and largest is kept"] if several else []


def image_plane(positions: np.ndarray) -> tuple[np.ndarray, str]:
    """Positions (..., 2) of an image, whose y goes down, with y up; and a note."""
    return positions * np.array([1.0, -1.0]), "positions in the image, turned from y down to y up"


def split_confidence(sequences: Sequence[np.ndarray]) -> tuple[list[np.ndarray], str]:
    """Positions (frames, joints, 3) whose third is no coordinate but a confidence, as (frames, joints, 2); and a note.

    It is one where all of the third lie in [0, 1] and the others go over tens of pixels. Where it is 0 the joint is
    missing. Other sequences come back as they are, with no note.
    """
    whole = [np.asarray(x) for x in sequences]
    if any(x.ndim != 3 or x.shape[2] != 3 for x in whole):
        return whole, ""
    values = np.concatenate([x.reshape(-1, 3) for x in whole])
    values = values[np.isfinite(values).all(1)]
    if (
        not len(values)
        or values[:, 2].min() < 0
        or values[:, 2].max() > 1
        or np.ptp(values[:, :2], axis=0).min() < _PIXELS
    ):
        return whole, ""
    flat = [np.where(x[..., 2:] > 0, x[..., :2] * np.array([1, -1], x.dtype), np.array(np.nan, x.dtype)) for x in whole]
    return flat, "the third of three numbers taken as a confidence: positions in the image, turned from y down to y up"


def _weight(person: dict[int, Pose]) -> float:
    return sum(pose.confidence * _size(pose) for pose in person.values())


def _size(pose: Pose) -> float:
    seen = pose.positions[np.isfinite(pose.positions).all(1)]
    return float(np.linalg.norm(np.ptp(seen, axis=0))) if len(seen) else 0.0


def _numbered(frames: Mapping[int, Sequence[Pose]]) -> list[dict[int, Pose]]:
    """Poses by frame of each number; [] where some have none."""
    people: dict[str, dict[int, Pose]] = {}
    for frame, poses in sorted(frames.items()):
        for pose in poses:
            if pose.number is None:
                return []
            people.setdefault(pose.number, {})[frame] = pose
    return list(people.values())


def _followed(frames: Mapping[int, Sequence[Pose]]) -> list[dict[int, Pose]]:
    """Poses by frame of each person, who goes on where the nearest pose of the next frame is not far."""
    people: list[dict[int, Pose]] = []
    for frame, poses in sorted(frames.items()):
        free = list(range(len(people)))
        for pose in sorted((pose for pose in poses if _size(pose)), key=_size, reverse=True):
            gaps = {k: _distance(people[k], pose, frame) for k in free}
            best = min(gaps, key=lambda k: gaps[k], default=None)
            if best is None or gaps[best] > _FAR:
                people.append({frame: pose})
            else:
                people[best][frame] = pose
                free.remove(best)
    return people


def _distance(person: dict[int, Pose], pose: Pose, frame: int) -> float:
    """Between the middles of the last pose and this one, in sizes of the person and per frame between, at most 10."""
    last = next(reversed(person))
    middles = [np.nanmean(p.positions, axis=0) for p in (person[last], pose)]
    return float(np.linalg.norm(middles[1] - middles[0])) / (_size(person[last]) * min(frame - last, 10))
