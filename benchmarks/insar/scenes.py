"""The simulated scenes of `benchmarks.insar`: true phase, coherence map, single-look noise; residues.

Everything is square, n x n pixels, a function of n and of a seed. The phase has the same cycles whatever n: at n = 1024
its fringes are gentle (at most .4 rad per pixel), at n = 256 four times as steep.
"""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
from scipy import ndimage

HILLS = ((0.30, 0.30, 40.0, 90.0), (0.72, 0.62, -45.0, 70.0))  # centre / n, radians, width in pixels at n = 1024
SQUARES = ((0.60, 0.15, 64.0, 1.0), (0.75, 0.20, 80.0, 2.0), (0.88, 0.12, 96.0, 2.8))  # centre / n, side, radians
CONE, CONE_HEIGHT, CONE_RADIUS = (0.25, 0.75), 30.0, 120.0
RAMP = (8, 2)  # cycles along the columns and the rows
STEP, ROUGHNESS = 2.0, 6.0  # radians: height of the fault, standard deviation of the fractal surface
LAKE, LAKE_RADIUS = (0.50, 0.45), 0.08  # over n

_NOISE, _MAP = 1000, 77  # added to the seed of a scene


def true_phase(n: int, seed: int = 0) -> np.ndarray:
    """Radians, not wrapped, (n, n) float64: ramp, two Gaussian hills, cone, three squares, fault, fractal surface.

    The spectrum of the fractal surface is white noise times |frequency|^-2 (Hurst exponent 1).
    """
    y, x = np.indices((n, n), dtype=np.float64)
    scale = n / 1024
    parts = [math.tau * (RAMP[0] * x / n), math.tau * (RAMP[1] * y / n)]
    for column, row, height, width in HILLS:
        square = (x - column * n) ** 2 + (y - row * n) ** 2
        parts.append(height * np.exp(-square / (2 * (width * scale) ** 2)))
    distance = np.hypot(x - CONE[0] * n, y - CONE[1] * n)
    parts.append(CONE_HEIGHT * np.maximum(1 - distance / (CONE_RADIUS * scale), 0))
    parts.append(_jumps(n))
    parts.append(ROUGHNESS * standard_surface(n, seed))
    return reduce(np.add, parts)


def _jumps(n: int) -> np.ndarray:
    """(n, n) radians, piecewise constant: the squares and the fault."""
    y, x = np.indices((n, n), dtype=np.float64)
    total = STEP * (x + 0.5 * y > 1.25 * n)
    for column, row, side, height in SQUARES:
        half = side * n / 1024 / 2
        total += height * ((np.abs(x - column * n) < half) & (np.abs(y - row * n) < half))
    return total


def near_jumps(n: int, pixels: int) -> np.ndarray:
    """(n, n) bool: where a window of 2 `pixels` + 1 along each axis holds a jump."""
    jumps, size = _jumps(n), 2 * pixels + 1
    return ndimage.maximum_filter(jumps, size) != ndimage.minimum_filter(jumps, size)


def standard_surface(n: int, seed: int) -> np.ndarray:
    """(n, n) fractal surface of mean 0 and standard deviation 1."""
    surface = _fractal(n, np.random.default_rng(seed))
    return (surface - surface.mean()) / surface.std()


def _fractal(n: int, random: np.random.Generator) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(n).reshape(-1, 1), np.fft.rfftfreq(n))
    frequency[0, 0] = np.inf
    white = np.fft.rfft2(random.standard_normal((n, n)))
    return np.fft.irfft2(white * frequency**-2.0, s=(n, n))


def least_error(n: int, coherence: float, seed: int = 0) -> float:
    """Radians: no filter has a lower RMSE on average over fractal surfaces like that of the scene, even if it knew all
    the rest of the scene and their spectrum S. With the Cramer-Rao bound N of the phase of a single look,

        mse >= mean over frequencies of  S N / (S + N),        N = (1 - g^2) / 2 g^2

    the Bayesian bound of a Gaussian field (Van Trees, Detection, estimation and modulation theory, 1968, section 2.4).
    """
    frequency = np.hypot(np.fft.fftfreq(n).reshape(-1, 1), np.fft.fftfreq(n))
    frequency[0, 0] = np.inf  # the mean is known
    deviation = ROUGHNESS / _fractal(n, np.random.default_rng(seed)).std() * frequency**-2.0
    spectrum, noise = deviation**2, (1 - coherence**2) / (2 * coherence**2)
    return float(np.sqrt(np.mean(spectrum * noise / (spectrum + noise))))


def coherence_map(n: int, seed: int = 0) -> np.ndarray:
    """(n, n): smooth from .15 to .95, and 0 in a lake, where there is noise only."""
    smooth = np.random.default_rng(seed + _MAP).standard_normal((n, n))
    smooth = ndimage.gaussian_filter(smooth, n / 16, mode="wrap")
    low, high = smooth.min(), smooth.max()
    y, x = np.indices((n, n)) / n
    lake = np.hypot(x - LAKE[0], y - LAKE[1]) < LAKE_RADIUS
    return np.where(lake, 0.0, 0.15 + 0.80 * ((smooth - low) / (high - low)))


def single_look(phase: np.ndarray, coherence: np.ndarray | float, seed: int) -> np.ndarray:
    """z = s1 conj(s2), complex64, of s1 = u and s2 = (g u + sqrt(1 - g^2) v) exp(-j phase), u and v ~ CN(0, 1)."""
    random = np.random.default_rng(seed + _NOISE)

    def circular() -> np.ndarray:
        real = random.standard_normal(phase.shape)
        return (real + 1j * random.standard_normal(phase.shape)) / np.sqrt(2)

    first, other = circular(), circular()
    second = (coherence * first + np.sqrt(1 - np.square(coherence)) * other) * np.exp(-1j * phase)
    return (first * second.conj()).astype(np.complex64)


def phasor_deviation(coherence: float) -> float:
    """Standard deviation of the real and of the imaginary part of exp(j noise), sqrt((1 - (E cos)^2) / 2), 3 digits."""
    noise = np.angle(single_look(np.zeros((1, 400_000)), coherence, seed=4))
    return round(float(np.sqrt((1 - np.cos(noise).mean(dtype=float) ** 2) / 2)), 3)


def wrapped(angle: np.ndarray) -> np.ndarray:
    """The same angles in (-pi, pi]."""
    return np.angle(np.exp(1j * angle))


def residue_loops(phase: np.ndarray) -> np.ndarray:
    """(H - 1, W - 1) bool: loops of 2 x 2 pixels round which the wrapped differences do not add up to zero."""
    across, down = wrapped(np.diff(phase, axis=1)), wrapped(np.diff(phase, axis=0))
    curl = np.diff(down, axis=1) - np.diff(across, axis=0)
    return np.abs(curl) > math.pi


def residues(phase: np.ndarray) -> int:
    """Number of `residue_loops`."""
    return int(residue_loops(phase).sum())
