"""A fitted motion classifier as a safetensors file beside a JSON card; loading executes no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.activity.body_frame import BodyFrame
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.kernel_bank import FAMILIES, KernelBank
from mvnet.models.activity.kernel_ridge import Centring
from mvnet.models.activity.kernels import Filters
from mvnet.models.activity.views import KINDS, Views
from mvnet.models.stored import check_config, check_outputs, loading, read_card, read_weights
from mvnet.storage import finish_pair, write_pair

_ARCHITECTURE = "MotionClassifier"
_FRAMES, _ROUNDING = 8, 1e-3


def save_classifier(stem: str | Path, classifier: MotionClassifier, card: dict[str, Any]) -> None:
    """Write STEM.safetensors and STEM.json.

    Args:
        stem: path without suffix.
        classifier: fitted.
        card: more entries of the JSON file.
    """
    bank, tensors = classifier.bank_, {"dual": torch.from_numpy(classifier.dual_)}
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
    for name, filters in bank.filters.items():
        tensors |= {f"features/{name}": bank.features[name], f"filters/{name}/mean": filters.mean}
        tensors[f"filters/{name}/scale"] = filters.scale
        for i, (_, mixing, thresholds) in enumerate(filters.layers):
            tensors |= {f"filters/{name}/{i}/mixing": mixing, f"filters/{name}/{i}/thresholds": thresholds}
    centring = {}
    for (family, mirrored), parts in bank.centring.items():
        for i, part in enumerate(parts):
            key = f"{family}/{int(mirrored)}/{i}"
            tensors[f"centring/{key}"] = torch.from_numpy(part.rows)
            centring[key] = [part.mean, part.scale]
    description = {
        "architecture": _ARCHITECTURE,
        **card,
        "parameters": {k: v for k, v in classifier.get_params().items() if k != "parent"},
        "settings": classifier.settings_,
        "inner_accuracy": classifier.inner_accuracy_,
        "sharpness": classifier.sharpness_,
        "known_threshold": classifier.known_threshold_,
        "labels": classifier.classes_.tolist(),
        "kind": views.kind,
        "joints": views.joints,
        "medians": bank.median,
        "views": {"elastic": list(bank.curves), "filters": list(bank.filters)},
        "dilations": {name: [d for d, _, _ in filters.layers] for name, filters in bank.filters.items()},
        "centring": centring,
    }
    write_pair(Path(f"{stem}.safetensors"), tensors, Path(f"{stem}.json"), description)


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
    finish_pair(*files)
    for file in files:
        if not file.is_file():
            raise MvnetError(f"checkpoint: found no file {file}, expected a folder that `mvnet train activity` wrote")
    with loading(files[0], "a classifier that `mvnet train activity` wrote"):
        card, tensors = read_card(files[1]), read_weights(files[0])
        if card["architecture"] != _ARCHITECTURE:
            raise MvnetError(f"architecture: found {card['architecture']!r}, expected {_ARCHITECTURE}")
        check_config({"joints": card["joints"], "dilations": card["dilations"]}, tensors)
        classifier = _rebuild(tensors, card)
        recording = small_recording(card["kind"], card["joints"])
        check_classifier(classifier, recording)
    return classifier, card


def small_recording(kind: str, joints: int) -> np.ndarray:
    """A recording for the trial of a classifier.

    Args:
        kind: "positions", "rotations" or "signals".
        joints: number of joints, or of channels.
    Returns:
        a few frames.
    Raises:
        MvnetError: another kind.
    """
    if kind not in KINDS.values():
        raise MvnetError(f"kind: found {kind!r}, expected one of {', '.join(KINDS.values())}")
    random = torch.Generator().manual_seed(0)
    values = torch.randn(_FRAMES, joints, *(() if kind == "signals" else (3,)), generator=random, dtype=torch.float64)
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
    shares = classifier.predict_proba([recording])
    check_outputs([torch.from_numpy(shares)])
    if shares.shape != (1, len(classifier.classes_)) or abs(shares.sum() - 1) > _ROUNDING or shares.min() < 0:
        raise MvnetError(
            f"weights: found predictions {shares.shape}, expected probabilities of the classes of the card"
        )


def _rebuild(tensors: dict[str, Tensor], card: dict[str, Any]) -> MotionClassifier:
    parent = tensors.get("parent")
    body = None
    if "body/upright" in tensors:
        body = BodyFrame(tensors["body/upright"], tensors["body/weight"], tensors.get("body/mirror"))
    views = Views(card["kind"], card["joints"], parent, body, tensors.get("scale"))
    filters = {
        name: Filters(
            tuple(
                (d, tensors[f"filters/{name}/{i}/mixing"], tensors[f"filters/{name}/{i}/thresholds"])
                for i, d in enumerate(card["dilations"][name])
            ),
            tensors[f"filters/{name}/mean"],
            tensors[f"filters/{name}/scale"],
        )
        for name in card["views"]["filters"]
    }
    centring: dict[tuple[str, bool], list[Centring]] = {}
    for mirrored in (False, True):
        for family in FAMILIES:
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
        {name: tensors[f"features/{name}"] for name in filters},
        centring,
    )
    classifier.dual_ = tensors["dual"].numpy()
    classifier.classes_ = np.array(card["labels"])
    classifier.settings_, classifier.sharpness_ = card["settings"], card["sharpness"]
    classifier.inner_accuracy_ = card["inner_accuracy"]
    classifier.known_threshold_ = card.get("known_threshold", 0.0)
    return classifier
