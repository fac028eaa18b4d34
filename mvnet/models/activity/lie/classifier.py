"""The network of body motions as a classifier of recordings: training, classes and their probabilities, files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.bone_rotations import BoneRotations
from mvnet.data_loaders.motion.skeleton.torso import Torso
from mvnet.errors import MvnetError
from mvnet.models.activity.body_frame import BodyFrame
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.kernel_ridge import softmax
from mvnet.models.activity.lie.answers import Answers
from mvnet.models.activity.lie.curves import BodyCurves
from mvnet.models.activity.lie.network import BodyMotionNetwork
from mvnet.models.activity.lie.training import Curves, train_body_network
from mvnet.models.activity.lie.witness import divide, hear, make_up, relative_distance
from mvnet.models.activity.novelty import Novelty, evidence
from mvnet.models.activity.serialization import check_classifier
from mvnet.models.activity.training import MotionSchedule
from mvnet.models.checkpoint import load_checkpoint, save_checkpoint
from mvnet.models.stored import loading

STREAMS = 2
_BATCH = 64  # curves classified at once
_FILTERS = 500  # of the classifier that tells whether mirror images are the same motion
_MOST_FRAMES = 4096
_ON_MANIFOLDS = ("riemannian-sgd", "riemannian-adam")


@dataclass
class BodyMotionClassifier(Answers):
    """A trained network that classifies recordings, with the attribute names of scikit-learn.

    classes_: labels (classes,).  inner_accuracy_: of the witness, on a training subject and a share of the classes, in
    [0, 1].  novelty_: what tells the unknown, None where nothing could be left out to learn it from.
    """

    network: BodyMotionNetwork
    curves: BodyCurves
    classes_: np.ndarray
    inner_accuracy_: float
    sharpness_: float = 1.0
    novelty_: Novelty | None = None
    settings_: dict[str, Any] = field(default_factory=dict)

    def assess(self, sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `predict_proba`, `known_probability` and `is_unknown` say, at the cost of one of them.

        Args:
            sequences: recordings of the kind it was trained on.
        Returns:
            (n, classes), (n,) and (n,) bool.
        Raises:
            MvnetError: as in `BodyCurves`.
        """
        embedded = embed(self.network, *self.curves(sequences))
        with torch.no_grad():
            scores = self.network.scores(embedded).double().cpu().numpy()
        known, rule = np.ones(len(scores)), self.novelty_
        if rule is None:
            return softmax(scores, self.sharpness_), known, np.zeros(len(scores), dtype=bool)
        distance = relative_distance(embedded, self.network.reference)
        known = rule.probability(evidence(scores, distance, self.network.reference_labels.cpu().numpy()))
        return softmax(scores, self.sharpness_), known, known < rule.threshold


def embed(network: BodyMotionNetwork, r: Tensor, v: Tensor) -> Tensor:
    """What the streams tell the classes from.

    Args:
        network: on any device.
        r, v: curves, as `BodyCurves` makes them.
    Returns:
        (streams, n, features), on the device of the network.
    """
    device = next(network.parameters()).device
    with torch.no_grad():
        parts = [network.embed(a.to(device), b.to(device)) for a, b in zip(r.split(_BATCH), v.split(_BATCH))]
    return torch.cat(parts, 1)


def fit_lie_classifier(
    motions: MotionSet,
    schedule: MotionSchedule,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda done, total: None,
    folder: Path | None = None,
    frame: str = "facing",
    streams: int = STREAMS,
) -> BodyMotionClassifier:
    """Train on all recordings of a set.

    Args:
        motions: labelled rotations, or positions of a known skeleton.
        schedule: options of the training.
        device: device of the network.
        progress: called as progress(done, total) with epochs.
        folder: where checkpoints are kept, as in `train_body_network`.
        frame: "facing" where the vertical is known, "torso" where it is not.
        streams: number of networks that are averaged.
    Returns:
        the classifier, on that device.
    Raises:
        DataError: signals, positions of an unknown skeleton, fewer than two classes.
        MvnetError: as in `train_body_network`.
    """
    curves = BodyCurves.fit(motions, frame)
    classes, labels = np.unique(motions.require_labels(), return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"{motions.source}: found {len(classes)} class to train with, expected at least two")
    subjects = np.zeros(len(motions)) if motions.subjects is None else np.asarray(motions.subjects)
    parts = divide(labels, np.unique(subjects, return_inverse=True)[1], schedule.seed)
    mirrored = curves.mirrors and _mirror_images_are_alike(motions)
    r, v = (part.to(device) for part in curves(motions.sequences))
    seen = Curves(r, v, *((part.to(device) for part in curves(motions.sequences, True)) if mirrored else (r, v)))
    mapping = "manifold" if schedule.optimizer in _ON_MANIFOLDS else "axis"
    sizes = {"joints": curves.joints, "vectors": curves.vectors, "classes": len(classes), "frame": frame}
    options = {**sizes, "parent": curves.parent(motions), "seed": schedule.seed, "mapping": mapping}
    trained = BodyMotionNetwork(streams=streams + 1, **options).to(device)
    target = torch.from_numpy(labels).to(device)
    train_body_network(trained, seen, target, torch.from_numpy(parts.seen), schedule, progress, folder)
    # all streams -> what the witness says -> the others, with what they make of the training motions
    embedded = embed(trained, r, v)
    odd = embed(trained, *curves(make_up(motions.sequences, labels, schedule.seed)))
    heard = torch.cat((embedded, odd), 1)[-1:]
    with torch.no_grad():
        told = trained.members()[-1].last(heard[0]).double().cpu().numpy()
    said = hear(heard, told, labels, parts)
    network = BodyMotionNetwork(streams=streams, references=len(labels), **options).to(device).eval()
    network.streams.load_state_dict(trained.streams[:-1].state_dict())
    network.reference.copy_(embedded[:-1])
    network.reference_labels.copy_(target)
    settings = {"frame": frame, "frames": curves.frames, "mirror": mirrored, "streams": streams}
    settings |= {"epochs": schedule.epochs, "optimizer": schedule.optimizer, "device": str(device)}
    return BodyMotionClassifier(network, curves, classes, said.accuracy, said.sharpness, said.rule, settings)


def _mirror_images_are_alike(motions: MotionSet) -> bool:
    """Whether taking mirror images for the same motion helps on subjects left out, by the classifier of kernels."""
    quick = MotionClassifier(motions.parent, filters=_FILTERS)
    quick.fit(list(motions.sequences), motions.require_labels(), motions.subjects)
    return bool(quick.settings_["mirror"])


def save_body_classifier(stem: Path, classifier: BodyMotionClassifier, card: dict[str, Any]) -> None:
    """Write STEM.safetensors and STEM.json.

    Args:
        stem: path without suffix.
        classifier: trained.
        card: further entries of the JSON file.
    """
    save_checkpoint(stem, classifier.network, describe_body_classifier(classifier, card))


def describe_body_classifier(classifier: BodyMotionClassifier, card: dict[str, Any]) -> dict[str, Any]:
    """What the card of a classifier says beside its network.

    Args:
        classifier: trained.
        card: further entries.
    Returns:
        all entries.
    """
    curves = classifier.curves
    bones, body, torso = curves.bones, curves.body, curves.torso
    return {
        **card,
        "rotations": None if bones is None else {"bones": bones.bones.tolist(), "rest": bones.rest.tolist()},
        "torso": None if torso is None else {"low": torso.low, "high": torso.high},
        "body": None
        if body is None
        else {
            "upright": body.upright.tolist(),
            "weight": body.weight.tolist(),
            "mirror": None if body.mirror is None else body.mirror.tolist(),
        },
        "frames": curves.frames,
        "labels": classifier.classes_.tolist(),
        "inner_accuracy": classifier.inner_accuracy_,
        "sharpness": classifier.sharpness_,
        "novelty": None if classifier.novelty_ is None else asdict(classifier.novelty_),
        "settings": classifier.settings_,
    }


def load_body_classifier(stem: Path) -> tuple[BodyMotionClassifier, dict[str, Any]]:
    """Read STEM.safetensors and STEM.json.

    Args:
        stem: path without suffix.
    Returns:
        the classifier, on the CPU, and its card.
    Raises:
        MvnetError: a file is missing or holds something else.
    """
    network, card = load_checkpoint(stem)
    with loading(Path(f"{stem}.safetensors"), "the card of a classifier of motions"):
        return rebuild_body_classifier(network, card), card


def rebuild_body_classifier(network: nn.Module, card: dict[str, Any]) -> BodyMotionClassifier:
    """The classifier of a network and its card, tried on a small recording.

    Args:
        network: as `load_checkpoint` returns it.
        card: entries of the JSON file.
    Returns:
        the classifier, on the CPU.
    Raises:
        MvnetError: another network, or entries that are not of it.
    """
    if not isinstance(network, BodyMotionNetwork):
        raise MvnetError(f"checkpoint: found a {type(network).__name__}, expected a BodyMotionNetwork")
    frames = card["frames"]
    if not isinstance(frames, int) or not 1 < frames <= _MOST_FRAMES:
        raise MvnetError(f"frames: found {frames!r}, expected an integer from 2 to {_MOST_FRAMES}")
    curves, rule = _read_curves(network, card), card["novelty"]
    classifier = BodyMotionClassifier(
        network,
        curves,
        np.array(card["labels"]),
        card["inner_accuracy"],
        float(card["sharpness"]),
        None if rule is None else Novelty(**rule),
        card["settings"],
    )
    check_classifier(classifier, curves.example())
    return classifier


def _read_curves(network: BodyMotionNetwork, card: dict[str, Any]) -> BodyCurves:
    config, given = network.config, card["rotations"]
    sizes = (config["frame"], config["joints"], config["vectors"])
    if given is None:
        return BodyCurves(*sizes, frames=card["frames"])
    bones, body = BoneRotations(np.array(given["bones"]), np.array(given["rest"])), card["body"]
    mirror = None if body["mirror"] is None else torch.tensor(body["mirror"])
    upright, weight = (torch.tensor(body[name], dtype=torch.float64) for name in ("upright", "weight"))
    torso = card["torso"] and Torso(tuple(card["torso"]["low"]), tuple(card["torso"]["high"]))
    width = len(bones.bones) + 1
    if config["vectors"] != 3 * width + 3 or upright.shape != (width, 3) or bones.bones.max() >= width:
        raise MvnetError(
            f"rotations: found {width - 1} bones and a body of {len(upright)} joints, expected one skeleton"
        )
    return BodyCurves(*sizes, BodyFrame(upright, weight, mirror), bones, torso, card["frames"])
