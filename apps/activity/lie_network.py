"""The Lie-group network as a classifier of motions: recordings to curves of rotations, training, files.

Positions become rotations of bones in the axes of the torso, which is itself the first rotation, the identity, that
the first bones are seen from; a skeleton without a torso is taken in the axes of the world. Rest directions and torso
come from training recordings only. Every curve is resampled along geodesics to the same number of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvnet.apps.common.errors import UserError
from mvnet.curves import resample
from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.bone_rotations import BoneRotations, fill_rotations
from mvnet.data_loaders.motion.skeleton.torso import Torso
from mvnet.errors import MvnetError
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.activity.training import MotionSchedule, train_motion_network
from mvnet.models.checkpoint import load_checkpoint, save_checkpoint

FRAMES = 32
_BATCH = 64  # curves classified at once


def require_rotations(motions: MotionSet) -> None:
    """UserError: signals, or positions of an unknown skeleton."""
    if motions.kind == "signals":
        raise UserError(
            f"--network lie: {motions.source} holds signals, expected rotations or positions of a skeleton; "
            "--network kernels takes signals"
        )
    if motions.kind == "positions" and (motions.parent is None or motions.width < 2):
        raise UserError(
            f"--network lie: {motions.source} does not say which joints are connected, expected an array `parent`; "
            "--network kernels does without"
        )


@dataclass(frozen=True)
class CurveMaker:
    """How recordings become curves of rotations.

    Args:
        bones: for positions; None for recordings that are rotations already.
        joints: number of rotations in a frame of a curve. frames: of every curve.
    """

    bones: BoneRotations | None
    joints: int
    frames: int = FRAMES

    @classmethod
    def fit(cls, motions: MotionSet) -> CurveMaker:
        """From training recordings. UserError as in `require_rotations`."""
        require_rotations(motions)
        if motions.kind == "rotations":
            return cls(None, motions.width)
        assert motions.parent is not None
        try:
            bones = BoneRotations.fit(motions.sequences, motions.parent)
        except DataError:  # no torso
            bones = BoneRotations.fit(motions.sequences, motions.parent, frame="world")
        return cls(bones, len(bones.bones) + (bones.torso is not None))

    def parent(self, motions: MotionSet) -> list[int] | None:
        """The rotation that each is seen from, for `LieMotionNetwork`."""
        if self.bones is None:
            return None if motions.parent is None else motions.parent.tolist()
        first = int(self.bones.torso is not None)
        at = {int(end): first + place for place, end in enumerate(self.bones.bones[:, 1])}
        return [-1] * first + [at.get(int(start), first - 1) for start in self.bones.bones[:, 0]]

    def __call__(self, sequences: Sequence[np.ndarray]) -> Tensor:
        """(n, frames, joints, 3, 3), float32. ValueError: recordings of another kind or number of joints."""
        plain = (torch.from_numpy(np.ascontiguousarray(sequence, dtype=np.float64)) for sequence in sequences)
        return torch.stack([self._one(x) for x in plain]).float()

    def _one(self, x: Tensor) -> Tensor:
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


@dataclass
class NetworkClassifier:
    """A trained network that takes recordings, with the names that scikit-learn gives to what was learned."""

    network: LieMotionNetwork
    curves: CurveMaker
    classes_: np.ndarray
    inner_accuracy_: float
    settings_: dict[str, Any] = field(default_factory=dict)

    def predict_proba(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """(n, classes)."""
        device = next(self.network.parameters()).device
        with torch.no_grad():
            parts = [self.network(part.to(device)).softmax(-1).cpu() for part in self.curves(sequences).split(_BATCH)]
        return torch.cat(parts).double().numpy()

    def predict(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Labels (n,)."""
        return self.classes_[self.predict_proba(sequences).argmax(1)]


def fit_network(
    motions: MotionSet,
    schedule: MotionSchedule,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda done, total: None,
    folder: Path | None = None,
) -> NetworkClassifier:
    """Train on all these recordings; `folder` as in `train_motion_network`.

    Raises:
        ValueError: signals, positions of an unknown skeleton, fewer than two classes.
    """
    curves = CurveMaker.fit(motions)
    classes, labels = np.unique(motions.require_labels(), return_inverse=True)
    if len(classes) < 2:
        raise UserError(f"{motions.source}: found {len(classes)} class to train with, expected at least two")
    subjects = np.zeros(len(motions)) if motions.subjects is None else np.asarray(motions.subjects)
    groups = torch.from_numpy(np.unique(subjects, return_inverse=True)[1])
    network = LieMotionNetwork(curves.joints, len(classes), curves.parent(motions), seed=schedule.seed).to(device)
    found = train_motion_network(
        network,
        curves(motions.sequences).to(device),
        torch.from_numpy(labels).to(device),
        groups,
        schedule,
        progress,
        folder,
    )
    frame = "given" if curves.bones is None else "world" if curves.bones.torso is None else "torso"
    settings = {
        "frame": frame,
        "frames": curves.frames,
        "optimizer": schedule.optimizer,
        "device": str(device),
        "epoch": found["epoch"],
    }
    return NetworkClassifier(network, curves, classes, found["inner_accuracy"], settings)


def save_network(stem: Path, classifier: NetworkClassifier, card: dict[str, Any]) -> None:
    """Write STEM.safetensors and STEM.json."""
    bones, rotations = classifier.curves.bones, None
    if bones is not None:
        torso = None if bones.torso is None else {"low": bones.torso.low, "high": bones.torso.high}
        rotations = {"bones": bones.bones.tolist(), "rest": bones.rest.tolist(), "torso": torso}
    full = {
        **card,
        "rotations": rotations,
        "frames": classifier.curves.frames,
        "labels": classifier.classes_.tolist(),
        "inner_accuracy": classifier.inner_accuracy_,
        "settings": classifier.settings_,
    }
    save_checkpoint(stem, classifier.network, full)


def load_network(stem: Path) -> tuple[NetworkClassifier, dict[str, Any]]:
    """The classifier, on the CPU, and its card. ValueError: a file is missing or holds something else."""
    network, card = load_checkpoint(stem)
    try:
        assert isinstance(network, LieMotionNetwork)
        bones, given = None, card["rotations"]
        if given is not None:
            torso = given["torso"] and Torso(tuple(given["torso"]["low"]), tuple(given["torso"]["high"]))
            bones = BoneRotations(np.array(given["bones"]), np.array(given["rest"]), torso)
        curves = CurveMaker(bones, network.config["joints"], card["frames"])
        labels = np.array(card["labels"])
        return NetworkClassifier(network, curves, labels, card["inner_accuracy"], card["settings"]), card
    except (AssertionError, KeyError, TypeError) as error:
        raise MvnetError(f"checkpoint: {stem} cannot be loaded ({type(error).__name__}: {error})") from error
