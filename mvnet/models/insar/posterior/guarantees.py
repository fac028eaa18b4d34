"""Guarantees of the posterior of phases: every pixel is von Mises as the denoiser says, and tiles leave no seam."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mvnet.manifolds.circle import wrap
from mvnet.models.guarantee import Guarantee
from mvnet.models.insar.posterior.inference import MARGIN, sample_window, window_law
from mvnet.models.insar.posterior.network import InSARPosterior
from mvnet.models.insar.posterior.von_mises import LOG_CONCENTRATION, quantile
from mvnet.models.tiling import aligned_tiles

_SIDE, _TILE = 160, 72  # pixels
_ORDERS = 400  # of the Fourier series of a density


def verify_posterior(head: InSARPosterior, seed: int) -> list[Guarantee]:
    """Measure the marginals of the samples, and the seams of tiles.

    Args:
        head: on the CPU.
        seed: of a random scene and of its samples.
    Returns:
        the largest distance of the variance of the noise from 1 over all nodes of the bank and between them, that of
        the distribution of a pixel from the von Mises one, and that of samples in tiles from those in one piece.
    """
    logs, frequency, gain = (
        torch.rand(4096, generator=torch.Generator().manual_seed(seed + k)) * span + low
        for k, (low, span) in enumerate(((-4.0, 11.0), (0.0, 3.0), (-1.0, 8.0)))
    )
    gram = torch.einsum("rij,sij->rs", head.filters.double(), head.filters.double())
    variance = torch.cat(
        [
            torch.einsum("rn,rs,sn->n", c, gram, c)
            for c in (head.place(logs, frequency, gain, value).double() for value in (0.0, 0.3, 1.0))
        ]
    )
    name = "posterior: distance of the variance of the noise from 1"
    found = [Guarantee(name, float((variance - 1).abs().max()), 1e-5)]
    name = "posterior: distance of the distribution of a pixel from the von Mises one"
    found.append(Guarantee(name, distribution_error(), 1e-3))
    name = "posterior: difference between samples in tiles and in one piece, rad"
    return [*found, Guarantee(name, seam_error(head, seed), 1e-5)]


def distribution_error() -> float:
    """max |F(Q(kappa, g); kappa) - Phi(g)| over g and over kappa in the range of the table.

    F(e) = 1/2 + (e + 2 sum_j I_j(kappa) / I_0(kappa) sin(j e) / j) / 2 pi.

    Returns:
        the maximum.
    """
    from scipy.special import ive

    g = torch.linspace(-4, 4, 161)
    order = np.arange(1, _ORDERS)
    worst = 0.0
    for log_kappa in np.linspace(*LOG_CONCENTRATION, 53):
        e = quantile(torch.full_like(g, float(log_kappa)), g).double().numpy()
        ratio = ive(order, math.exp(log_kappa)) / ive(0, math.exp(log_kappa))
        series = (ratio * np.sin(order * e[:, None]) / order).sum(1)
        exact = torch.special.ndtr(g.double()).numpy()
        worst = max(worst, float(np.abs(0.5 + (e + 2 * series) / (2 * math.pi) - exact).max()))
    return worst


def seam_error(head: InSARPosterior, seed: int) -> float:
    """Largest difference of a sample made in tiles from the same made in one piece.

    Args:
        head: on the CPU.
        seed: of a random scene and of the sample.
    Returns:
        radians.
    """
    z, phase, logs, valid = random_scene(seed, _SIDE)

    def draw(block: int) -> Tensor:
        out = torch.zeros_like(phase)
        for outer, inner, place in aligned_tiles(phase.shape, block, MARGIN, 1):
            law = window_law(head, z[outer], phase[outer], logs[outer], valid[outer], inner, place)
            out[inner] = sample_window(head, law, range(1), seed)[0]
        return out

    return float(wrap(draw(_SIDE) - draw(_TILE))[valid].abs().max())


def random_scene(seed: int, side: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Curved fringes, a concentration that varies over them, and holes.

    Args:
        seed: of the holes and of the noise.
        side: n.
    Returns:
        interferogram (n, n) complex, phase (n, n), log kappa (n, n), and where there are data (n, n), bool.
    """
    line = torch.linspace(-1, 1, side)
    phase = wrap(40 * line[:, None].square() + 20 * line * line[:, None])
    logs = 3 + 3 * (2 * line[:, None]).sin() * (3 * line).cos()
    random = torch.Generator().manual_seed(seed)
    valid = torch.rand(side, side, generator=random) < 0.95
    measured = phase + torch.randn(side, side, generator=random)
    return torch.polar(torch.ones_like(phase), measured), phase, logs, valid
