"""Random ways from a scene to an interferogram: what the images, the looks and the grid do to the noise.

acquisition = draw_acquisition((96, 96), random)     one of `ACQUISITIONS`
cross, power = acquisition(scene, looks, random)     sums over the looks, (n, n) complex and real
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import TypeVar

import torch
from torch import Tensor

from mvnet.data_loaders.insar.simulation import Scene, simulate_images
from mvnet.data_loaders.insar.simulation.processing import (
    RESAMPLING,
    Geocoding,
    boxcar_looks,
    gaussian_looks,
    goldstein_filter,
)
from mvnet.data_loaders.random_fields import log_uniform, uniform

P_BACKSCATTER = 0.3  # of images with a backscatter that varies
P_ALIKE = 0.6  # of noise that is the same along rows and columns
P_TURNED = 0.5  # of maps that are turned and sheared
P_ALSO_FILTERED = 0.1  # of correlated noise that is filtered then
P_OVERSAMPLED = 0.4  # of images before looks that overlap
P_TARGETS = 0.3  # of oversampled images with bright points
MAX_OVERSAMPLING = 2.6
MAX_BEFORE_LOOKS = 1.6  # oversampling of images before looks that overlap
MAX_TARGETS, MAX_BRIGHTNESS = 0.05, 30.0  # share of the pixels, amplitude over that of the rest
MAX_BOXCAR = 6  # pixels
MAX_SIGMA = 2.5  # pixels
MAX_SPACING = 3.0  # map pixels a radar pixel
MAX_ROTATION, MAX_SHEAR = 45.0, 0.3  # degrees, columns a row
MIN_ALPHA, MAX_ALPHA = 0.2, 0.8  # of the Goldstein filter

Shape = tuple[int, int]
T = TypeVar("T", int, float)


@dataclass(frozen=True)
class Acquisition:
    """How an interferogram comes about.

    oversampling: sampling rate over bandwidth of the images, along rows and columns.
    geocoding, resampling: a map laid over the grid of the radar; None stays in the grid of the radar.
    average: of the interferogram and the power, over pixels that overlap.
    alpha: of a Goldstein filter at the end; 0 for none.
    reach: pixels that are averaged; fringes of the scene should turn by less than pi over them.
    taper: of the spectrum of the images, in [0, 1].
    targets: share of the pixels that are bright points.
    """

    oversampling: tuple[float, float] = (1.0, 1.0)
    geocoding: Geocoding | None = None
    resampling: str = "bilinear"
    average: Callable[[Tensor], Tensor] | None = None
    alpha: float = 0.0
    reach: float = 1.0
    taper: float = 0.0
    targets: float = 0.0

    def __call__(self, scene: Scene, looks: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sums over independent looks of s1 conj s2, (n, n) complex, and of the mean power of both images, (n, n)."""
        seen = [scene.phase, scene.coherence, scene.amplitude]
        if self.geocoding is not None:
            seen = [self.geocoding.to_radar(image) for image in seen]
        phase, coherence = seen[0], seen[1].clamp(0, 1)
        amplitude = seen[2] if uniform(0, 1, random) < P_BACKSCATTER else None
        ground = _bright_points(phase, self.targets, random) if self.targets else None
        cross, power = torch.zeros_like(torch.complex(phase, phase)), torch.zeros_like(phase)
        for _ in range(looks):
            s1, s2 = simulate_images(
                phase,
                coherence,
                random,
                amplitude=amplitude,
                oversampling=self.oversampling,
                taper=self.taper,
                reflectivity=ground,
            )
            cross += s1 * s2.conj()
            power += (s1.abs().square() + s2.abs().square()) / 2
        images = [cross, power.to(cross.dtype)]
        if self.geocoding is not None:
            images = [self.geocoding.to_map(image, self.resampling) for image in images]
        if self.average is not None:
            images = [self.average(image) for image in images]
        return goldstein_filter(images[0], self.alpha) if self.alpha else images[0], images[1].real


def white(shape: Shape, random: torch.Generator) -> Acquisition:
    """Independent pixels."""
    return Acquisition()


def oversampled(shape: Shape, random: torch.Generator) -> Acquisition:
    """Images sampled above their bandwidth, their spectrum weighted, with bright points or without."""
    rates = _pair(lambda: log_uniform(1.05, MAX_OVERSAMPLING, random), random)
    targets = log_uniform(1e-3, MAX_TARGETS, random) if uniform(0, 1, random) < P_TARGETS else 0.0
    return Acquisition(rates, taper=uniform(0, 1, random), targets=targets)


def boxcar(shape: Shape, random: torch.Generator) -> Acquisition:
    """Means over windows that overlap."""
    size = _pair(lambda: 2 + int(uniform(0, MAX_BOXCAR - 1, random)), random)
    return Acquisition(_before_looks(random), average=partial(boxcar_looks, size=size), reach=max(size))


def gaussian(shape: Shape, random: torch.Generator) -> Acquisition:
    """Gaussian means that overlap."""
    sigma = log_uniform(0.5, MAX_SIGMA, random)
    return Acquisition(_before_looks(random), average=partial(gaussian_looks, sigma=sigma), reach=3 * sigma)


def geocoded(shape: Shape, random: torch.Generator) -> Acquisition:
    """On a map, finer than the grid of the radar."""
    spacing = _pair(lambda: log_uniform(1.0, MAX_SPACING, random), random)
    turned = uniform(0, 1, random) < P_TURNED
    rotation, shear = (uniform(-most, most, random) if turned else 0.0 for most in (MAX_ROTATION, MAX_SHEAR))
    resampling = RESAMPLING[int(uniform(0, len(RESAMPLING), random))]
    grid = Geocoding(shape, spacing, rotation, shear)
    return Acquisition(geocoding=grid, resampling=resampling, reach=max(spacing))


def filtered(shape: Shape, random: torch.Generator) -> Acquisition:
    """After a Goldstein filter."""
    return Acquisition(alpha=uniform(MIN_ALPHA, MAX_ALPHA, random))


ACQUISITIONS = {white: 0.5, oversampled: 0.13, boxcar: 0.08, gaussian: 0.08, geocoded: 0.14, filtered: 0.07}
"""Every kind and its share of the patches; they add up to 1."""


def draw_acquisition(shape: Shape, random: torch.Generator) -> Acquisition:
    """One of `ACQUISITIONS` for patches of (rows, columns)."""
    place = bisect(list(accumulate(ACQUISITIONS.values())), uniform(0, 1, random))
    kind = list(ACQUISITIONS)[min(place, len(ACQUISITIONS) - 1)]
    drawn = kind(shape, random)
    if kind not in (white, filtered) and uniform(0, 1, random) < P_ALSO_FILTERED:
        return replace(drawn, alpha=uniform(MIN_ALPHA, MAX_ALPHA, random))
    return drawn


def _before_looks(random: torch.Generator) -> tuple[float, float]:
    """Oversampling of images whose looks overlap."""
    rate = log_uniform(1.0, MAX_BEFORE_LOOKS, random) if uniform(0, 1, random) < P_OVERSAMPLED else 1.0
    return rate, rate


def _bright_points(like: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Amplitudes of the ground (h, w): 1, and up to `MAX_BRIGHTNESS` at a share of the pixels."""
    bright = torch.rand(like.shape, generator=random) < share
    return 1 + bright * (MAX_BRIGHTNESS - 1) * torch.rand(like.shape, generator=random)


def _pair(draw: Callable[[], T], random: torch.Generator) -> tuple[T, T]:
    """For rows and columns: the same number, or two."""
    first = draw()
    return (first, first) if uniform(0, 1, random) < P_ALIKE else (first, draw())
