"""Which posterior belongs to which denoiser: NAME-posterior beside NAME, with the digest of its weights in the card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from torch import Tensor

from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.errors import MvnetError
from mvnet.models.checkpoint import WEIGHTS, find_model, load_checkpoint, weights_hash
from mvnet.models.dti.inference import denoise_loaded
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.posterior.inference import VolumePosterior, volume_posterior
from mvnet.models.dti.posterior.network import DTIPosterior


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


def has_posterior(name: str | Path) -> bool:
    """Whether a denoiser has a posterior beside it.

    Args:
        name: as of `weights_path`.
    Returns:
        whether both files are there.
    """
    stem = weights_path(name)
    return all(stem.with_name(f"{head_name(stem.name)}.{end}").is_file() for end in ("safetensors", "json"))


def load_posterior(name: str | Path) -> tuple[DTIPosterior, dict[str, str]]:
    """The posterior of a denoiser.

    Args:
        name: of the denoiser, as of `weights_path`.
    Returns:
        the head in eval mode, on the CPU; "name" and "sha256" of its weights.
    Raises:
        MvnetError: there is none, or it was fitted to other weights.
    """
    stem = weights_path(name)
    path = stem.with_name(head_name(stem.name))
    if not has_posterior(name):
        raise MvnetError(
            f"posterior: found none for {stem}, expected {path}.safetensors; "
            f"`mvnet train dti --posterior --from {name} -o {stem.parent}` fits one"
        )
    head, card = load_checkpoint(path)
    if not isinstance(head, DTIPosterior):
        raise MvnetError(f"posterior: found a {card['architecture']} in {path}, expected a DTIPosterior")
    own, given = card.get("denoiser", {}).get("sha256", ""), weights_hash(stem)
    if own != given:
        raise MvnetError(
            f"posterior: found {path} of a denoiser with SHA-256 {own[:16]}, expected that of {stem}, {given[:16]}"
        )
    return head, {"name": path.name, "sha256": weights_hash(path)}


def sample(
    volume: DTIVolume,
    count: int,
    seed: int = 0,
    *,
    model: str | Path = "dti",
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Tensor]:
    """Tensor fields that could as well be the truth, correlated in space as the error of the denoiser is.

    Args:
        volume: of `mvnet.data_loaders.dti.load_dwi` or `load_tensors`.
        count: number of fields.
        seed: of all fields; field k is a function of the seed and k.
        model: a denoiser with a posterior, by its name or path.
        device: of the networks.
        progress: called as progress(done, total) after every tile.
    Yields:
        (6, X, Y, Z) Mandel planes, um^2/ms; those of the denoised volume outside the mask.
    Raises:
        MvnetError: no such denoiser, or none with a posterior.
    """
    yield from posterior_of(volume, model=model, device=device, progress=progress).sample(count, seed)


def posterior_of(
    volume: DTIVolume,
    *,
    model: str | Path = "dti",
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> VolumePosterior:
    """Denoise a volume, and say how sure the result is.

    Args:
        volume, model, device, progress: as of `sample`.
    Returns:
        its posterior: `sample(count, seed)`, or `mvnet.models.dti.posterior.summaries.summarise` for maps.
    Raises:
        MvnetError: no such denoiser, or none with a posterior.
    """
    head, _ = load_posterior(model)
    denoiser, card = find_model(model)
    if not isinstance(denoiser, DTIDenoiser):
        raise MvnetError(f"model: found a {card['architecture']}, expected a DTIDenoiser")
    denoised = denoise_loaded(denoiser.to(device), volume, progress=progress).tensors
    return volume_posterior(denoiser, head, volume, denoised, progress=progress)
