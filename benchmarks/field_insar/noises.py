"""Interferograms with the noise that products have: z(phase, coherence, seed) -> (H, W) complex64.

    s1 = a,   s2 = (g a + sqrt(1 - g^2) b) exp(-j phase),   z = K s1 conj(s2),   a, b = L u, L v,   u, v ~ CN(0, 1)

L acts on the two images, before they are multiplied, K on their product; `white` has neither. phase is (H, W) in
radians, not wrapped, coherence g a number or (H, W), both on the grid of z. The same seed draws the same u and v.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import ndimage

from benchmarks.insar.peers import goldstein, unit
from benchmarks.insar.scenes import single_look

Coherence = np.ndarray | float
Noise = Callable[[np.ndarray, Coherence, int], np.ndarray]

_SEED = 2000  # added to the seed


def white(phase: np.ndarray, coherence: Coherence, seed: int) -> np.ndarray:
    """One look, neighbours independent."""
    return single_look(phase, coherence, seed)


def white_phase(phase: np.ndarray, coherence: Coherence, seed: int) -> np.ndarray:
    """The phase of `white`, without its amplitude."""
    return phase_only(white(phase, coherence, seed))


def multilooked(phase: np.ndarray, coherence: Coherence, seed: int, looks: int) -> np.ndarray:
    """The mean of `looks` independent single looks, neighbours independent."""
    total = np.zeros(phase.shape, np.complex64)
    for look in range(looks):
        total += single_look(phase, coherence, seed + 7919 * look)
    return total / np.float32(looks)


def oversampled(phase: np.ndarray, coherence: Coherence, seed: int, factor: float) -> np.ndarray:
    """L keeps the frequencies up to 1 / (2 factor) cycles per pixel: SLCs sampled finer than they resolve."""
    random = np.random.default_rng(seed + _SEED)
    u, v = (speckle(phase.shape, factor, random) for _ in range(2))
    second = (coherence * u + np.sqrt(1 - np.square(coherence)) * v) * np.exp(-1j * phase)
    return (u * second.conj()).astype(np.complex64)


def speckle(shape: tuple[int, ...], factor: float, random: np.random.Generator) -> np.ndarray:
    """(H, W) circular Gaussian of power 1, band-limited as a detail of an SLC that is oversampled by `factor`."""
    spectrum = np.fft.fft2(random.standard_normal(shape) + 1j * random.standard_normal(shape))
    kept = np.ix_(*(np.abs(np.fft.fftfreq(n)) <= 0.5 / factor for n in shape))
    band = np.zeros_like(spectrum)
    band[kept] = spectrum[kept]
    image = np.fft.ifft2(band)
    return image / np.sqrt(np.mean(np.abs(image) ** 2))


def boxcar(phase: np.ndarray, coherence: Coherence, seed: int, width: int) -> np.ndarray:
    """K is the mean over width x width pixels, taken at every pixel: looks that overlap."""
    return _each_part(white(phase, coherence, seed), lambda x: ndimage.uniform_filter(x, width))


def gaussian(phase: np.ndarray, coherence: Coherence, seed: int, deviation: float) -> np.ndarray:
    """K is a Gaussian of this deviation in pixels, as GMTSAR applies it before its phase filter."""
    return _each_part(white(phase, coherence, seed), lambda x: ndimage.gaussian_filter(x, deviation))


def geocoded(phase: np.ndarray, coherence: Coherence, seed: int, order: int, factor: int = 2) -> np.ndarray:
    """K interpolates from a grid `factor` times as coarse: splines of this order (0: the nearest pixel, 1: bilinear).

    The corners of the two grids coincide; the coarse phase is the fine one at the points of the coarse grid.
    """

    def to(x: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
        factors = [n / m for n, m in zip(shape, x.shape, strict=True)]
        return np.asarray(ndimage.zoom(x, factors, order=order, mode="nearest"))

    coarse = tuple(max(2, n // factor) for n in phase.shape)
    g = coherence if np.isscalar(coherence) else to(np.asarray(coherence), coarse, 1)
    z = white(to(phase, coarse, 1), g, seed)  # type: ignore[arg-type]
    return _each_part(z, lambda x: to(x, phase.shape, order))


def filtered_before(phase: np.ndarray, coherence: Coherence, seed: int, alpha: float) -> np.ndarray:
    """K is Goldstein's filter of exponent alpha, of which the phase is delivered."""
    return phase_only(goldstein(white(phase, coherence, seed), alpha))


def phase_only(z: np.ndarray) -> np.ndarray:
    """exp(j phase) of a phase, or of the phase of a complex z: all that most products deliver."""
    return unit(np.angle(z) if np.iscomplexobj(z) else z).astype(np.complex64)


def _each_part(z: np.ndarray, act: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return (act(np.real(z)) + 1j * act(np.imag(z))).astype(np.complex64)


CORRELATED: dict[str, Noise] = {
    "oversampled 1.5": partial(oversampled, factor=1.5),
    "oversampled 2": partial(oversampled, factor=2.0),
    "bilinear x2": partial(geocoded, order=1),
    "boxcar 3": partial(boxcar, width=3),
    "Gaussian 1": partial(gaussian, deviation=1.0),
    "Goldstein .5 before": partial(filtered_before, alpha=0.5),
}
"""Those on which filters are compared."""

OTHERS: dict[str, Noise] = {
    "white, phase only": white_phase,
    "oversampled 1.25": partial(oversampled, factor=1.25),
    "boxcar 2": partial(boxcar, width=2),
    "Gaussian 2": partial(gaussian, deviation=2.0),
    "nearest x2": partial(geocoded, order=0),
}
"""Those on which the quality of nothing is looked at, with the former."""
