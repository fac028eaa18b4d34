"""Noise that is correlated in space as the error of a denoiser is: K * w, the filter K measured on training volumes.

Noise is a function of the seed, the number of the sample and the place of a voxel in its volume, so that samples have
no seams and do not depend on tiles or on the number of workers.
Source: paper section 4.1.3, its reference [62]; `mvnet.invertible.PeriodicConv`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from mvnet.data_loaders.dti.training.referenced import ReferencedPair
from mvnet.invertible import PeriodicConv, noise_filter
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.posterior.loss import voxel_features
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.models.position_noise import position_noise

_MOST = 5.0  # deviations: latents of outliers say nothing of correlation


def correlated_noise(taps: Tensor, shape: Sequence[int], seed: int, number: int) -> Tensor:
    """A standard normal field, correlated in space.

    Args:
        taps: of the filter, (k, k, k), of sum of squares 1.
        shape: X, Y, Z of the whole volume.
        seed: of all samples.
        number: of the sample.
    Returns:
        (6, X, Y, Z), float32.
    """
    reach = len(taps) // 2  # where the period is felt
    grid: list[int] = [next_fast_len(n + 2 * reach, real=True) for n in shape]  # pyright: ignore[reportAssignmentType]
    window = [slice(-reach, n - reach) for n in grid]
    white = white_noise(window, seed, number)
    with torch.no_grad():
        noise = PeriodicConv.from_filter(taps.to(white)).convolve(white[None])
    return noise[(0, slice(None), *(slice(reach, reach + n) for n in shape))]


def white_noise(window: Sequence[slice], seed: int, number: int) -> Tensor:
    """Standard normal numbers in a window of an unbounded grid.

    Args:
        window: start and stop along x, y and z.
        seed: of all samples.
        number: of the sample.
    Returns:
        (6, X, Y, Z), float32, on the CPU.
    """
    return torch.stack([position_noise(window, seed, 6 * number + plane) for plane in range(6)])


@torch.no_grad()
def measure_filter(denoiser: DTIDenoiser, head: DTIPosterior, pairs: Sequence[ReferencedPair]) -> Tensor:
    """The filter that gives white noise the correlations of the latents of some volumes, whose truth is clean.

    Args:
        denoiser, head: fitted.
        pairs: whole volumes, of any size each.
    Returns:
        taps (k, k, k).
    """
    latents, masks = [], []
    sides = [max(pair.mask.shape[axis] for pair in pairs) for axis in range(3)]
    for pair in pairs:
        inputs, log_error, reference, target = voxel_features(denoiser, [pair])
        w = head.latents(head.laws_of(inputs, log_error, reference), target).clamp(-_MOST, _MOST)
        whole = torch.zeros(6, *pair.mask.shape).to(w)
        whole[:, pair.mask] = w - w.mean(1, keepdim=True)
        room = [x for axis in (2, 1, 0) for x in (0, sides[axis] - pair.mask.shape[axis])]
        latents.append(F.pad(whole, room))
        masks.append(F.pad(pair.mask, room, value=False)[None])
    return noise_filter(torch.stack(latents), head.config["taps"], torch.stack(masks))


def measure_lags(taps: Tensor) -> list[float]:
    """Correlations of the noise at 0, 1, 2, ... voxels along an axis.

    Args:
        taps: (k, k, k).
    Returns:
        k numbers, the first is 1.
    """
    size = len(taps)
    padded = F.pad(taps, [0, size] * 3)
    covariance = torch.fft.irfftn(torch.fft.rfftn(padded).abs().square(), padded.shape)
    return (covariance[:size, 0, 0] / covariance[0, 0, 0]).tolist()
