"""The front door: denoise tensors and phases of any kind of input, load, save and verify networks.

    denoised = mvnet.denoise_dti("dwi.nii.gz")                 # or a nibabel image, an array, a tensor
    denoised = mvnet.denoise_insar(z, coherence)               # or a path, a DataArray, a tensor
    denoised.confidence

The command line calls these functions, and nothing else computes for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.masks import MaskLike
from mvnet.data_loaders.dti.memory import like_image, read_volume
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.data_loaders.insar.memory import like_interferogram, read_interferogram
from mvnet.data_loaders.insar.stacks.memory import is_many, map_pairs
from mvnet.errors import MvnetError
from mvnet.models.checkpoint import find_model, save_checkpoint
from mvnet.models.dti.adaptation import adapt as adapt_network
from mvnet.models.dti.certified.inference import denoise_certified
from mvnet.models.dti.certified.network import CertifiedDenoiser
from mvnet.models.dti.inference import denoise_loaded
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.guarantee import Guarantee
from mvnet.models.insar.inference import blend, overlap_of
from mvnet.models.insar.network import InSARDenoiser
from mvnet.models.insar.raster import denoise_tiles, measure_noise, plan_tiles
from mvnet.models.registry import verify as verify_network
from mvnet.nn.trust_region import TRUST_REGION
from mvnet.runtime import find_device
from mvnet.training import Run, Schedule, train

__all__ = [
    "Run",
    "Schedule",
    "denoise_dti",
    "denoise_insar",
    "load_model",
    "save_model",
    "train",
    "verify",
]

Progress = Callable[[int, int], None]
Model = str | Path | nn.Module
"""A shipped network by its name, a checkpoint by its path, or a network."""


def load_model(name: str | Path) -> nn.Module:
    """A network with its weights, in eval mode; its attribute `card` is the model card.

    Args:
        name: "dti", "insar", or the path of a checkpoint.
    Returns:
        the network.
    Raises:
        MvnetError: no such network, or a damaged checkpoint.
    """
    model, card = find_model(name)
    model.card = card  # type: ignore[assignment]
    return model


def save_model(path: str | Path, model: nn.Module, card: dict[str, Any] | None = None) -> None:
    """Write a network as PATH.safetensors beside its card PATH.json, which no code is executed to read.

    Args:
        path: common stem of the two files.
        model: of an architecture that `load_model` knows.
        card: what is to be said of the network; None repeats the card it was loaded with.
    """
    save_checkpoint(path, model, getattr(model, "card", {}) if card is None else card)


def verify(model: Model, seed: int = 0) -> list[Guarantee]:
    """Measure what a network guarantees: equivariance in both precisions, values on the manifold, no seams.

    Args:
        model: name, path or network.
        seed: of the random data.
    Returns:
        name, value, limit and whether it holds, of each guarantee.
    Raises:
        MvnetError: nothing is known about the architecture.
    """
    return verify_network(_network(model, nn.Module), seed)


def denoise_dti(
    image: Any,
    bvals: str | Path | np.ndarray | None = None,
    bvecs: str | Path | np.ndarray | None = None,
    *,
    mask: MaskLike | None = None,
    strength: float = 1.0,
    trust_region: float = TRUST_REGION,
    adapt: bool | Mapping[str, Any] = False,
    device: str = "auto",
    model: Model = "dti",
    order: str | None = None,
    unit: str | None = None,
    frame: str | None = None,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    affine: np.ndarray | None = None,
    fit: FitOptions | Mapping[str, Any] | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Any:
    """Denoise a diffusion tensor image.

    Args:
        image: path, nibabel image, or array or tensor (X, Y, Z, M): a DWI where there are b-values, else six tensor
            components; or the `DTIVolume` of a loader.
        bvals, bvecs: (M,) in s/mm^2 and (M, 3) unit vectors, or FSL files; those of a path are found by themselves.
        mask: (X, Y, Z) or a NIfTI, > 0 inside; None makes one from the data.
        strength: 0 keeps the tensors, 1 is the network's output, between them lies the affine-invariant geodesic.
        trust_region: quantile of a voxel's own noise beyond which it is not moved (where the noise is known); 1 is no
            bound. The certified network has none.
        adapt: fine-tune the network on this DWI first, 12 directions or more; a mapping gives arguments of
            `mvnet.models.dti.adaptation.adapt`, such as {"optimizer": "soap"}.
        device: "auto", or a name of torch.
        model: name, path or network.
        order, unit: of tensor components, such as "fsl" and "mm2/s"; None detects them.
        frame: axes of the b-vectors or components, "fsl", "voxel" or "world"; None: as the file says.
        spacing, affine: sides of a voxel in mm, or its (4, 4) voxel-to-world matrix, for arrays.
        fit: `FitOptions`, or a mapping of some of them, such as {"bmax": 1200, "skip_volumes": (31,)}.
        workers: tiles computed at the same time.
        executor: of `concurrent.futures` or a dask client's `get_executor()`, computes tiles instead of threads here.
        progress: called as progress(done, total) while the tensors are denoised.
    Returns:
        tensors of the kind that came in, with an attribute `confidence` (X, Y, Z) in [0, 1]: array, tensor, or nibabel
        image (also for a path), in the layout, unit and axes of the input; from a DWI in FSL order and mm^2/s. Of a
        `DTIVolume`: tensors (6, X, Y, Z), um^2/ms, error and confidence. That of the certified network is None.
    Raises:
        MvnetError: what cannot be read, fitted or combined; see `mvnet.data_loaders.dti`.
    """
    network, volume = _network(model, DTIDenoiser, CertifiedDenoiser).to(find_device(device)), image
    if not isinstance(image, DTIVolume):
        layout: dict[str, Any] = {"order": order, "unit": unit, "frame": frame, "spacing": spacing, "affine": affine}
        volume = read_volume(image, bvals, bvecs, mask=mask, fit=_fit_options(fit), **layout)
    if adapt:
        network = adapt_network(network, volume, **({} if adapt is True else adapt))
    if isinstance(network, CertifiedDenoiser):
        found = denoise_certified(network, volume, strength, progress, workers, executor)
    else:
        found = denoise_loaded(network, volume, strength, trust_region, progress, workers, executor)
    return found if isinstance(image, DTIVolume) else like_image(image, volume, found.tensors, found.confidence)


def denoise_insar(
    z: Any,
    coherence: Any = None,
    *,
    valid: Any = None,
    looks: float | None = None,
    strength: float = 1.0,
    tile: int = 1024,
    workers: int | None = None,
    executor: Executor | None = None,
    device: str = "auto",
    model: Model = "insar",
    progress: Progress | None = None,
) -> Any:
    """Denoise an interferogram, or a stack of them pair by pair.

    Args:
        z: path; or array, tensor, DataArray or dask array (H, W) or (pair, H, W), complex in any unit or phase in
            radians; NaN, and 0 in complex ones, are no data.
        coherence: path, or as z in [0, 1], NaN where unknown; None takes the one beside a file, else none.
        valid: as z, bool, pixels to use, in memory only; None uses all with data.
        looks: number of looks; None takes that of a file's metadata, else it is unknown.
        strength: 0 keeps the phase, 1 is the network's output, between them lies the shorter arc of the circle.
        tile: side of a tile in pixels; memory grows with its square, the result does not depend on it.
        workers: tiles computed at the same time; None is one for every thread of torch on the CPU, else one.
        executor: of `concurrent.futures` or a dask client's `get_executor()`, computes tiles instead of threads here.
        device: "auto", or a name of torch.
        model: name, path or network.
        progress: called as progress(done, total) after every tile.
    Returns:
        what came in: complex with the amplitude of the input, or phase in (-pi, pi]; array, tensor, DataArray (also
        for a path), or dask array, computed pair by pair when asked for. Its `confidence`, of the shape of z, is the
        expected cosine of the error, in [0, 1], 0 where there are no data.
    Raises:
        MvnetError: what cannot be read; shapes that differ; a strength, tile or device that cannot be.
    """
    if not 0 <= strength <= 1:
        raise MvnetError(f"strength: found {strength}, expected a number in [0, 1]")
    if looks is not None and not looks >= 1:
        raise MvnetError(f"looks: found {looks}, expected a number of at least 1")
    if tile < 1:
        raise MvnetError(f"tile: found {tile}, expected a positive number of pixels")
    network = _network(model, InSARDenoiser)
    place = str(find_device(device))
    work = partial(_denoise_scene, strength=strength, tile=tile, workers=workers, executor=executor, device=place)
    work = partial(work, network=network, progress=progress, looks=looks)
    return map_pairs(work, z, coherence, valid) if is_many(z) else work(z, coherence, valid)


def _denoise_scene(
    z: Any,
    coherence: Any,
    valid: Any,
    *,
    strength: float,
    tile: int,
    workers: int | None,
    executor: Executor | None,
    device: str,
    network: InSARDenoiser,
    progress: Progress | None,
    looks: float | None,
) -> Any:
    """As `denoise_insar`, of one interferogram."""
    image = read_interferogram(z, coherence, valid)
    noise = measure_noise(image, getattr(image, "looks", None) if looks is None else looks)
    phase = np.full(image.shape, np.nan, np.float32)
    confidence = np.zeros(image.shape, np.float32)
    tiles = plan_tiles(image.shape, None, tile, overlap_of(network), network.alignment)
    results = denoise_tiles(
        image, tiles, network.float(), device=device, workers=workers, executor=executor, noise=noise
    )
    with closing(results):
        for done, (read, found) in enumerate(results, start=1):
            known = read.valid[read.place]
            measured = np.angle(read.values[read.place])
            moved = blend(torch.from_numpy(measured), torch.from_numpy(found.phase), strength).numpy()
            phase[read.inner] = np.where(known, moved, np.nan)
            confidence[read.inner] = np.where(known, found.confidence, 0)
            if progress is not None:
                progress(done, len(tiles))
    return like_interferogram(z, image, phase, confidence)


def _fit_options(options: FitOptions | Mapping[str, Any] | None) -> FitOptions:
    """Options of a fit as one object; MvnetError: unknown ones."""
    if options is None or isinstance(options, FitOptions):
        return options or FitOptions()
    known = {field.name for field in fields(FitOptions)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise MvnetError(f"fit: found {', '.join(unknown)}, expected some of {', '.join(sorted(known))}")
    return FitOptions(**options)


def _network(model: Model, *kinds: type[Any]) -> Any:
    """The network, if it is of one of the kinds."""
    network = model if isinstance(model, nn.Module) else load_model(model)
    if not isinstance(network, kinds):
        expected = " or a ".join(kind.__name__ for kind in kinds)
        raise MvnetError(f"model: found a {type(network).__name__}, expected a {expected}")
    return network
