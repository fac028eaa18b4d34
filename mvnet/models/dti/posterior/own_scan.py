"""Are the intervals right on the scan at hand? One half of its directions is denoised, the other half is asked.

The FA of the other half is a fit with noise of its own: the interval that it should fall into is that of the posterior
widened by the covariance of that fit. Both halves share the b0, whose noise is one of the size of a tensor; FA does not
depend on the size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.dwi import fit_signals
from mvnet.data_loaders.dti.fit.precision import tensor_precision
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.gradients import is_b0
from mvnet.data_loaders.dti.simulation.schemes import spread_directions
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.models.dti.inference import denoise_loaded, signal_noise
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.posterior.inference import VolumePosterior, volume_posterior
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.models.dti.posterior.summaries import fa_and_md, latent_points, quantiles

FEWEST = 12
"""Directions of a scan that is split."""

ENOUGH = 0.75
"""Share of the fits inside their 90 % intervals, below which these are called too narrow."""

_DEFAULTS = FitOptions()
_MOST = 20000  # voxels that are asked
_DRAWS = 64


class ScanCheck(NamedTuple):
    """How often the other half of a scan falls into the intervals of the first.

    Attributes:
        share: of the fits of the other half whose FA is inside; about 0.9 where the intervals are right.
        voxels: that were asked.
        directions: of each half.
    """

    share: float
    voxels: int
    directions: tuple[int, int]

    @property
    def too_narrow(self) -> bool:
        """Whether the intervals are too narrow for this scan."""
        return self.share < ENOUGH


def count_directions(volume: DTIVolume) -> int:
    """Directions that a scan was fitted to.

    Args:
        volume: of a loader.
    Returns:
        0 for a file of tensors.
    """
    return 0 if volume.acquisition is None else int((~is_b0(volume.acquisition.fitted()[1])).sum())


def check_on_scan(
    denoiser: DTIDenoiser,
    head: DTIPosterior,
    volume: DTIVolume,
    options: FitOptions = _DEFAULTS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ScanCheck | None:
    """Denoise half of the directions, and count.

    Args:
        denoiser, head: as of `mvnet.models.dti.posterior.inference.volume_posterior`.
        volume: of a loader.
        options: of the fit.
        seed: of the draws.
        progress: called as progress(done, total) after every tile.
    Returns:
        the count; None where there are fewer than 12 directions, or the noise is unknown.
    """
    if count_directions(volume) < FEWEST or volume.acquisition is None:
        return None
    first, second = split_volume(volume, options)
    found = denoise_loaded(denoiser, first, progress=progress)
    posterior = volume_posterior(denoiser, head, first, found.tensors)
    assert second.acquisition is not None
    signal, inside = signal_noise(second.acquisition), posterior.mask
    known = (signal.snr[inside] > 0).nonzero()[:, 0]
    if not len(known):
        return None
    some = known[torch.linspace(0, len(known) - 1, min(_MOST, len(known))).long()]
    measured, _ = fa_and_md(second.tensors[:, inside][:, some])
    centre = posterior.tensors[:, inside][:, some]
    root = noise_root(centre, signal.snr[inside][some], signal.design)
    low, high = widened_interval(posterior, some, root, seed)
    share = float(((measured >= low) & (measured <= high)).float().mean())
    counts = count_directions(first), count_directions(second)
    return ScanCheck(share, len(some), counts)


def split_volume(volume: DTIVolume, options: FitOptions = _DEFAULTS) -> tuple[DTIVolume, DTIVolume]:
    """The fits of two halves of the directions, spread alike, each with all b0.

    Args:
        volume: with its acquisition.
        options: of the fit.
    Returns:
        two volumes on the mask of the first.
    """
    assert volume.acquisition is not None
    dwi, bvals, bvecs = volume.acquisition.fitted()
    weighted, base = np.flatnonzero(~is_b0(bvals)), np.flatnonzero(is_b0(bvals))
    chosen = weighted[spread_directions(torch.from_numpy(bvecs[weighted]), len(weighted) // 2)]
    how = replace(options, shells=None, bmax=None, all_shells=True, skip_volumes=())
    halves = []
    for half in (chosen, np.setdiff1d(weighted, chosen)):
        columns = np.r_[base, half]
        fitted = fit_signals(dwi[..., columns], bvals[columns], bvecs[columns], volume.mask, options=how)
        tensors, report, acquisition = fitted
        halves.append(replace(volume, tensors=tensors, report=report, acquisition=acquisition, stored=None))
    return halves[0], halves[1]


def noise_root(tensors: Tensor, snr: Tensor, design: Tensor) -> Tensor:
    """Roots L of the covariances L L^T of fitted tensors.

    Args:
        tensors: (6, n) um^2/ms.
        snr: (n,).
        design: (M, 7).
    Returns:
        (n, 6, 6).
    """
    precision = tensor_precision(tensors.T.double(), snr.double(), design.double())
    small = 1e-6 * precision.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-6)
    regular = precision + small[:, None, None] * torch.eye(6, dtype=precision.dtype)
    return torch.linalg.inv(torch.linalg.cholesky(regular)).mT.to(tensors)


def widened_interval(posterior: VolumePosterior, voxels: Tensor, root: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """90 % intervals of the FA of noisy fits, whose truth has the posterior's law.

    Args:
        posterior: of a volume.
        voxels: (m,) numbers of voxels of its mask.
        root: (m, 6, 6) of `noise_root`.
        seed: of the draws.
    Returns:
        low and high, (m,) each.
    """
    random = torch.Generator().manual_seed(seed)
    law = type(posterior.law)(*(t[..., voxels] for t in posterior.law))
    w = latent_points(_DRAWS, seed).to(root).unsqueeze(2)
    with torch.no_grad():
        truth = posterior.tensors_of(posterior.head.push(law, w))  # (6, K, m)
    noise = torch.randn(truth.shape, generator=random).to(root)
    fa, _ = fa_and_md(truth + torch.einsum("mij,jkm->ikm", root, noise))
    low, high = quantiles(fa, (0.05, 0.95))
    return low, high
