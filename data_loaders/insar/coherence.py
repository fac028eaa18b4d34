"""Coherence estimated from the phase alone, when a processor gave none."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.data_loaders.insar.phase_statistics import coherence_from_resultant
from mvnet.errors import MvnetError


def margin(window: int) -> int:
    """Pixels around an image that its estimate depends on."""
    return window // 2 + 3 * window // 2 + 1


def estimate_coherence(interferogram: Tensor, window: int = 5, valid: Tensor | None = None, looks: float = 1) -> Tensor:
    """Coherence of which the phases around a pixel are typical, in [0, 1].

    1. The local fringe frequency is the phase of the mean product of neighbours over 3 window pixels.
    2. R = |mean of the unit phases over window x window|, fringes removed.
    3. (n R^2 - 1) / (n - 1), n valid pixels, is free of the bias that n random phases have; negative becomes 0.
    4. The coherence whose phase of `looks` looks has this resultant length.

    Single looks of coherence below .5 come out too low, as the noise bends the fringe frequency; window 9 helps.

    Args:
        interferogram: (..., H, W) complex; only its phase counts. NaN and 0 are not valid.
        window: odd, at least 3.
        valid: (..., H, W) bool, None for all.
        looks: of the interferogram.
    Returns:
        (..., H, W) real; 0 where not valid. A pixel depends on `margin(window)` pixels around it.
    """
    if window < 3 or window % 2 == 0:
        raise MvnetError(f"window: found {window}, expected an odd number of at least 3")
    modulus = interferogram.abs()
    inside = (modulus > 0) & modulus.isfinite()
    if valid is not None:
        inside &= valid
    unit = torch.where(inside, interferogram / torch.where(inside, modulus, 1), 0)
    turn_y, turn_x = _frequency(unit, 3 * window)

    r = window // 2
    h, w = unit.shape[-2:]
    padded = F.pad(unit, (r, r, r, r))
    total = torch.zeros_like(unit)
    back_y = torch.ones_like(unit) * turn_y**r  # exp(-j f q) for q = -r, ..., r
    first_x = turn_x**r
    for dy in range(window):
        back = back_y * first_x
        for dx in range(window):
            total += padded[..., dy : dy + h, dx : dx + w] * back
            back = back * turn_x.conj()
        back_y = back_y * turn_y.conj()
    n = _box(inside.to(modulus.dtype), window)
    square = total.real.square() + total.imag.square()
    free = (square - n) / (n * (n - 1)).clamp_min(1)
    coherence = coherence_from_resultant(free.clamp(0, 1).sqrt(), looks)
    return torch.where(inside & (n > 1), coherence, 0)


def _frequency(unit: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Unit phasors of the local phase steps along rows and columns, from lag-1 products."""
    down = F.pad(unit[..., 1:, :] * unit[..., :-1, :].conj(), (0, 0, 0, 1))
    right = F.pad(unit[..., 1:] * unit[..., :-1].conj(), (0, 1))
    turns = []
    for product in (down, right):
        mean = torch.complex(_box(product.real, window), _box(product.imag, window))
        size = mean.abs()
        turns.append(torch.where(size > 1e-6, mean / size.clamp_min(1e-6), 1))
    return turns[0], turns[1]


def _box(values: Tensor, window: int) -> Tensor:
    """Sums over window x window pixels, zeros outside: (..., H, W) -> (..., H, W)."""
    flat = values.reshape(-1, 1, *values.shape[-2:])
    r = window // 2
    flat = F.avg_pool2d(flat, (window, 1), 1, (r, 0), divisor_override=1)
    return F.avg_pool2d(flat, (1, window), 1, (0, r), divisor_override=1).reshape(values.shape)
