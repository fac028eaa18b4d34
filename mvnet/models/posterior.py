"""The posterior of a denoised tensor image, from files or in memory: denoise, and say how sure the result is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from torch import Tensor

from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.errors import MvnetError
from mvnet.models.checkpoint import find_model
from mvnet.models.dti.inference import denoise_loaded
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.posterior.inference import VolumePosterior, volume_posterior
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.models.posterior_weights import load_head


def load_posterior(name: str | Path) -> tuple[DTIPosterior, dict[str, str]]:
    """The posterior of a denoiser of tensors.

    Args:
        name: of the denoiser, as of `mvnet.models.posterior_weights.weights_path`.
    Returns:
        the head in eval mode, on the CPU; "name" and "sha256" of its weights.
    """
    return load_head(name, DTIPosterior, "dti")


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
