"""A posterior of known filters, and a scene."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.models.insar.inference import DenoisedInterferogram, expected_cosine
from mvnet.models.insar.posterior.guarantees import random_scene
from mvnet.models.insar.posterior.network import InSARPosterior


def known_posterior(taps: int = 9, rank: int = 3) -> InSARPosterior:
    """Bumps that grow with the gain: even filters, made orthonormal."""
    head = InSARPosterior(taps=taps, rank=rank).eval()
    line = torch.arange(taps) - taps // 2
    square = line[:, None].square() + line.square()
    bumps = torch.stack([(-square / (2 * s**2)).exp() for s in (0.3, 1.0, 2.0)[:rank]])
    basis, mix = torch.linalg.qr(bumps.flatten(1).mT)
    head.filters.copy_(basis.mT.reshape(rank, taps, taps))
    weights = (mix / mix.norm(dim=0)).mT
    gains = head.coefficients.shape[3]
    for k in range(gains):
        head.coefficients[..., k, :] = weights[min(k * rank // gains, rank - 1)]
    return head


def scene(side: int = 60, seed: int = 0) -> tuple[Tensor, DenoisedInterferogram]:
    """An interferogram (n, n), and its denoised phase; holes have concentration 0."""
    z, phase, logs, valid = random_scene(seed, side)
    concentration = torch.where(valid, logs.exp(), 0)
    return torch.where(valid, z, 0), DenoisedInterferogram(phase, concentration, expected_cosine(concentration))
