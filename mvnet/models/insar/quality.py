"""Is the expected cosine of the error to be trusted? Measured on pure noise, and on simulated scenes of known phase."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mvnet.data_loaders.insar.simulation import simulate_images, simulate_scene
from mvnet.data_loaders.insar.simulation.processing import Geocoding, boxcar_looks, gaussian_looks
from mvnet.models.guarantee import Guarantee
from mvnet.models.insar.inference import denoise_interferogram
from mvnet.models.insar.network import InSARDenoiser

_SIDE = 256  # pixels
_SCENES = 3
_STEEPNESS = 0.4  # radians per pixel
_DECILES = 10
_NULL_MEAN, _NULL_HIGH, _CALIBRATED = 0.2, 0.5, 0.05  # limits, above the chance of a few scenes

Draw = Callable[[Tensor, Tensor, torch.Generator], Tensor]
"""phase (n, n), coherence, source of the noise -> interferogram (n, n)."""


def _single(phase: Tensor, coherence: Tensor, random: torch.Generator, rate: float = 1.0) -> Tensor:
    first, second = simulate_images(phase, coherence, random, oversampling=rate)
    return first * second.conj()


def _geocoded(phase: Tensor, coherence: Tensor, random: torch.Generator) -> Tensor:
    grid = Geocoding((_SIDE, _SIDE), (2.0, 2.0))
    return grid.to_map(_single(grid.to_radar(phase), grid.to_radar(coherence).clamp(0, 1), random), "bilinear")


NOISES: dict[str, Draw] = {
    "white": _single,
    "oversampled": lambda *given: _single(*given, rate=2.0),
    "3x3 looks": lambda *given: boxcar_looks(_single(*given), (3, 3)),
    "Gaussian looks": lambda *given: gaussian_looks(_single(*given), 1.0),
    "geocoded": _geocoded,
}
"""Noise of single looks: white, or correlated by what processors do."""


def verify_quality(model: InSARDenoiser, seed: int) -> list[Guarantee]:
    """Quality of pure noise, and expected against realised cosine of the error.

    Args:
        model: on the CPU.
        seed: of the scenes and of the noise.
    Returns:
        the mean and the 95th percentile of the quality of noise of the worst kind; the largest difference of expected
        and realised cosine of the error over the deciles of the expected one, for white and for correlated noise.
    """
    random = torch.Generator().manual_seed(seed)
    flat = torch.zeros(_SIDE, _SIDE)
    nothing = {name: denoise_interferogram(model, draw(flat, flat, random)).confidence for name, draw in NOISES.items()}
    means = {name: float(found.mean()) for name, found in nothing.items()}
    highs = {name: float(found.quantile(0.95)) for name, found in nothing.items()}
    worst, high = max(means, key=means.__getitem__), max(highs, key=highs.__getitem__)
    found = [
        Guarantee(f"mean quality of pure noise ({worst})", means[worst], _NULL_MEAN),
        Guarantee(f"95th percentile of the quality of pure noise ({high})", highs[high], _NULL_HIGH),
    ]
    for kind, names in (("white", ["white"]), ("correlated", [name for name in NOISES if name != "white"])):
        pairs = [_expected_and_realised(model, NOISES[name], seed + i) for name in names for i in range(_SCENES)]
        expected, realised = (torch.cat(side) for side in zip(*pairs))
        name = f"expected less realised cosine of the error, largest of ten deciles, {kind} noise"
        found.append(Guarantee(name, miscalibration(expected, realised), _CALIBRATED))
    return found


def miscalibration(expected: Tensor, realised: Tensor) -> float:
    """max over the deciles of `expected` of |mean expected - mean realised|.

    Args:
        expected, realised: (N,), cosines of errors.
    Returns:
        the maximum.
    """
    order = expected.argsort()
    parts = zip(expected[order].chunk(_DECILES), realised[order].chunk(_DECILES))
    return max(float((one.mean() - other.mean()).abs()) for one, other in parts)


def _expected_and_realised(model: InSARDenoiser, draw: Draw, seed: int) -> tuple[Tensor, Tensor]:
    """Cosine of the error of every pixel of a scene: as the network expects it, and as it is; (N,) each."""
    scene = simulate_scene((_SIDE, _SIDE), seed, steepness=_STEEPNESS, coherence=(0.2, 0.9), water_share=0.0)
    found = denoise_interferogram(model, draw(scene.phase, scene.coherence, torch.Generator().manual_seed(seed)))
    return found.confidence.flatten(), (found.phase - scene.phase).cos().flatten()
