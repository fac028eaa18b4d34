"""Theory of the phase of an interferogram of circular Gaussian signals: density, deviation, resultant length.

With coherence g, L independent looks and the phase psi measured from its expectation, b = g cos psi,

    p(psi) = (1 - g^2)^L / (1 - b^2)^(L + 1/2)
             [ Gamma(L + 1/2) b / (2 sqrt(pi) Gamma(L)) + F(1/2 - L, -1/2; 1/2; b^2) / (2 pi) ]

Source: Lee, Hoppel, Mango, Miller, IEEE Trans. Geosci. Remote Sens. 32 (1994) 1017, eq. 20, after Euler's
transformation F(L, 1; 1/2; z) = (1 - z)^(-L - 1/2) F(1/2 - L, -1/2; 1/2; z).

Coherences are tensors or numbers in [0, 1]; results have the dtype and device of a tensor, float64 otherwise.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvnet.errors import MvnetError

_NODES = 128  # of the quadrature over the phase
_TABLE = 257  # coherences of the tables that maps are interpolated from
_DIRECT = 64  # up to this number of coherences are integrated one by one


def phase_density(phase: Tensor, coherence: Tensor | float, looks: float = 1) -> Tensor:
    """p(phase), per radian; the arguments are broadcast. At coherence 1 the density is 0 off the phase 0."""
    g, example = _numpy(coherence, looks)
    values = _density(phase.detach().double().cpu().numpy(), g, looks)
    return torch.as_tensor(values, dtype=phase.dtype, device=phase.device if example is None else example.device)


def phase_standard_deviation(coherence: Tensor | float, looks: float = 1) -> Tensor:
    """sqrt(E psi^2) with psi in (-pi, pi], radians.

    One look:  E psi^2 = pi^2/3 - pi asin g + asin^2 g - Li2(g^2) / 2
    More:      quadrature of the density; maps by interpolation of a table, relative error < 1e-4
    Source: Bamler and Hartl, Inverse Problems 14 (1998) R1, eq. 89.
    """
    from scipy.special import spence

    g, example = _numpy(coherence, looks)
    if looks == 1:
        angle = np.arcsin(g)
        variance = math.pi**2 / 3 - math.pi * angle + angle**2 - spence(1 - g**2) / 2
        deviation = np.sqrt(np.maximum(variance, 0))
    elif g.size <= _DIRECT:
        deviation = _deviation(g, looks)
    else:
        deviation = np.maximum(_deviation_spline(looks)(np.arcsin(g)), 0)
    return _like(deviation, example)


def resultant_length(coherence: Tensor | float, looks: float = 1) -> Tensor:
    """E cos psi = g Gamma(3/2) Gamma(L + 1/2) / Gamma(L) F(1/2, 3/2 - L; 2; g^2), in [0, 1]."""
    g, example = _numpy(coherence, looks)
    return _like(_resultant(g, looks), example)


def coherence_from_resultant(length: Tensor | float, looks: float = 1) -> Tensor:
    """The coherence whose phase has this resultant length: inverse of `resultant_length`, by a table."""
    r, example = _numpy(length, looks, "length")
    angles, lengths = _resultant_table(looks)
    return _like(np.sin(np.interp(r, lengths, angles)), example)


def _numpy(values: Tensor | float, looks: float, name: str = "coherence") -> tuple[np.ndarray, Tensor | None]:
    if not looks >= 1:
        raise MvnetError(f"looks: found {looks}, expected at least 1")
    example = values if isinstance(values, Tensor) else None
    array = values.detach().double().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values, np.float64)
    if not ((array >= 0) & (array <= 1 + 1e-6)).all():
        raise MvnetError(f"{name}: found values from {array.min():.3g} to {array.max():.3g}, expected 0 to 1")
    return np.minimum(array, 1.0), example


def _like(values: np.ndarray, example: Tensor | None) -> Tensor:
    if example is None:
        return torch.as_tensor(values, dtype=torch.float64)
    return torch.as_tensor(values, dtype=example.dtype, device=example.device)


def _density(psi: np.ndarray, g: np.ndarray, looks: float) -> np.ndarray:
    from scipy.special import gammaln, hyp2f1

    b = g * np.cos(psi)
    rest, off = np.maximum(1 - g**2, 1e-300), np.maximum(1 - b**2, 1e-300)
    factor = np.exp(looks * np.log(rest) - (looks + 0.5) * np.log(off))
    odd = math.exp(gammaln(looks + 0.5) - gammaln(looks)) / (2 * math.sqrt(math.pi)) * b
    even = hyp2f1(0.5 - looks, -0.5, 0.5, b**2) / (2 * math.pi)
    return np.maximum(factor * (odd + even), 0)


def _deviation(g: np.ndarray, looks: float) -> np.ndarray:
    """2 int_0^pi psi^2 p(psi) dpsi by Gauss-Legendre in t, psi = pi t^3: dense where the density is."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    t, weights = (nodes + 1) / 2, weights / 2
    psi = math.pi * t**3
    p = _density(psi, g[..., None], looks)
    moment = weights * 3 * math.pi * t**2 * p
    # the total mass is 1: dividing by it removes the error of a density narrower than the nodes
    mass = moment.sum(-1)
    variance = (moment * psi**2).sum(-1) / np.where(mass > 0, mass, 1)
    return np.sqrt(np.where(g >= 1, 0, variance))


def _resultant(g: np.ndarray, looks: float) -> np.ndarray:
    from scipy.special import gammaln, hyp2f1

    scale = math.gamma(1.5) * math.exp(gammaln(looks + 0.5) - gammaln(looks))
    return np.clip(scale * g * hyp2f1(0.5, 1.5 - looks, 2.0, g**2), 0, 1)


def _angles(count: int = _TABLE) -> np.ndarray:
    """asin of the tabulated coherences; in this variable both functions are smooth up to coherence 1."""
    return np.linspace(0, math.pi / 2, count)


@lru_cache(maxsize=16)
def _deviation_spline(looks: float) -> Any:
    from scipy.interpolate import CubicSpline

    return CubicSpline(_angles(), _deviation(np.sin(_angles()), looks))


@lru_cache(maxsize=16)
def _resultant_table(looks: float) -> tuple[np.ndarray, np.ndarray]:
    angles = _angles(4 * _TABLE)
    return angles, np.maximum.accumulate(_resultant(np.sin(angles), looks))
