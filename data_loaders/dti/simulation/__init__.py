"""Simulated diffusion tensor imaging: brain-like truth, any gradient scheme, realistic noise, fitted back.

brain = simulate_brain((48, 48, 48), seed=1)                    tensors, mask, s0
bvals, bvecs = gradient_scheme(30, b=1000)
dwi, sigma = simulate_dwi(*brain[::2], bvals, bvecs, snr=15, generator=torch.Generator().manual_seed(1))
pair = simulate_pair(seed=1)                                    noisy and clean tensors, noise maps
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.data_loaders.dti.fitting import acquisition_maps, clip_eigenvalues, design_matrix, fit_wls
from mvnet.data_loaders.dti.repair import HIGHEST, LOWEST
from mvnet.data_loaders.dti.simulation.brain import Brain, simulate_brain
from mvnet.data_loaders.dti.simulation.schemes import gradient_scheme
from mvnet.data_loaders.dti.simulation.signals import add_noise, clean_signal, simulate_dwi, white_matter_signal
from mvnet.data_loaders.random_fields import log_uniform
from mvnet.metrics import REFERENCE_DIFFUSIVITY

__all__ = [
    "Brain",
    "SimulatedPair",
    "add_noise",
    "clean_signal",
    "gradient_scheme",
    "simulate_brain",
    "simulate_dwi",
    "simulate_pair",
    "white_matter_signal",
]

DIRECTIONS = (6, 128)
SNR = (5.0, 40.0)


@dataclass(frozen=True)
class SimulatedPair:
    """A truth and its noisy measurement.

    noisy, clean: (6, X, Y, Z) Mandel, um^2/ms, positive definite, isotropic outside the mask.
    mask: (X, Y, Z) bool.
    b0: (X, Y, Z) fitted signal without weighting, 0 outside; white matter about 1.
    noise, residual, sigma: (X, Y, Z) as in `mvnet.data_loaders.dti.fitting.acquisition_maps`; 0 where unknown.
    dwi: (X, Y, Z, M) noisy signals; bvals (M,) s/mm^2; bvecs (M, 3).
    snr: median white-matter b0 over the true sigma.
    """

    noisy: Tensor
    clean: Tensor
    mask: Tensor
    b0: Tensor
    noise: Tensor
    residual: Tensor
    sigma: Tensor
    dwi: Tensor
    bvals: Tensor
    bvecs: Tensor
    snr: float


def simulate_pair(
    seed: int,
    shape: tuple[int, int, int] = (32, 32, 32),
    n_directions: int | None = None,
    snr: float | None = None,
    b: float = 1000.0,
    n_b0: int = 1,
    coils: int = 1,
    voxel_size: float = 2.0,
    semi_axes: tuple[float, float, float] | None = None,
    device: torch.device | str = "cpu",
) -> SimulatedPair:
    """A random brain, measured and fitted by weighted least squares.

    Args:
        seed: of the brain, the scheme and the noise.
        n_directions: None draws 6 to 128, log-uniformly.
        snr: None draws 5 to 40, log-uniformly.
        b, n_b0: as in `gradient_scheme`; coils as in `simulate_dwi`.
        shape, voxel_size, semi_axes, device: as in `simulate_brain`.
    """
    generator = torch.Generator().manual_seed(seed)
    if n_directions is None:
        n_directions = round(log_uniform(*DIRECTIONS, generator))
    if snr is None:
        snr = log_uniform(*SNR, generator)
    brain = simulate_brain(shape, voxel_size=voxel_size, semi_axes=semi_axes, generator=generator, device=device)
    bvals, bvecs = (x.to(device) for x in gradient_scheme(n_directions, b, n_b0, seed))
    dwi, _ = simulate_dwi(brain.tensors, brain.s0, bvals, bvecs, snr, generator, coils)

    design, mask = design_matrix(bvals, bvecs), brain.mask
    signal = dwi[mask]
    log_s0, fitted = fit_wls(signal, design)
    fitted = clip_eigenvalues(fitted, LOWEST, HIGHEST)
    maps = acquisition_maps(signal, fitted, log_s0, design, mask)
    noisy = torch.zeros_like(brain.tensors)
    noisy[:3] = REFERENCE_DIFFUSIVITY
    noisy[:, mask] = fitted.T
    b0 = torch.zeros_like(brain.s0).masked_scatter(mask, log_s0.exp())
    return SimulatedPair(noisy, brain.tensors, mask, b0, maps.noise, maps.residual, maps.sigma, dwi, bvals, bvecs, snr)
