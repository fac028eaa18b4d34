"""From complex diffusion-weighted images to real ones whose noise has zero mean.

The phase of a slice is smooth, and another one in every volume (motion during the diffusion gradients). It is estimated
by a Gaussian low-pass in the plane, z_s = G * z, and turned back:

    x = Re( z exp(-i arg z_s) )

so that the signal is in the real part, with Gaussian noise of zero mean instead of the Rician floor of the magnitude.
Source: Eichner et al., Real diffusion-weighted MRI, NeuroImage 122 (2015) 373-384; Prah et al., Magn. Reson. Med. 64
(2010) 418-429.
"""

from __future__ import annotations

import numpy as np

SMOOTHING = 2.0
"""Standard deviation s of the low-pass in voxels: it averages the noise of 4 pi s^2 = 50 of them."""


def remove_phase(values: np.ndarray, smoothing: float = SMOOTHING) -> np.ndarray:
    """The real part after the smooth phase of every slice of every volume was removed.

    Args:
        values: (X, Y, Z, M) complex; non-finite ones count as zero in the low-pass and stay non-finite.
        smoothing: standard deviation of the low-pass along x and y, in voxels.
    Returns:
        (X, Y, Z, M) float32; negative where noise exceeds the signal.
    """
    from scipy.ndimage import gaussian_filter

    result = np.empty(values.shape, dtype=np.float32)
    width = (smoothing, smoothing, *(0,) * (values.ndim - 3))
    for number in range(values.shape[-1]):
        z = np.asarray(values[..., number], dtype=np.complex64)
        smooth = gaussian_filter(np.nan_to_num(z, nan=0, posinf=0, neginf=0), width, mode="nearest", truncate=3)
        length = np.abs(smooth)
        turn = np.divide(smooth.conj(), length, out=np.ones_like(smooth), where=length > 0)
        result[..., number] = (z * turn).real
    return result
