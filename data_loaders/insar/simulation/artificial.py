"""The artificial interferometric image on which restoration of cyclic data is compared."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.manifolds.circle import wrap


def artificial_insar_image(size: int = 256) -> Tensor:
    """A wrapped phase with a tilted ellipse, a paraboloid and a staircase of eight squares.

    On x, y in [-1/2, 1/2] (x along the columns), with the rotation by a
    x_a = x cos a - y sin a, y_a = y cos a + x sin a:

        ellipse     10 pi y_35            where 6 x_35^2 + 25 y_35^2 <= 1
        paraboloid  -4 pi (1 - |p - (.275, .275)|^2 / r^2)_+                      r = .18
        stairs      2 pi i / 8            where |x_60 - m_1| + |y_60 - m_2| <= .075,   i = 1, ..., 8
                    m = (c u + s / 4, c u - s / 4),  u = -.675 + .15 i,  c = cos 60, s = sin 60

    A step by 4 pi along the diagonal, part of the recipe, vanishes in the wrapped phase.

    Args:
        size: pixels along each side, at least 2.
    Returns:
        (size, size) float64, radians in (-pi, pi].
    Source: Bergmann, Laus, Steidl, Weinmann, SIAM J. Imaging Sci. 7 (2014) 2916-2953, section 5.
    """
    if size < 2:
        raise MvnetError(f"size: found {size}, expected at least 2")
    axis = torch.linspace(-0.5, 0.5, size, dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")

    xr, yr = _rotate(x, y, 35)
    phase = 10 * math.pi * yr * (6 * xr.square() + 25 * yr.square() <= 1)

    radius = 0.18
    distance = ((x - 0.275).square() + (y - 0.275).square()) / radius**2
    phase = phase - 4 * math.pi * (1 - distance).clamp_min(0)

    xr, yr = _rotate(x, y, 60)
    c, s, half = math.cos(math.pi / 3), math.sin(math.pi / 3), 0.075
    for i in range(1, 9):
        u = -0.675 + 2 * half * i
        inside = (xr - (c * u + s / 4)).abs() + (yr - (c * u - s / 4)).abs() <= half
        phase = phase + 2 * math.pi * i / 8 * inside
    return wrap(phase)


def _rotate(x: Tensor, y: Tensor, degrees: float) -> tuple[Tensor, Tensor]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return c * x - s * y, c * y + s * x
