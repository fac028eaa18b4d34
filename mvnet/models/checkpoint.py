"""Checkpoints: a safetensors file of weights beside a JSON model card. Loading executes no code.

`dti.safetensors` holds tensors only; `dti.json` names the architecture, its configuration, the training data, the
measured accuracy and the digest of the tensors. Both are replaced together.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.models.registry import ARCHITECTURES
from mvnet.models.stored import Budget, check_config, check_outputs, load_pair
from mvnet.storage import parse_json, write_pair

WEIGHTS = Path(__file__).parent / "weights"


def _pair(path: str | Path) -> tuple[Path, Path]:
    """Weights and card of a checkpoint; `path` is either of them, or their common stem (it may hold dots)."""
    stem = str(path).removesuffix(".safetensors").removesuffix(".json")
    return Path(f"{stem}.safetensors"), Path(f"{stem}.json")


def save_checkpoint(path: str | Path, model: nn.Module, card: dict[str, Any]) -> None:
    """Write weights, and a card with architecture, configuration and the digest of the weights added.

    Args:
        path: either file of the pair, or their common stem.
        model: a network of `ARCHITECTURES`.
        card: further entries of the JSON file.
    """
    weights, description = _pair(path)
    write_pair(weights, model.state_dict(), description, {**describe_network(model), **card})


def describe_network(model: nn.Module) -> dict[str, Any]:
    """The entries of a card that say what a network is.

    Args:
        model: a network of `ARCHITECTURES`.
    Returns:
        "architecture" and "config".
    """
    return {"architecture": type(model).__name__, "config": model.config}


def load_checkpoint(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a model and its card.

    Args:
        path: either file of the pair, or their common stem.
    Returns:
        the model in eval mode, on the CPU, and its card.
    Raises:
        MvnetError: a file is missing or does not describe a known architecture.
    """
    missing = "weights (.safetensors) beside a card (.json)"
    return load_pair(*_pair(path), missing, "weights and card as `mvnet train` writes them", build_network)


def build_network(card: dict[str, Any], tensors: dict[str, Tensor]) -> nn.Module:
    """The network of a card and its tensors, tried on a small input.

    Args:
        card: with "architecture" and "config".
        tensors: by name.
    Returns:
        the model in eval mode, on the CPU.
    Raises:
        MvnetError: an unknown architecture, a configuration of other tensors, or predictions that are not finite.
    """
    if card["architecture"] not in ARCHITECTURES:
        raise MvnetError(f"architecture: found {card['architecture']!r}, expected one of {', '.join(ARCHITECTURES)}")
    architecture = ARCHITECTURES[card["architecture"]]
    check_config(card["config"], tensors)
    with Budget(tensors):
        model = architecture.network(**card["config"])
    model.load_state_dict(tensors)
    model.eval()
    with torch.no_grad():
        check_outputs(architecture.trial(model))
    return model


def architecture_of(name: str | Path) -> str:
    """Architecture of a shipped network, or of the checkpoint at a path, as its card says.

    Args:
        name: either.
    Returns:
        a key of `ARCHITECTURES`; "" where there is no card that says it.
    """
    given = _pair(name)[1]
    try:
        card = parse_json((given if given.is_file() else WEIGHTS / f"{name}.json").read_text())
        return str(card["architecture"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def pretrained(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """Load a shipped model and its card.

    Args:
        name: a stem in `mvnet/models/weights`.
    Returns:
        the model in eval mode, on the CPU, and its card.
    Raises:
        MvnetError: unknown name; the message lists those that exist.
    """
    known = sorted(p.stem for p in WEIGHTS.glob("*.safetensors"))
    if name not in known:
        raise MvnetError(f"name: found {name!r}, expected one of {known}")
    return load_checkpoint(WEIGHTS / name)


def find_model(name: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a shipped model by its name, or the checkpoint at a path.

    Args:
        name: either.
    Returns:
        the model in eval mode, on the CPU, and its card.
    Raises:
        MvnetError: as in `pretrained` and `load_checkpoint`.
    """
    path = Path(name)
    is_file = path.suffix in (".json", ".safetensors") or path.with_name(path.name + ".json").is_file()
    return load_checkpoint(path) if is_file else pretrained(str(name))


def load_identified(name: str, path: Path | None = None) -> tuple[nn.Module, dict[str, str]]:
    """A shipped network, or the one of a checkpoint, with what identifies its weights in provenance records.

    Args:
        name: name of the shipped network.
        path: either file of a checkpoint, or their common stem; None takes the shipped one.
    Returns:
        the network in eval mode; "name" and "sha256" of its weights.
    Raises:
        MvnetError: an unknown name, or a checkpoint that cannot be loaded.
    """
    model, _ = pretrained(name) if path is None else load_checkpoint(path)
    path = WEIGHTS / name if path is None else path
    return model, {"name": path.stem, "sha256": weights_hash(path)}


def weights_hash(path: str | Path) -> str:
    """SHA-256 of a weights file: the identity of a model in provenance records.

    Args:
        path: either file of the pair, or their common stem.
    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(_pair(path)[0].read_bytes()).hexdigest()
