"""A trust region around a measurement: what a network proposes may not contradict what was measured.

A measured value M has noise of known covariance; a proposal P lies d standard deviations from it, along the geodesic
that joins them. The region is the ellipsoid that holds the noise with a given probability, d <= q. A proposal inside
is taken as it is; one outside was made from other tissue than that of this voxel, and is taken back along the geodesic,

    M^1/2 (M^-1/2 P M^-1/2)^t M^1/2,        t = min(1, (q / d)^3)

so that it ends at q (q / d)^2 <= q: the farther out it is, the less of it is believed (a redescending estimate, as in
robust statistics). The formula has no parameter but the probability, and commutes with every rotation of space.

    d^2 = v^T C^-1 v,  v = log_M(P)      where the covariance C of the measurement is known
    d   = dist(M, P) / s                 where only its size s is, per component of a normal frame
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.manifolds import SPDField

TRUST_REGION = 0.99
"""Share of the noise of a measurement that its trust region holds, unless another is asked for."""

_FREEDOM = 6  # components of a symmetric matrix
_POWER = 3


def chi_quantile(probability: float, freedom: int = _FREEDOM) -> float:
    """q with P(chi_n <= q) = probability: 4.1 for 99 % of six components.

    Args:
        probability: in (0, 1]; 1 gives infinity.
        freedom: n, number of components.
    Returns:
        q, in standard deviations.
    Raises:
        MvnetError: not a probability above zero.
    """
    if not 0 < probability <= 1:
        raise MvnetError(f"probability: found {probability}, expected a number in (0, 1]")
    if probability == 1:
        return math.inf
    from scipy.stats import chi

    return float(chi.ppf(probability, freedom))


def standard_deviations(measured: Tensor, proposed: Tensor, *, precision: Tensor | None, noise: Tensor) -> Tensor:
    """How far proposals lie from measurements, d.

    Args:
        measured, proposed: (6, n) Mandel planes, positive definite.
        precision: (n, 6, 6), inverse covariance of the components of `measured`, or None.
        noise: (n,) size of the noise per component of an orthonormal frame, affine-invariant; used without a precision;
            0 where unknown.
    Returns:
        (n,); 0 where the noise is unknown.
    """
    spd = SPDField(dim=0)
    if precision is None:
        tiny = torch.finfo(noise.dtype).tiny
        return torch.where(noise > 0, spd.dist(measured, proposed) / noise.clamp_min(tiny), 0.0)
    velocity = spd.log(measured, proposed)  # (6, n)
    square = torch.einsum("an,nab,bn->n", velocity, precision, velocity)
    return square.clamp_min(0).sqrt()


def share_kept(distance: Tensor, radius: float) -> Tensor:
    """t = min(1, (q / d)^3).

    Args:
        distance: d, any shape, >= 0.
        radius: q.
    Returns:
        same shape, in (0, 1].
    """
    if math.isinf(radius):
        return torch.ones_like(distance)
    return (radius / distance.clamp_min(radius)) ** _POWER
