"""Closed-form surface displacements of an elastic half-space: a point source and a rectangular fault."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.errors import MvnetError

POISSON = 0.25


def mogi(x: Tensor, y: Tensor, depth: float, volume: float) -> Tensor:
    """Surface displacement above a small inflating sphere.

    u = (1 - nu) dV / pi  (x, y, d) / (x^2 + y^2 + d^2)^(3/2)

    Args:
        x, y: metres from the point above the source, shape (...).
        depth: d > 0, metres.
        volume: dV, cubic metres, negative for deflation.
    Returns:
        (3, ...) metres along x, y and up.
    Source: Mogi, Bull. Earthq. Res. Inst. 36 (1958) 99.
    """
    if depth <= 0:
        raise MvnetError(f"depth: found {depth}, expected more than 0 m")
    scale = (1 - POISSON) * volume / math.pi / (x.square() + y.square() + depth**2).pow(1.5)
    return torch.stack([x * scale, y * scale, depth * scale])


def okada(
    x: Tensor,
    y: Tensor,
    depth: float,
    dip: float,
    length: float,
    width: float,
    slip: tuple[float, float, float],
) -> Tensor:
    """Surface displacement of a rectangular dislocation.

    Chinnery's notation, f(xi, eta)|| = f(x, p) - f(x, p - W) - f(x - L, p) + f(x - L, p - W), with
    p = y cos(dip) + d sin(dip), q = y sin(dip) - d cos(dip); f is `_corner`.

    Args:
        x: metres along strike from the lower left corner of the fault, shape (...).
        y: metres across, to the left of the strike; the fault dips towards -y.
        depth: d, of the lower edge, metres; at least width sin(dip).
        dip: degrees, above 0 and below 90.
        length, width: along strike and down dip, metres.
        slip: strike-slip (left-lateral), dip-slip (thrust) and opening, metres.
    Returns:
        (3, ...) metres along x, y and up; computed in float64, dtype of x.
    Source: Okada, Bull. Seismol. Soc. Am. 75 (1985) 1135, eqs. 25-29, lambda = mu.
    """
    if not 0 < dip < 90:
        raise MvnetError(f"dip: found {dip}, expected degrees above 0 and below 90")
    sin, cos = math.sin(math.radians(dip)), math.cos(math.radians(dip))
    if depth < width * sin * (1 - 1e-9):
        raise MvnetError(f"depth: found {depth} m for the lower edge, expected at least width sin(dip) = {width * sin}")
    x64, y64 = x.double(), y.double()
    p, q = y64 * cos + depth * sin, y64 * sin - depth * cos
    q = torch.where(q.abs() < 1e-6, torch.full_like(q, 1e-6), q)  # on the plane of the fault
    total = torch.zeros(3, *x.shape, dtype=torch.float64, device=x.device)
    for sign, xi, eta in ((1, x64, p), (-1, x64, p - width), (-1, x64 - length, p), (1, x64 - length, p - width)):
        total += sign * _corner(xi, eta, q, sin, cos, slip)
    return total.to(x.dtype)


def _corner(xi: Tensor, eta: Tensor, q: Tensor, sin: float, cos: float, slip: tuple[float, float, float]) -> Tensor:
    """f(xi, eta) of eqs. 25-27 summed over the three slips; names as in the paper, a = mu / (lambda + mu)."""
    a = 1 - 2 * POISSON
    xi = torch.where(xi.abs() < 1e-6, torch.full_like(xi, 1e-6), xi)
    y, d = eta * cos + q * sin, eta * sin - q * cos
    r = (xi.square() + eta.square() + q.square()).sqrt()
    r_eta, r_xi = (r + eta).clamp_min(1e-9), (r + xi).clamp_min(1e-9)
    big_x = (xi.square() + q.square()).sqrt()
    log_eta = r_eta.log()

    i4 = a / cos * ((r + d).log() - sin * log_eta)
    i5 = 2 * a / cos * ((eta * (big_x + q * cos) + big_x * (r + big_x) * sin) / (xi * (r + big_x) * cos)).atan()
    i3 = a * (y / (cos * (r + d)) - log_eta) + sin / cos * i4
    i2 = -a * log_eta - i3
    i1 = -a / cos * xi / (r + d) - sin / cos * i5
    angle = (xi * eta / (q * r)).atan()
    over_eta, over_xi = q / (r * r_eta), q / (r * r_xi)

    strike = (xi * over_eta + angle + i1 * sin, y * over_eta + q * cos / r_eta + i2 * sin)
    strike = torch.stack([*strike, d * over_eta + q * sin / r_eta + i4 * sin])
    thrust = (q / r - i3 * sin * cos, y * over_xi + cos * angle - i1 * sin * cos)
    thrust = torch.stack([*thrust, d * over_xi + sin * angle - i5 * sin * cos])
    bend = xi * over_eta - angle
    opening = (q * over_eta - i3 * sin**2, -d * over_xi - sin * bend - i1 * sin**2)
    opening = torch.stack([*opening, y * over_xi + cos * bend - i5 * sin**2])
    return (-slip[0] * strike - slip[1] * thrust + slip[2] * opening) / (2 * math.pi)
