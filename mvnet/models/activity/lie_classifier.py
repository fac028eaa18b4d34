"""The Lie-group network as a classifier of recordings: training, classes and their probabilities, files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.bone_rotations import BoneRotations
from mvnet.data_loaders.motion.skeleton.torso import Torso
from mvnet.errors import MvnetError
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.activity.rotation_curves import CurveMaker
from mvnet.models.activity.serialization import check_classifier, small_recording
from mvnet.models.activity.training import MotionSchedule, train_motion_network
from mvnet.models.checkpoint import load_checkpoint, save_checkpoint
from mvnet.models.stored import loading

_BATCH = 64  # curves classified at once
_MOST_FRAMES = 4096


@dataclass
class LieMotionClassifier:
    """A trained network that classifies recordings, with the attribute names of scikit-learn.

    classes_: labels (classes,).  inner_accuracy_: on held-out training subjects, in [0, 1].
    known_threshold_: recordings whose `known_probability` is smaller are unknown.
    """

    network: LieMotionNetwork
    curves: CurveMaker
    classes_: np.ndarray
    inner_accuracy_: float
    settings_: dict[str, Any] = field(default_factory=dict)
    known_threshold_: float = 0.0

    def predict_proba(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Probability of every class.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            (n, classes), rows of sum 1.
        Raises:
            MvnetError: as in `CurveMaker`.
        """
        device = next(self.network.parameters()).device
        with torch.no_grad():
            parts = [self.network(part.to(device)).softmax(-1).cpu() for part in self.curves(sequences).split(_BATCH)]
        return torch.cat(parts).double().numpy()

    def predict(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Most probable class.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            labels (n,).
        """
        return self.classes_[self.predict_proba(sequences).argmax(1)]

    def known_probability(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Probability that a recording is of one of the classes at all.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            (n,), in [0, 1]; 1 where nothing was learned about it, as in files of version 0.1.0.
        """
        return np.ones(len(sequences))

    def is_unknown(self, sequences: Sequence[np.ndarray]) -> np.ndarray:
        """Whether a recording is of none of the classes.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            (n,) bool; False where nothing was learned about it, as in files of version 0.1.0.
        """
        return self.known_probability(sequences) < self.known_threshold_


def fit_lie_classifier(
    motions: MotionSet,
    schedule: MotionSchedule,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda done, total: None,
    folder: Path | None = None,
) -> LieMotionClassifier:
    """Train on all recordings of a set.

    Args:
        motions: labelled rotations, or positions of a known skeleton.
        schedule: options of the training.
        device: device of the network.
        progress: called as progress(done, total) with epochs.
        folder: where checkpoints are kept, as in `train_motion_network`.
    Returns:
        the classifier, on that device.
    Raises:
        DataError: signals, positions of an unknown skeleton, fewer than two classes.
        MvnetError: as in `train_motion_network`.
    """
    curves = CurveMaker.fit(motions)
    classes, labels = np.unique(motions.require_labels(), return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"{motions.source}: found {len(classes)} class to train with, expected at least two")
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
    settings = {
        "frame": curves.frame,
        "frames": curves.frames,
        "optimizer": schedule.optimizer,
        "device": str(device),
        "epoch": found["epoch"],
    }
    return LieMotionClassifier(network, curves, classes, found["inner_accuracy"], settings)


def save_lie_classifier(stem: Path, classifier: LieMotionClassifier, card: dict[str, Any]) -> None:
    """Write STEM.safetensors and STEM.json.

    Args:
        stem: path without suffix.
        classifier: trained.
        card: further entries of the JSON file.
    """
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


def load_lie_classifier(stem: Path) -> tuple[LieMotionClassifier, dict[str, Any]]:
    """Read STEM.safetensors and STEM.json.

    Args:
        stem: path without suffix.
    Returns:
        the classifier, on the CPU, and its card.
    Raises:
        MvnetError: a file is missing or holds something else.
    """
    network, card = load_checkpoint(stem)
    if not isinstance(network, LieMotionNetwork):
        raise MvnetError(f"checkpoint: found a {type(network).__name__} in {stem}, expected a LieMotionNetwork")
    with loading(Path(f"{stem}.safetensors"), "the card of a classifier of motions"):
        bones, given = None, card["rotations"]
        if given is not None:
            torso = given["torso"] and Torso(tuple(given["torso"]["low"]), tuple(given["torso"]["high"]))
            bones = BoneRotations(np.array(given["bones"]), np.array(given["rest"]), torso)
        frames = card["frames"]
        if not isinstance(frames, int) or not 1 < frames <= _MOST_FRAMES:
            raise MvnetError(f"frames: found {frames!r}, expected an integer from 2 to {_MOST_FRAMES}")
        curves = CurveMaker(bones, network.config["joints"], frames)
        labels = np.array(card["labels"])
        classifier = LieMotionClassifier(network, curves, labels, card["inner_accuracy"], card["settings"])
        check_classifier(classifier, _recording_for(curves))
    return classifier, card


def _recording_for(curves: CurveMaker) -> np.ndarray:
    """A small recording of the kind that becomes curves."""
    if curves.bones is None:
        return small_recording("rotations", curves.joints)
    torso = curves.bones.torso
    used = [*curves.bones.bones.flat, *(() if torso is None else (*torso.low, *torso.high))]
    if not used or min(used) < 0 or max(used) > 2 * len(used):
        raise MvnetError(f"bones: found joints {used[:4]}, expected those of a skeleton")
    return small_recording("positions", 1 + int(max(used)))
