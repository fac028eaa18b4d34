"""Step sizes of samples from their estimated errors.

Source: Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I (1993), section II.4 (first step); Hairer,
Wanner, Solving Ordinary Differential Equations II (1996), section IV.2 (PI control).
"""

from __future__ import annotations

import torch
from torch import Tensor

SAFETY, SMALLEST, LARGEST = 0.9, 0.2, 10.0


def error_norm(error: Tensor, z: Tensor, z1: Tensor, rtol: float, atol: float) -> Tensor:
    """Root mean square of error / (atol + rtol max(|z|, |z1|)) over the components of each sample.

    Args:
        error: estimate of the local error, shape (B, ...).
        z, z1: states before and after the step, likewise.
        rtol, atol: tolerances.
    Returns:
        shape (B,), float64; at most 1 where the step is good enough.
    """
    scale = torch.maximum(z.abs(), z1.abs()).mul_(rtol).add_(atol)
    return rms(error / scale)


def rms(x: Tensor) -> Tensor:
    """Root mean square over all but the first dimension.

    Args:
        x: shape (B, ...).
    Returns:
        shape (B,), float64.
    """
    x = x.flatten(1)
    return (torch.linalg.vector_norm(x, dim=1) / x.shape[1] ** 0.5).double()


def next_step(h: Tensor, norm: Tensor, before: Tensor, accepted: Tensor, order: int) -> Tensor:
    """h times .9 e^(-.7/k) e_before^(.4/k) after an accepted step, .9 e^(-1/k) after a rejected one.

    Args:
        h: steps that were tried, shape (B,).
        norm: e, their errors.
        before: those of the last accepted steps.
        accepted: whether e <= 1.
        order: k, one more than the lower order of the pair.
    Returns:
        shape (B,); the factor lies between .2 and 10, at most 1 after a rejection; .2 where e is not a number.
    """
    e = norm.clamp(min=1e-10)
    good = e.pow(-0.7 / order).mul_(before.pow(0.4 / order)).mul_(SAFETY).clamp_(SMALLEST, LARGEST)
    bad = e.pow(-1 / order).mul_(SAFETY).nan_to_num_(0.0).clamp_(SMALLEST, 1.0)
    return h * torch.where(accepted, good, bad)


def first_guess(z: Tensor, slope: Tensor, rtol: float, atol: float) -> tuple[Tensor, Tensor]:
    """h_0 = .01 |z| / |f|, in the norm of the tolerances.

    Args:
        z: states, shape (B, ...).
        slope: f there.
        rtol, atol: tolerances.
    Returns:
        h_0 and |f|, shape (B,).
    """
    scale = z.abs() * rtol + atol
    size, speed = rms(z / scale), rms(slope / scale)
    return torch.where((size < 1e-5) | (speed < 1e-5), 1e-6, 0.01 * size / speed), speed


def first_step(h: Tensor, speed: Tensor, change: Tensor, order: int) -> Tensor:
    """min(100 h_0, (.01 / max(|f|, |f'|))^(1/k))

    Args:
        h: h_0.
        speed: |f|.
        change: |f'|, a difference quotient over h_0.
        order: k.
    Returns:
        shape (B,).
    """
    largest = torch.maximum(speed, change)
    proposed = torch.where(largest <= 1e-15, (1e-3 * h).clamp(min=1e-6), (0.01 / largest) ** (1 / order))
    return torch.minimum(100 * h, proposed)
