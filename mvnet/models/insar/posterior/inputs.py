"""The local fringe frequency of a denoised phase, which says with the concentration how its errors hang together."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 4
"""Pixels on each side that the frequency of a pixel depends on."""


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
