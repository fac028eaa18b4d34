"""Which posterior belongs to which denoiser: NAME-posterior beside NAME, with the digest of its weights in the card."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from torch import nn

from mvnet.errors import MvnetError
from mvnet.models.checkpoint import WEIGHTS, load_checkpoint, weights_hash

T = TypeVar("T", bound=nn.Module)


def head_name(denoiser: str) -> str:
    """Name of the posterior of a denoiser.

    Args:
        denoiser: name of its weights.
    Returns:
        the stem of the files.
    """
    return f"{denoiser}-posterior"


def weights_path(name: str | Path) -> Path:
    """Common stem of a checkpoint, or of shipped weights.

    Args:
        name: name of shipped weights, or either file of a checkpoint, or their common stem.
    Returns:
        the stem.
    """
    path = Path(str(name).removesuffix(".safetensors").removesuffix(".json"))
    return path if path.with_name(f"{path.name}.json").is_file() else WEIGHTS / path.name


def has_head(name: str | Path) -> bool:
    """Whether a denoiser has a posterior beside it.

    Args:
        name: as of `weights_path`.
    Returns:
        whether both files are there.
    """
    stem = weights_path(name)
    return all(stem.with_name(f"{head_name(stem.name)}.{end}").is_file() for end in ("safetensors", "json"))


def load_head(name: str | Path, kind: type[T], task: str) -> tuple[T, dict[str, str]]:
    """The posterior of a denoiser.

    Args:
        name: of the denoiser, as of `weights_path`.
        kind: class of the posterior.
        task: of `mvnet train`, which fits one.
    Returns:
        the posterior in eval mode, on the CPU; "name" and "sha256" of its weights.
    Raises:
        MvnetError: there is none, or it was fitted to other weights.
    """
    stem = weights_path(name)
    path = stem.with_name(head_name(stem.name))
    if not has_head(name):
        raise MvnetError(
            f"posterior: found none for {stem}, expected {path}.safetensors; "
            f"`mvnet train {task} --posterior --from {name} -o {stem.parent}` fits one"
        )
    head, card = load_checkpoint(path)
    if not isinstance(head, kind):
        raise MvnetError(f"posterior: found a {card['architecture']} in {path}, expected a {kind.__name__}")
    own, given = _digest_in(card.get("denoiser")), weights_hash(stem)
    if own != given:
        raise MvnetError(
            f"posterior: found {path} of a denoiser with SHA-256 {own[:16]}, expected that of {stem}, {given[:16]}"
        )
    return head, {"name": path.name, "sha256": weights_hash(path)}


def _digest_in(denoiser: object) -> str:
    """The digest that a card says its denoiser has; "" where it says none."""
    return str(denoiser.get("sha256", "")) if isinstance(denoiser, dict) else ""
