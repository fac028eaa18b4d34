"""An ensemble as one safetensors file beside one card: the tensors and entries of both parts, each under its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.models.activity.ensemble.classifier import MotionEnsemble
from mvnet.models.activity.lie.classifier import describe_body_classifier, rebuild_body_classifier
from mvnet.models.activity.serialization import check_classifier, pack_classifier, unpack_classifier
from mvnet.models.checkpoint import build_network, describe_network
from mvnet.models.stored import load_pair
from mvnet.storage import write_pair

ARCHITECTURE = "MotionEnsemble"
PARTS = ("kernels", "lie")


def save_ensemble(stem: Path, ensemble: MotionEnsemble, card: dict[str, Any]) -> None:
    """Write STEM.safetensors and STEM.json.

    Args:
        stem: path without suffix.
        ensemble: fitted.
        card: further entries of the JSON file.
    """
    network = ensemble.network
    packed = {
        "kernels": pack_classifier(ensemble.kernels, {}),
        "lie": (
            network.network.state_dict(),
            {**describe_network(network.network), **describe_body_classifier(network, {})},
        ),
    }
    tensors = {f"{part}/{name}": tensor for part, (own, _) in packed.items() for name, tensor in own.items()}
    description = {
        "architecture": ARCHITECTURE,
        **card,
        "labels": ensemble.classes_.tolist(),
        "inner_accuracy": ensemble.inner_accuracy_,
        "settings": ensemble.settings_,
        "parts": {part: own for part, (_, own) in packed.items()},
    }
    write_pair(Path(f"{stem}.safetensors"), tensors, Path(f"{stem}.json"), description)


def load_ensemble(stem: Path) -> tuple[MotionEnsemble, dict[str, Any]]:
    """Read STEM.safetensors and STEM.json.

    Args:
        stem: path without suffix.
    Returns:
        the ensemble, on the CPU, and its card.
    Raises:
        MvnetError: a file is missing or holds something else.
    """
    files = Path(f"{stem}.safetensors"), Path(f"{stem}.json")
    missing = "a folder that `mvnet train activity` wrote"
    return load_pair(*files, missing, "an ensemble that `mvnet train activity` wrote", _rebuild)


def _rebuild(card: dict[str, Any], tensors: dict[str, Tensor]) -> MotionEnsemble:
    if card["architecture"] != ARCHITECTURE:
        raise MvnetError(f"architecture: found {card['architecture']!r}, expected {ARCHITECTURE}")
    own: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        own[part][rest] = tensor
    parts = card["parts"]
    network = rebuild_body_classifier(build_network(parts["lie"], own["lie"]), parts["lie"])
    kernels = unpack_classifier(parts["kernels"], own["kernels"])
    ensemble = MotionEnsemble(kernels, network, card["inner_accuracy"], card["settings"])
    check_classifier(ensemble, network.curves.example())
    return ensemble
