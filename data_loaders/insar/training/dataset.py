"""The training set of the denoiser of interferograms: seeded simulated patches. Example i depends on (seed, i) alone.

Scenes of every steepness, single-look and multilook pairs of constant and varying coherence down to none, with white
noise and noise as processors correlate it, with and without amplitude, with and without a coherence beside them, with
holes, and points alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from mvnet.data_loaders.insar.noise import LAGS, measure_correlation
from mvnet.data_loaders.insar.simulation import Scene, simulate_scene
from mvnet.data_loaders.insar.simulation.scenes import PHASE_COMPONENTS
from mvnet.data_loaders.insar.training.acquisition import Acquisition, draw_acquisition
from mvnet.data_loaders.random_fields import log_uniform, smooth_field, uniform
from mvnet.errors import MvnetError

P_SMOOTH, P_SMOOTH_CORRELATED = 0.15, 0.35  # probability of a scene without a discontinuity, by its noise
P_STEEP = 0.6  # of the others, steepness distributed as the root of a uniform number; else log-uniform
MIN_GRADIENT = 0.02  # rad/pixel
P_TEXTURE = 0.5  # of a small texture, as turbulence and errors of the terrain model leave
MAX_TEXTURE = 0.2  # radians
MAX_TEXTURE_PITCH = 12.0  # pixels between the knots of the texture
P_CONSTANT_COHERENCE = 0.6
P_SINGLE_LOOK = 0.6
P_NOISE_ONLY = 0.08  # of patches without coherence
P_PHASE_ONLY = 0.5  # of a file that holds the wrapped phase, no amplitude
P_COHERENCE_GIVEN = 0.3
P_COHERENCE_TRUE = 0.3  # of those: without the noise of an estimate
P_LOOKS_GIVEN = 0.5
P_HOLES = 0.15
P_POINTS = 0.06  # of patches with data at single pixels
MIN_POINTS = 0.04  # share of them
MIN_COHERENCE, MAX_COHERENCE = 0.1, 0.97
MAX_LOOKS = 30
MAX_TURN = 0.8 * math.pi  # radians over the pixels that are averaged
WITHOUT_DISCONTINUITIES = {name: PHASE_COMPONENTS[name] for name in ("ramp", "terrain", "atmosphere", "subsidence")}


class PhaseMaps(NamedTuple):
    """What is known beside the interferogram.

    coherence: (n, n) in [0, 1], NaN where it is unknown.
    correlation: (2, LAGS) of the noise, as `mvnet.data_loaders.insar.noise` measures it; looks: (), NaN where unknown.
    """

    coherence: Tensor
    correlation: Tensor
    looks: Tensor

    @classmethod
    def white(cls, coherence: Tensor) -> PhaseMaps:
        """White noise of unknown looks beside a coherence (..., n, n)."""
        batch = coherence.shape[:-2]
        return cls(coherence, coherence.new_zeros(*batch, 2, LAGS), coherence.new_full(batch, torch.nan))


class TrainingPair(NamedTuple):
    """A patch: noisy (n, n) complex interferogram, target (n, n) true phase in radians, mask (n, n) bool, and maps.

    torch's default collation batches every tensor of it.
    """

    noisy: Tensor
    target: Tensor
    mask: Tensor
    maps: PhaseMaps


@dataclass
class PhaseTrainingSet(Dataset):
    """Simulated patches.

    Args:
        length: number of examples.
        patch: pixels along each side.
        max_gradient: maximum phase gradient, rad/pixel, about.
        seed: of everything.
    Raises:
        ValueError: when a patch is smaller than 8 pixels.
    """

    length: int = 1000
    patch: int = 64
    max_gradient: float = 2.4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.patch < 8:
            raise MvnetError(f"patch: found {self.patch}, expected at least 8")

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> TrainingPair:
        # a generator on the CPU takes 32 bits of its seed
        state = np.random.SeedSequence((self.seed, index)).generate_state(1)
        random = torch.Generator().manual_seed(int(state[0]))
        acquisition = draw_acquisition((self.patch, self.patch), random)
        varying = uniform(0, 1, random) > P_CONSTANT_COHERENCE
        coherence = (0.0, MAX_COHERENCE) if varying else uniform(MIN_COHERENCE, MAX_COHERENCE, random)
        if uniform(0, 1, random) < P_NOISE_ONLY:
            coherence = 0.0
        smooth = uniform(0, 1, random) < (P_SMOOTH if acquisition == Acquisition() else P_SMOOTH_CORRELATED)
        scene = simulate_scene(
            (self.patch, self.patch),
            steepness=self._steepness(random, smooth, MAX_TURN / acquisition.reach),
            coherence=coherence,
            water_share=0.15 if varying else 0.0,
            components=WITHOUT_DISCONTINUITIES if smooth else PHASE_COMPONENTS,
            generator=random,
        )
        if uniform(0, 1, random) < P_TEXTURE:
            scene = scene._replace(phase=scene.phase + texture(self.patch, random))
        return noisy_example(scene, acquisition, random)

    def _steepness(self, random: torch.Generator, smooth: bool, most: float) -> float:
        u, steep = uniform(0, 1, random), not smooth and uniform(0, 1, random) < P_STEEP
        most = min(self.max_gradient, most)
        lowest = MIN_GRADIENT / max(most, MIN_GRADIENT)
        return most * (u**0.5 if steep else lowest ** (1 - u))


def texture(side: int, random: torch.Generator) -> Tensor:
    """(side, side) radians: a smooth random field, up to `MAX_TEXTURE`, with knots 2 to `MAX_TEXTURE_PITCH` apart."""
    pitch = log_uniform(2, MAX_TEXTURE_PITCH, random)
    field = smooth_field(1, (1, side, side), pitch, random, random.device)[0, 0]
    return uniform(0, MAX_TEXTURE, random) * field


def noisy_example(scene: Scene, acquisition: Acquisition, random: torch.Generator) -> TrainingPair:
    """Speckle, looks and what a file would hold, drawn at random for a scene (n, n)."""
    looks = 1
    if uniform(0, 1, random) > P_SINGLE_LOOK:
        looks = round(log_uniform(2, MAX_LOOKS, random))
    cross, power = acquisition(scene, looks, random)
    valid = torch.ones_like(power).bool()
    if uniform(0, 1, random) < P_POINTS:
        valid = torch.rand(power.shape, generator=random) < log_uniform(MIN_POINTS, 1, random)
    elif uniform(0, 1, random) < P_HOLES:
        valid = holes(scene.phase.shape, random)
    coherence = torch.full_like(power, torch.nan)
    if uniform(0, 1, random) < P_COHERENCE_GIVEN:
        if uniform(0, 1, random) < P_COHERENCE_TRUE:
            coherence = scene.coherence
        else:
            coherence = estimated_coherence(cross, power, scene.phase, window=3 if looks > 3 else 5)
    if uniform(0, 1, random) < P_PHASE_ONLY:
        cross = cross / cross.abs().clamp_min(1e-12)
    correlation = measure_correlation(iter([(cross, valid)]))
    told = torch.tensor(float(looks) if uniform(0, 1, random) < P_LOOKS_GIVEN else torch.nan)
    return TrainingPair(cross, scene.phase, valid, PhaseMaps(coherence, correlation, told))


def estimated_coherence(cross: Tensor, power: Tensor, phase: Tensor, window: int) -> Tensor:
    """|<z exp(-i phase)>| / <mean power>, boxcar means that know the fringes; (n, n) in [0, 1]."""
    flat = cross * torch.polar(torch.ones_like(phase), -phase)
    planes = torch.stack([flat.real, flat.imag, power])[None]
    real, imaginary, total = F.avg_pool2d(planes, window, 1, window // 2, count_include_pad=False)[0]
    return (torch.hypot(real, imaginary) / total.clamp_min(1e-12)).clamp(max=1.0)


def holes(shape: torch.Size, random: torch.Generator) -> Tensor:
    """(n, n) bool, false in up to three rectangles."""
    valid = torch.ones(shape, dtype=torch.bool)
    for _ in range(1 + int(uniform(0, 3, random))):
        top, left = (int(uniform(-0.2, 0.9, random) * n) for n in shape)
        height, width = (max(1, int(uniform(0.02, 0.4, random) * n)) for n in shape)
        valid[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = False
    return valid
