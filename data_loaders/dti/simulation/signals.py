"""Diffusion-weighted signals of a tensor field, with the noise of magnitude images."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.data_loaders.dti.fitting import design_matrix
from mvnet.data_loaders.dti.masks import white_matter_median
from mvnet.data_loaders.random_fields import normal
from mvnet.errors import MvnetError


def white_matter_signal(tensors: Tensor, s0: Tensor) -> float:
    """Median s0 over the voxels with FA > 0.4 and signal; over all with signal when there are none.

    Args:
        tensors: (6, *S) Mandel planes.
        s0: S.
    """
    if not (s0 > 0).any():
        raise MvnetError("s0: found no positive signal, expected some")
    return white_matter_median(s0, tensors, s0 > 0).item()


def clean_signal(tensors: Tensor, s0: Tensor, bvals: Tensor, bvecs: Tensor) -> Tensor:
    """S = S0 exp(-b g^T D g).

    Args:
        tensors: (6, *S) Mandel planes, um^2/ms.
        s0: S, any unit.
        bvals, bvecs: (M,) in s/mm^2 and (M, 3) in the axes of the tensors.
    Returns:
        (*S, M)
    """
    design = design_matrix(bvals, bvecs).to(tensors)
    return s0.unsqueeze(-1) * (tensors.movedim(0, -1) @ design[:, :6].T).exp()


def simulate_dwi(
    tensors: Tensor,
    s0: Tensor,
    bvals: Tensor,
    bvecs: Tensor,
    snr: float,
    generator: torch.Generator,
    coils: int = 1,
) -> tuple[Tensor, float]:
    """Noisy magnitude signals.

    Each of n coils adds complex normal noise of standard deviation sigma per channel; the image is the root
    sum of squares. One coil: Rician, mean square A^2 + 2 sigma^2; n coils: noncentral chi, mean square A^2 +
    2 n sigma^2.

    Args:
        tensors, s0, bvals, bvecs: as in `clean_signal`.
        snr: median white-matter s0 over sigma, white matter being FA > 0.4.
        generator: source of the noise.
        coils: n.
    Returns:
        signals (*S, M), and sigma in the unit of s0.
    Source: Gudbjartsson and Patz, Magn. Reson. Med. 34 (1995) 910-914; Constantinides et al., 38 (1997)
        852-857.
    """
    if snr <= 0:
        raise MvnetError(f"snr: found {snr}, expected a positive number")
    if coils < 1:
        raise MvnetError(f"coils: found {coils}, expected at least 1")
    sigma = white_matter_signal(tensors, s0) / snr
    signal = clean_signal(tensors, s0, bvals, bvecs)
    return add_noise(signal, sigma, generator, coils), sigma


def add_noise(signal: Tensor, sigma: float | Tensor, generator: torch.Generator, coils: int = 1) -> Tensor:
    """|signal + noise| over n coils; sigma a number, or broadcastable to the signal if it varies."""

    def noise() -> Tensor:
        return sigma * normal(tuple(signal.shape), generator, signal.device).to(signal.dtype)

    # the noise is isotropic in the 2n channels, so that all of the signal may sit in the first
    square = (signal + noise()).square_()
    for _ in range(2 * coils - 1):
        square += noise().square_()
    return square.sqrt_()
