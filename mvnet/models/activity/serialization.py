"""A fitted motion classifier as a safetensors file beside a JSON card; loading executes no code."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.activity.body_frame import BodyFrame
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.kernel_bank import FILTERS, KernelBank
from mvnet.models.activity.kernel_ridge import Centring
from mvnet.models.activity.novelty import Novelty
from mvnet.models.activity.views import KINDS, Views
from mvnet.models.stored import check_config, check_outputs, load_pair
from mvnet.storage import write_pair

_ARCHITECTURE = "MotionClassifier"
_FRAMES, _ROUNDING = 8, 1e-3
_VALUES = {"filters": "thresholds", "competing": "filters"}
"""What a layer of filters holds beside its channels."""


def save_classifier(stem: str | Path, classifier: MotionClassifier, card: dict[str, Any]) -> None:
    """Write STEM.safetensors and STEM.json.

    Args:
        stem: path without suffix.
        classifier: fitted.
        card: more entries of the JSON file.
    """
    tensors, description = pack_classifier(classifier, card)
    write_pair(Path(f"{stem}.safetensors"), tensors, Path(f"{stem}.json"), description)


def pack_classifier(classifier: MotionClassifier, card: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What is stored of a classifier.

    Args:
        classifier: fitted.
        card: more entries of the JSON file.
    Returns:
        tensors by name, and all entries of the JSON file.
    """
    bank, tensors = classifier.bank_, {"dual": torch.from_numpy(classifier.dual_)}
    tensors["labels"] = torch.from_numpy(classifier.labels_)
    views = bank.views
    if views.parent is not None:
        tensors["parent"] = views.parent
    if views.scale is not None:
        tensors["scale"] = views.scale
    if views.body is not None:
        body = {"upright": views.body.upright, "weight": views.body.weight}
        tensors |= {f"body/{k}": v for k, v in body.items()}
        if views.body.mirror is not None:
            tensors["body/mirror"] = views.body.mirror
    tensors |= {f"curves/{k}": v for k, v in bank.curves.items()}
    if views.steps is not None:
        tensors["steps"] = views.steps
    for family, fitted in bank.filters.items():
        for name, filters in fitted.items():
            key, values = f"{family}/{name}", _VALUES[family]
            tensors[_features(family, name)] = bank.features[family][name]
            tensors |= {f"{key}/mean": filters.mean, f"{key}/scale": filters.scale}
            for i, (_, mixing, own) in enumerate(filters.layers):
                tensors |= {f"{key}/{i}/mixing": mixing, f"{key}/{i}/{values}": own}
    centring = {}
    for (family, mirrored), parts in bank.centring.items():
        for i, part in enumerate(parts):
            key = f"{family}/{int(mirrored)}/{i}"
            tensors[f"centring/{key}"] = torch.from_numpy(part.rows)
            centring[key] = [part.mean, part.scale]
    return tensors, {
        "architecture": _ARCHITECTURE,
        **card,
        "parameters": {k: v for k, v in classifier.get_params().items() if k != "parent"},
        "settings": classifier.settings_,
        "inner_accuracy": classifier.inner_accuracy_,
        "sharpness": classifier.sharpness_,
        "novelty": None if classifier.novelty_ is None else asdict(classifier.novelty_),
        "labels": classifier.classes_.tolist(),
        "kind": views.kind,
        "joints": views.joints,
        "medians": bank.median,
        "views": {"elastic": list(bank.curves), **{family: list(fitted) for family, fitted in bank.filters.items()}},
        "dilations": _dilations(bank, "filters"),
        "competing_dilations": _dilations(bank, "competing"),
        "samples": bank.samples,
        "low_pass": bank.low_pass,
        "averaged": bank.averaged,
        "centring": centring,
    }


def load_classifier(stem: str | Path) -> tuple[MotionClassifier, dict[str, Any]]:
    """Read STEM.safetensors and STEM.json.

    Args:
        stem: path without suffix.
    Returns:
        the classifier and its card.
    Raises:
        MvnetError: a file is missing or holds something else.
    """
    files = Path(f"{stem}.safetensors"), Path(f"{stem}.json")
    wanted = "a classifier that `mvnet train activity` wrote"
    return load_pair(*files, "a folder that `mvnet train activity` wrote", wanted, unpack_classifier)


def unpack_classifier(card: dict[str, Any], tensors: dict[str, Tensor]) -> MotionClassifier:
    """The classifier of what `pack_classifier` made, tried on a small recording.

    Args:
        card: entries of the JSON file.
        tensors: by name.
    Returns:
        the classifier.
    Raises:
        MvnetError: another architecture, sizes that the tensors cannot have, or predictions that are none.
    """
    if card["architecture"] != _ARCHITECTURE:
        raise MvnetError(f"architecture: found {card['architecture']!r}, expected {_ARCHITECTURE}")
    names = ("joints", "dilations", "competing_dilations", "samples")
    check_config({name: card[name] for name in names if name in card}, tensors)
    classifier = _rebuild(tensors, card)
    check_classifier(classifier, small_recording(card["kind"], card["joints"]))
    return classifier


def small_recording(kind: str, joints: int) -> np.ndarray:
    """A recording for the trial of a classifier.

    Args:
        kind: "positions", "poses", "rotations" or "signals".
        joints: number of joints, or of channels.
    Returns:
        a few frames.
    Raises:
        MvnetError: another kind.
    """
    if kind not in KINDS.values():
        raise MvnetError(f"kind: found {kind!r}, expected one of {', '.join(KINDS.values())}")
    random = torch.Generator().manual_seed(0)
    tail = {"signals": (), "poses": (2,)}.get(kind, (3,))
    values = torch.randn(_FRAMES, joints, *tail, generator=random, dtype=torch.float64)
    return (so3.exp(values) if kind == "rotations" else values).numpy()


def check_classifier(classifier: Any, recording: np.ndarray) -> None:
    """Refuse a classifier that does not predict probabilities of its classes.

    Args:
        classifier: with the attributes of scikit-learn.
        recording: of the kind that it was trained on.
    Raises:
        MvnetError: other predictions, no classes, or settings and accuracy that are none.
    """
    if classifier.classes_.ndim != 1 or len(classifier.classes_) < 2:
        raise MvnetError(f"labels: found an array of shape {classifier.classes_.shape}, expected at least two labels")
    accuracy, settings = classifier.inner_accuracy_, classifier.settings_
    if not isinstance(accuracy, int | float) or not isinstance(settings, dict):
        found = f"{type(accuracy).__name__} and {type(settings).__name__}"
        raise MvnetError(f"inner_accuracy and settings: found {found}, expected a number and entries")
    shares, known, _ = classifier.assess([recording])
    check_outputs([torch.from_numpy(shares), torch.from_numpy(known)])
    if shares.shape != (1, len(classifier.classes_)) or abs(shares.sum() - 1) > _ROUNDING or shares.min() < 0:
        raise MvnetError(
            f"weights: found predictions {shares.shape}, expected probabilities of the classes of the card"
        )


def _rebuild(tensors: dict[str, Tensor], card: dict[str, Any]) -> MotionClassifier:
    parent = tensors.get("parent")
    body = None
    if "body/upright" in tensors:
        mirror, turns = tensors.get("body/mirror"), card["kind"] == "positions"
        body = BodyFrame(tensors["body/upright"], tensors["body/weight"], mirror, turns)
    views = Views(card["kind"], card["joints"], parent, body, tensors.get("scale"), tensors.get("steps"))
    filters = {family: _read_filters(tensors, card, family) for family in FILTERS if family in card["views"]}
    centring: dict[tuple[str, bool], list[Centring]] = {}
    for mirrored in (False, True):
        for family in card["views"]:
            found = [
                Centring(tensors[f"centring/{family}/{int(mirrored)}/{i}"].numpy(), mean, scale)
                for i in range(len(card["views"][family]))
                for mean, scale in [card["centring"].get(f"{family}/{int(mirrored)}/{i}", (None, None))]
                if mean is not None
            ]
            if found:
                centring[family, mirrored] = found
    classifier = MotionClassifier(parent=None if parent is None else parent.numpy(), **card["parameters"])
    classifier.bank_ = KernelBank(
        views,
        {name: tensors[f"curves/{name}"] for name in card["views"]["elastic"]},
        card["medians"],
        filters,
        {family: {name: tensors[_features(family, name)] for name in fitted} for family, fitted in filters.items()},
        centring,
        card.get("samples", 64),
        card.get("low_pass", False),
        card.get("averaged", False),
    )
    classifier.dual_ = tensors["dual"].numpy()
    classifier.classes_ = np.array(card["labels"])
    classifier.settings_, classifier.sharpness_ = card["settings"], card["sharpness"]
    classifier.inner_accuracy_ = card["inner_accuracy"]
    novelty = card.get("novelty")
    classifier.novelty_ = None if novelty is None else Novelty(**novelty)
    if "labels" in tensors:
        classifier.labels_ = tensors["labels"].numpy()
    return classifier


def _read_filters(tensors: dict[str, Tensor], card: dict[str, Any], family: str) -> dict[str, Any]:
    """view -> filters of a family."""
    dilations = card["dilations" if family == "filters" else f"{family}_dilations"]
    found = {}
    for name in card["views"][family]:
        key = f"{family}/{name}"
        layers = tuple(
            (d, tensors[f"{key}/{i}/mixing"], tensors[f"{key}/{i}/{_VALUES[family]}"])
            for i, d in enumerate(dilations[name])
        )
        found[name] = FILTERS[family](layers, tensors[f"{key}/mean"], tensors[f"{key}/scale"])
    return found


def _features(family: str, name: str) -> str:
    """The tensor of the features of training curves."""
    return f"features/{name}" if family == "filters" else f"features/{family}/{name}"


def _dilations(bank: KernelBank, family: str) -> dict[str, list[int]]:
    return {name: [d for d, _, _ in filters.layers] for name, filters in bank.filters.get(family, {}).items()}
