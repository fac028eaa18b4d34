"""The Lie-group network of version 0.1.0 as a classifier of recordings, and the files of both networks.

New ones are those of `lie.classifier`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mvnet.data_loaders.motion.bone_rotations import BoneRotations
from mvnet.data_loaders.motion.skeleton.torso import Torso
from mvnet.errors import MvnetError
from mvnet.models.activity.lie.answers import Answers
from mvnet.models.activity.lie.classifier import BodyMotionClassifier, fit_lie_classifier, load_body_classifier
from mvnet.models.activity.lie.classifier import save_body_classifier as save_lie_classifier
from mvnet.models.activity.lie.network import BodyMotionNetwork
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.activity.rotation_curves import CurveMaker
from mvnet.models.activity.serialization import check_classifier, small_recording
from mvnet.models.checkpoint import architecture_of, load_checkpoint
from mvnet.models.stored import loading

__all__ = [
    "BodyMotionClassifier",
    "LieMotionClassifier",
    "fit_lie_classifier",
    "load_lie_classifier",
    "save_lie_classifier",
]

_BATCH = 64  # curves classified at once
_MOST_FRAMES = 4096


@dataclass
class LieMotionClassifier(Answers):
    """A network of version 0.1.0 that classifies recordings, with the attribute names of scikit-learn.

    classes_: labels (classes,).  inner_accuracy_: on held-out training subjects, in [0, 1].
    novelty_: None, it knows of no unknown.
    """

    network: LieMotionNetwork
    curves: CurveMaker
    classes_: np.ndarray
    inner_accuracy_: float
    settings_: dict[str, Any] = field(default_factory=dict)
    novelty_: None = None

    def assess(self, sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `predict_proba`, `known_probability` and `is_unknown` say; nothing was learned about the last two.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            (n, classes), (n,) ones and (n,) bool, all False.
        Raises:
            MvnetError: as in `CurveMaker`.
        """
        device = next(self.network.parameters()).device
        with torch.no_grad():
            parts = [self.network(part.to(device)).softmax(-1).cpu() for part in self.curves(sequences).split(_BATCH)]
        shares = torch.cat(parts).double().numpy()
        return shares, np.ones(len(shares)), np.zeros(len(shares), dtype=bool)


def load_lie_classifier(stem: Path) -> tuple[BodyMotionClassifier | LieMotionClassifier, dict[str, Any]]:
    """Read STEM.safetensors and STEM.json.

    Args:
        stem: path without suffix.
    Returns:
        the classifier, on the CPU, and its card.
    Raises:
        MvnetError: a file is missing or holds something else.
    """
    if architecture_of(stem) == BodyMotionNetwork.__name__:
        return load_body_classifier(stem)
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
        check_classifier(classifier, small_input(curves))
    return classifier, card


def small_input(curves: CurveMaker) -> np.ndarray:
    """A small recording of the kind that becomes curves.

    Args:
        curves: fitted.
    Returns:
        positions or rotations.
    Raises:
        MvnetError: bones of no skeleton.
    """
    if curves.bones is None:
        return small_recording("rotations", curves.joints)
    torso = curves.bones.torso
    used = [*curves.bones.bones.flat, *(() if torso is None else (*torso.low, *torso.high))]
    if not used or min(used) < 0 or max(used) > 2 * len(used):
        raise MvnetError(f"bones: found joints {used[:4]}, expected those of a skeleton")
    return small_recording("positions", 1 + int(max(used)))
