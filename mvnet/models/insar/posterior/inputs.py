"""What errors of a denoised phase hang together by, beside its concentration: fringes, and how much was averaged."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.models.insar.posterior.von_mises import log_concentration_of

REACH = 4
"""Pixels on each side that both depend on at a pixel."""


def fringe_frequency(phase: Tensor, valid: Tensor) -> Tensor:
    """|theta|, theta_k = arg sum of u_q conj u_p over the pairs of neighbours (p, q) along axis k of a window.

    The windows of both axes hold 8 x 9 pairs around the pixel, so that the result turns with the image.

    Args:
        phase: (h, w) radians.
        valid: (h, w) bool; pairs of other pixels do not count.
    Returns:
        (h, w) float32, radians per pixel, 0 where no pair is in reach.
    """
    u = torch.where(valid, torch.polar(torch.ones_like(phase, dtype=torch.float32), phase.float()), 0)
    parts = []
    for axis in range(2):
        turned = u.mT if axis == 0 else u
        if turned.shape[1] < 2:
            parts.append(torch.zeros(phase.shape))
            continue
        # the pair (p, p + 1) stands at p: 4 pairs to the left of a pixel, 4 that begin with it
        product = turned[:, 1:] * turned[:, :-1].conj()
        planes = F.pad(torch.stack([product.real, product.imag])[None], (REACH, REACH, REACH, REACH))
        real, imaginary = F.avg_pool2d(planes, (2 * REACH + 1, 2 * REACH), 1, divisor_override=1)[0]
        found = torch.atan2(imaginary, real)
        parts.append(found.mT if axis == 0 else found)
    return torch.hypot(*parts)


def log_gain(z: Tensor, phase: Tensor, log_concentration: Tensor, valid: Tensor) -> Tensor:
    """log kappa - log kappa_0: how many pixels the denoiser averaged, in effect.

    kappa_0 is the concentration of the interferogram about the denoised phase, over 9 x 9 pixels

        I_1(kappa_0) / I_0(kappa_0) = |sum of z exp(-i phase)| / sum of |z|

    Weak pixels count less, as they do for the denoiser; where there is no amplitude all count alike.

    Args:
        z: (h, w) complex, as read.
        phase: (h, w) radians, denoised.
        log_concentration: (h, w), log kappa of the denoised phase.
        valid: (h, w) bool.
    Returns:
        (h, w) float32.
    """
    u = torch.where(valid, z.to(torch.complex64), 0)
    u = u * torch.polar(torch.ones_like(phase, dtype=torch.float32), -phase.float())
    planes = torch.stack([u.real, u.imag, u.abs()])[None]
    real, imaginary, total = F.avg_pool2d(planes, 2 * REACH + 1, 1, REACH, divisor_override=1)[0]
    ratio = torch.hypot(real, imaginary) / total.clamp_min(torch.finfo(torch.float32).tiny)
    return log_concentration.float() - log_concentration_of(ratio)
