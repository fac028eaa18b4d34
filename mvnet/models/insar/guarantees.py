"""Guarantees of the network for interferograms, measured on a random interferogram.

The network is equivariant to a constant phase, to conjugation and to the symmetries of the square; tiles have no seams;
its quality is measured by `mvnet.models.insar.quality`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mvnet.equivariant import FieldType, Trivial, equivariance_error, field_type, group
from mvnet.manifolds.circle import wrap
from mvnet.models.guarantee import LIMITS, Guarantee, precision
from mvnet.models.insar.inference import denoise_interferogram, overlap_of
from mvnet.models.insar.inputs import interferogram_planes, scalar_planes
from mvnet.models.insar.network import InSARDenoiser, noise_type
from mvnet.models.insar.quality import verify_quality

_ANGLES = 8


def verify_insar(model: InSARDenoiser, seed: int) -> list[Guarantee]:
    """Measure equivariance (D4, conjugation, the global phase) in both precisions, the seams of tiles, and the quality.

    Args:
        model: on the CPU; its dtype is restored.
        seed: random seed of the interferograms.
    Returns:
        two equivariance errors for each precision, the difference between tiles and the whole, and `verify_quality`.
    """
    given = next(model.parameters()).dtype
    symmetry = group("D4xZ2")
    number, planes = field_type(symmetry, {"trivial": 1, "internal": 1}), 2
    told = noise_type(symmetry)
    inputs = FieldType(*number.fields, (3, Trivial(symmetry)), *told.fields)
    found: list[Guarantee] = []
    z, valid = random_interferogram(seed, 6 * model.alignment)
    noise = torch.rand(told.channels, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    scalars = scalar_planes(valid, z.abs() / z.abs().max(), torch.float64)
    x = torch.cat([interferogram_planes(z, valid), scalars, noise.expand(-1, *z.shape)])[None]

    def network(x: Tensor) -> Tensor:
        phase = model(x[:, :planes], x[:, planes : planes + 3], x[:, planes + 3 :, 0, 0]).phase
        return torch.stack([phase.cos(), phase.sin()], 1)

    for dtype, limit in LIMITS.items():
        model.to(dtype)
        y = x.to(dtype)
        error = equivariance_error(network, symmetry, y, inputs, number)
        name = f"equivariance error, D4 and conjugation ({symmetry.order} elements), {precision(dtype)}"
        found.append(Guarantee(name, error.largest, limit))
        name = f"equivariance error, global phase ({_ANGLES} angles), {precision(dtype)}"
        found.append(Guarantee(name, phase_error(network, y), limit))
    model.to(given)
    side = 2 * (overlap_of(model) + 4 * model.alignment)
    z, valid = random_interferogram(seed, side)
    whole, tiled = (
        denoise_interferogram(model, z.to(torch.complex64), valid=valid, block=b) for b in (side, side // 2)
    )
    seam = wrap(whole.phase - tiled.phase)[valid].abs().max()
    found.append(Guarantee("difference between tiles and the whole, rad", float(seam), 1e-4))
    return found + verify_quality(model, seed)


def phase_error(network: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """max |network(e^{ia} x) - e^{ia} network(x)| over the angles a.

    Args:
        network: planes -> planes (B, 2, H, W).
        x: (B, 2 + n, H, W), real and imaginary part, then n planes without phase.
    Returns:
        the maximum.
    """

    def shift(x: Tensor, angle: float) -> Tensor:
        c, s = math.cos(angle), math.sin(angle)
        real, imaginary = x[:, :1], x[:, 1:2]
        return torch.cat([c * real - s * imaginary, s * real + c * imaginary, x[:, 2:]], 1)

    with torch.no_grad():
        y = network(x)
        angles = [2 * math.pi * step / _ANGLES for step in range(1, _ANGLES)]
        return max(float((network(shift(x, a)) - shift(y, a)).abs().max()) for a in angles)


def random_interferogram(seed: int, side: int) -> tuple[Tensor, Tensor]:
    """A curved fringe pattern in speckle, and a mask without symmetry.

    Args:
        seed: random seed.
        side: n.
    Returns:
        (n, n) complex128, (n, n) bool.
    """
    random = torch.Generator().manual_seed(seed)
    line = torch.linspace(-1, 1, side, dtype=torch.float64)
    phase = 9 * line[:, None].square() + 7 * line + 3 * (line[:, None] * line)
    u, v = torch.randn(2, side, side, generator=random, dtype=torch.complex128)
    z = u * (0.8 * u + 0.6 * v).conj() * torch.polar(torch.ones_like(phase), phase)
    return z, torch.rand(side, side, generator=random) < 0.95
