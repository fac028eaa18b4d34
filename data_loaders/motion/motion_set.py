"""A set of recorded motions, whatever file it comes from.

    kind         one sequence                  values
    positions    (frames, joints, 3)           metres, right-handed, z up
                 (frames, joints, 2)           in the plane of an image: to the right, up; all sequences alike
    rotations    (frames, joints, 3, 3)        matrices in SO(3)
    signals      (frames, channels)            as `channels` names them, e.g. accelerations and angular rates

A frame or a joint that was not seen is NaN, never 0. Sequences may have different lengths, one frame included.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.gaps import interpolate_gaps
from mvnet.data_loaders.motion.skeleton.tree import check_parent
from mvnet.data_loaders.motion.skeleton.vertical import Vertical

Kind = Literal["positions", "rotations", "signals"]
TAILS: dict[str, tuple[int, ...]] = {"positions": (3,), "rotations": (3, 3), "signals": ()}
"""Shape of the value of one joint or channel, by kind."""


@dataclass(frozen=True)
class MotionSet:
    """n sequences of one kind, with what is known about them.

    Args:
        sequences: n arrays as the table above says, floating point, all with the same joints or channels.
        kind: "positions", "rotations" or "signals".
        labels: (n,) integers, positions in `classes`; None where nothing is labelled.
        classes: name of each class, in the order of `labels`; a class may have no sequence.
        subjects: (n,) who moves, integers or strings; None where unknown.
        parent: (joints,) index of the joint above, -1 at the root; None where unknown.
        train_subjects: (splits, k) published splits: the subjects to train with, all others are for testing.
        train_sequences: (splits, n) bool, published splits that do not go by subject.
        names: of the sequences, by default their number.
        joints: name of each joint. channels: name, with unit, of each channel of "signals".
        rate: frames per second. timestamps: n arrays (frames,), seconds, where the sampling is uneven.
        source: file or folder, for messages. notes: what the reader decided, repaired or left out, in words.
        vertical: the axis of the file that is z here; None where nothing stands or the format has its own axes.
    Raises:
        DataError: a ValueError that names the sequence, what was found and what was expected.
    """

    sequences: Sequence[np.ndarray]
    kind: Kind = "positions"
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    subjects: np.ndarray | None = None
    parent: np.ndarray | None = None
    train_subjects: np.ndarray | None = None
    train_sequences: np.ndarray | None = None
    names: tuple[str, ...] = ()
    joints: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    rate: float | None = None
    timestamps: tuple[np.ndarray, ...] | None = None
    source: str = "sequences"
    notes: tuple[str, ...] = ()
    vertical: Vertical | None = None

    def __post_init__(self) -> None:
        if self.kind not in TAILS:
            raise DataError(f"kind: found {self.kind!r}, expected one of {', '.join(TAILS)}")
        if not len(self.sequences):
            raise DataError(f"{self.source}: found no sequences, expected at least one")
        object.__setattr__(self, "sequences", tuple(np.asarray(sequence) for sequence in self.sequences))
        if not self.names:
            object.__setattr__(self, "names", tuple(str(i) for i in range(len(self))))
        self._check_sequences()
        self._check_annotations()
        if self.parent is not None:
            object.__setattr__(self, "parent", check_parent(self.parent, self.width, self.source))

    def _check_sequences(self) -> None:
        flat = self.kind == "positions" and self.sequences[0].shape[2:] == (2,)
        tail = (2,) if flat else TAILS[self.kind]
        wanted = ", ".join(["frames", "channels" if self.kind == "signals" else "joints", *map(str, tail)])
        for name, sequence in zip(self.names, self.sequences):
            where = f"{self.source}: sequence {name}"
            if sequence.ndim != 2 + len(tail) or sequence.shape[2:] != tail or 0 in sequence.shape:
                raise DataError(f"{where}: found shape {sequence.shape}, expected ({wanted}), none of them 0")
            if sequence.dtype.kind != "f":
                raise DataError(f"{where}: found {sequence.dtype} values, expected floating point")
            if sequence.shape[1] != self.width:
                what = "channels" if self.kind == "signals" else "joints"
                raise DataError(
                    f"{where}: found {sequence.shape[1]} {what}, expected {self.width} as in {self.names[0]}"
                )
            if np.isinf(sequence).any():
                raise DataError(f"{where}: found infinite values, expected finite ones, NaN where nothing was seen")

    def _check_annotations(self) -> None:
        n, splits = len(self), (self.train_sequences, self.train_subjects)
        counts = {
            "labels": (self.labels, n),
            "subjects": (self.subjects, n),
            "names": (self.names, n),
            "timestamps": (self.timestamps, n),
            "names of joints": (self.joints, self.width),
            "names of channels": (self.channels, self.width),
        }
        for what, (values, wanted) in counts.items():
            if values is not None and len(values) != wanted:
                raise DataError(f"{self.source}: found {len(values)} {what}, expected {wanted}")
        by_sequence, by_subject = (None if split is None else np.shape(split) for split in splits)
        if by_sequence is not None and by_sequence[1:] != (n,):
            raise DataError(f"{self.source}: train_sequences: found shape {by_sequence}, expected (splits, {n})")
        if by_subject is not None and len(by_subject) != 2:
            raise DataError(f"{self.source}: train_subjects: found shape {by_subject}, expected (splits, subjects)")
        self._check_labels()
        self._check_times()

    def _check_labels(self) -> None:
        if self.labels is None:
            return
        labels = np.asarray(self.labels)
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(self.classes):
            found = f"{labels.dtype} from {labels.min()} to {labels.max()}"
            raise DataError(
                f"{self.source}: labels: found {found}, expected integers from 0 to {len(self.classes) - 1}"
            )
        object.__setattr__(self, "labels", labels.astype(np.int64))

    def _check_times(self) -> None:
        for name, sequence, times in zip(self.names, self.sequences, self.timestamps or ()):
            if times.shape != sequence.shape[:1]:
                found = f"{len(times)} times for {len(sequence)} frames"
                raise DataError(f"{self.source}: sequence {name}: found {found}, expected one for each")
        for name, times in zip(self.names, self.timestamps or ()):
            check_times(times, f"{self.source}: sequence {name}")
        if self.rate is None:
            return
        if not (self.rate > 0 and np.isfinite(self.rate)):
            raise DataError(f"{self.source}: rate: found {self.rate}, expected frames per second above 0")
        object.__setattr__(self, "rate", float(self.rate))

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def width(self) -> int:
        """Number of joints, or of channels."""
        return self.sequences[0].shape[1]

    @property
    def is_flat(self) -> bool:
        """Whether positions are those of an image, (frames, joints, 2)."""
        return self.kind == "positions" and self.sequences[0].shape[-1] == 2

    @property
    def lengths(self) -> np.ndarray:
        """(n,) frames of each sequence."""
        return np.array([len(sequence) for sequence in self.sequences])

    def require_labels(self) -> np.ndarray:
        """The labels; DataError where there are none."""
        if self.labels is None:
            raise DataError(
                f"{self.source}: found no labels, expected a class for each sequence: an array `label` in the .npz, "
                "or one folder for each class"
            )
        return self.labels

    def require_subjects(self) -> np.ndarray:
        """The subjects; DataError where they are not known."""
        if self.subjects is None:
            raise DataError(
                f"{self.source}: found no subjects, expected one for each sequence: an array `subject` in the .npz, "
                "s01 or subject01 in the file names, or a subjects.csv beside the class folders"
            )
        return self.subjects

    def take(self, indices: Sequence[int] | np.ndarray) -> MotionSet:
        """The sequences at these indices, or where a mask (n,) is true; `classes` stay as they are."""
        index = np.asarray(indices)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.int64)
        pick = index.tolist()
        return replace(
            self,
            sequences=tuple(self.sequences[i] for i in pick),
            labels=None if self.labels is None else self.labels[index],
            subjects=None if self.subjects is None else np.asarray(self.subjects)[index],
            train_sequences=None if self.train_sequences is None else np.asarray(self.train_sequences)[:, index],
            names=tuple(self.names[i] for i in pick),
            timestamps=None if self.timestamps is None else tuple(self.timestamps[i] for i in pick),
        )


def check_times(times: np.ndarray, where: str, instead: str = "") -> None:
    """DataError unless times (frames,) are finite and grow from frame to frame; `instead` ends its text."""
    if not np.isfinite(times).all():
        raise DataError(f"{where}: found times that are no numbers, expected seconds{instead}")
    grows = np.diff(times) > 0
    if not grows.all():
        k = int(np.argmin(grows))
        found = f"time {times[k + 1]:g} of frame {k + 1} after {times[k]:g}"
        raise DataError(f"{where}: found {found}, expected times that grow{instead}")


def encode_labels(values: Sequence[Hashable] | np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels (n,) int64 and class names of any values (n,): numbers in their order, everything else alphabetically."""
    plain = [value.item() if isinstance(value, np.generic) else value for value in values]
    plain = [int(v) if isinstance(v, float) and v.is_integer() else v for v in plain]
    numeric = all(isinstance(v, int | float) for v in plain)
    distinct = sorted(set(plain), key=None if numeric else str)
    position = {value: i for i, value in enumerate(distinct)}
    return np.array([position[v] for v in plain], dtype=np.int64), tuple(str(v) for v in distinct)


def subset(motions: MotionSet, classes: Sequence[str | int]) -> MotionSet:
    """The sequences of these classes only, labelled by their place in `classes`.

    Args:
        classes: names; an integer n stands for the class named "n" or, where none is, for the n-th, counted from 1.
    Raises:
        DataError: no labels, a class that does not exist or is named twice.
    """
    labels, names = motions.require_labels(), motions.classes
    old = [names.index(str(c)) if str(c) in names else c - 1 if isinstance(c, int) else -1 for c in classes]
    if not old or min(old) < 0 or max(old) >= len(names) or len(set(old)) < len(old):
        raise DataError(f"classes: found {list(classes)}, expected different ones of {', '.join(names)}")
    part = motions.take(np.isin(labels, old))
    new = np.full(len(names), -1)
    new[old] = np.arange(len(old))
    return replace(part, labels=new[part.require_labels()], classes=tuple(names[i] for i in old))


def fill_missing(motions: MotionSet) -> tuple[MotionSet, tuple[np.ndarray, ...]]:
    """Missing values replaced in time, see `mvnet.data_loaders.motion.gaps.interpolate_gaps`.

    Only for "positions" and "signals"; for rotations see `mvnet.data_loaders.motion.bone_rotations.fill_rotations`.

    Returns:
        the set, and for each sequence the mask (frames, joints or channels) of what was there.
    Raises:
        DataError: a joint or channel that no frame of a sequence has, or rotations.
    """
    if motions.kind == "rotations":
        raise DataError("motions: found rotations, expected positions or signals: a rotation has no linear mean")
    masks = tuple(_seen(sequence) for sequence in motions.sequences)
    sequences = tuple(
        interpolate_gaps(sequence, seen, f"{motions.source}: sequence {name}")
        for name, sequence, seen in zip(motions.names, motions.sequences, masks)
    )
    return replace(motions, sequences=sequences), masks


def _seen(sequence: np.ndarray) -> np.ndarray:
    """Mask (frames, joints or channels) of what is there."""
    finite = np.asarray(np.isfinite(sequence))
    return np.asarray(finite.all(-1)) if sequence.ndim == 3 else finite
