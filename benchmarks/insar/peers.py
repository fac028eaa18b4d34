"""The filters people use on interferograms: complex z (H, W) -> filtered phase (H, W), radians.

Boxcar, Gauss and Goldstein average z; the others, made for images, work on the real and the imaginary part of the unit
phasor z / |z|. Of the parameters listed each gets the one with the lowest error on another draw of the noise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from scipy import fft, ndimage


@dataclass(frozen=True)
class Peer:
    """filter(z, parameter) -> phase, and the parameters to choose from."""

    filter: Callable[[np.ndarray, Any], np.ndarray]
    parameters: Sequence[Any] = (None,)


def boxcar(z: np.ndarray, width: int) -> np.ndarray:
    return np.angle(ndimage.uniform_filter(z, width))


def gauss(z: np.ndarray, deviation: float) -> np.ndarray:
    return np.angle(ndimage.gaussian_filter(z, deviation))


def goldstein(z: np.ndarray, alpha: float, size: int = 32, step: int = 8, smooth: int = 3) -> np.ndarray:
    """Spectra F of size x size patches every `step` pixels times (S / max S)^alpha, S = |F| in a smooth x smooth mean;
    patches are added with pyramid weights.

    The patches that start at (a, b) modulo `size` tile the image: one batch of FFTs for every offset.
    Source: Goldstein, Werner, Geophys. Res. Lett. 25 (1998) 4035, eq. 3.
    """
    height, width = z.shape
    room = [(size, size + -n % size) for n in z.shape]
    values = np.pad(z.astype(np.complex64), room, mode="reflect")
    rise = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)) - 0.5
    weights = np.outer(rise, rise).astype(np.float32)
    total = np.zeros_like(values)
    for top, left in product(range(0, size, step), repeat=2):
        inside = slice(top, top - size or None), slice(left, left - size or None)
        rows, columns = (n // size for n in values[inside].shape)
        patches = values[inside].reshape(rows, size, columns, size).swapaxes(1, 2)  # (rows, columns, size, size)
        spectrum = np.asarray(fft.fft2(patches))
        strength = np.abs(spectrum)
        if smooth > 1:
            strength = ndimage.uniform_filter(strength, smooth, mode="wrap", axes=(-2, -1))
        strength /= strength.max((-2, -1), keepdims=True) + 1e-12
        patches = np.asarray(fft.ifft2(spectrum * strength**alpha)) * weights
        total[inside] += patches.swapaxes(1, 2).reshape(rows * size, columns * size)
    return np.angle(total[size : size + height, size : size + width])


def phasor(z: np.ndarray) -> np.ndarray:
    """Real and imaginary part of z / |z|, (2, H, W) float32; 1 where z is 0."""
    phase = np.angle(z)
    return np.stack([np.cos(phase), np.sin(phase)]).astype(np.float32)


def angle(planes: np.ndarray) -> np.ndarray:
    """arg of (2, H, W), real and imaginary part."""
    return np.arctan2(planes[1], planes[0])


def unit(phase: np.ndarray) -> np.ndarray:
    return np.exp(1j * phase)


def total_variation(z: np.ndarray, weight: float) -> np.ndarray:
    from skimage.restoration import denoise_tv_chambolle

    return angle(denoise_tv_chambolle(phasor(z), weight=weight, eps=1e-4, max_num_iter=100, channel_axis=0))


def nl_means(z: np.ndarray, strength: float, patch: int = 7) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    sizes = {"patch_size": patch, "patch_distance": 11}
    return angle(denoise_nl_means(phasor(z), h=strength, fast_mode=True, channel_axis=0, **sizes))


def wavelet(z: np.ndarray, sigma: float) -> np.ndarray:
    from skimage.restoration import denoise_wavelet

    options = {"wavelet": "db4", "mode": "soft", "method": "BayesShrink", "rescale_sigma": False}
    return angle(np.stack([denoise_wavelet(plane, sigma=sigma, **options) for plane in phasor(z)]))


def block_matching(z: np.ndarray, sigma: float) -> np.ndarray:
    from bm3d import bm3d  # pyright: ignore[reportMissingImports]

    return angle(np.stack([np.asarray(bm3d(plane, sigma_psd=sigma, profile="np")) for plane in phasor(z)]))


PEERS = {
    "boxcar": Peer(boxcar, (3, 5, 7, 9, 11, 15)),
    "Gauss": Peer(gauss, (1, 1.5, 2, 3, 4, 5)),
    "Goldstein .5": Peer(lambda z, _: goldstein(z, 0.5)),
    "Goldstein 1": Peer(lambda z, _: goldstein(z, 1.0)),
    "boxcar, Goldstein 1": Peer(lambda z, width: goldstein(unit(boxcar(z, width)), 1.0), (3, 5)),
    "Goldstein 1 twice": Peer(lambda z, _: goldstein(unit(goldstein(z, 1.0)), 1.0)),
    "TV (Chambolle)": Peer(total_variation, (0.5, 0.8, 1.2, 1.8, 2.5, 4.0)),
    "NL-means": Peer(nl_means, (0.3, 0.5, 0.7, 0.9, 1.2)),
    "wavelet": Peer(wavelet, (0.2, 0.4, 0.6, 0.8)),
}
"""On single-look noise; BM3D comes from `bm3d_of_deviation`."""

LIGHT_NOISE = {
    "boxcar": Peer(boxcar, (3, 5)),
    "Gauss": Peer(gauss, (0.6, 0.8, 1.0, 1.3)),
    **{name: PEERS[name] for name in PEERS if "Goldstein" in name},
    "TV (Chambolle)": Peer(total_variation, (0.2, 0.3, 0.4, 0.5)),
    "NL-means": Peer(lambda z, p: nl_means(z, *p), tuple(product((0.1, 0.15, 0.2, 0.25, 0.3), (5, 7)))),
    "wavelet": Peer(wavelet, (0.1, 0.2, 0.3, 0.4)),
}
"""On phases with a deviation of about .3 radians; NL-means by strength and patch."""


def bm3d_of_deviation(sigma: float) -> dict[str, Peer]:
    """BM3D, given the deviation of real and imaginary part of the noisy phasor; nothing where it is not installed."""
    if find_spec("bm3d") is None:
        print(
            "BM3D: found no package bm3d, expected it (make peers, for non-commercial use); left out", file=sys.stderr
        )
        return {}
    return {"BM3D": Peer(block_matching, (sigma,))}
