"""Expected errors of denoised tensors: of the tensor, of the FA and of the MD, and what a trust region makes of them.

An affine-invariant error of n per component moves D by D^1/2 E D^1/2, E of six independent components of size n:

    sigma_MD = n |D| / 3,        sigma_FA = n |D^1/2 grad FA D^1/2|
    grad FA  = sqrt(3/2) ( A / (|A| |D|) - |A| D / |D|^3 ),        A = D - tr(D) I / 3

The network predicts the expected distance e, of six components together, and how much larger the errors of FA and MD
are than these formulas say (its errors are not alike in all components). Where a trust region keeps only a share t of
the way to the proposal, the expectation goes from the network's (t = 1) to that of the measurement (t = 0). Nowhere is
it more than that of a measurement with noise 2.35 n that was moved by m without reason, sqrt(m^2 + (2.35 n)^2).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.linalg import sym3
from mvnet.manifolds import SPDField
from mvnet.nn.trust_region import share_kept, standard_deviations

CHI_MEAN = 2**0.5 * math.gamma(3.5) / math.gamma(3)
"""Mean distance of six independent standard normal components, 2.35."""

_SPD = SPDField(dim=0)


class Estimate(NamedTuple):
    """Denoised tensors and their expected errors.

    Attributes:
        tensors: (6, n) Mandel planes.
        error: (n,) expected affine-invariant distance to the truth.
        fa_error, md_error: (n,) 1-sigma errors of the FA and of the MD, the latter in the unit of the tensors.
        kept: (n,) share of the way from the measurement to the network's proposal, in (0, 1].
    """

    tensors: Tensor
    error: Tensor
    fa_error: Tensor
    md_error: Tensor
    kept: Tensor


def estimate(
    measured: Tensor,
    proposed: Tensor,
    log_error: Tensor,
    log_spread: Tensor | None,
    noise: Tensor,
    precision: Tensor | None,
    radius: float,
) -> Estimate:
    """What is left of a network's proposal in the trust region of the measurement.

    Args:
        measured, proposed: (6, n) Mandel planes in one unit, positive definite.
        log_error: (n,) log of the expected distance of the proposal to the truth.
        log_spread: (2, n) logs of the factors of the errors of FA and MD; None is no factor.
        noise: (n,) affine-invariant noise of the measurement per component, 0 where unknown.
        precision: (n, 6, 6) of the measurement, or None.
        radius: of the region, in standard deviations.
    Returns:
        tensors and expected errors; where the noise is unknown those of the proposal.
    """
    distance = standard_deviations(measured, proposed, precision=precision, noise=noise)
    kept = torch.where(noise > 0, share_kept(distance, radius), 1.0)
    moved = kept < 1
    tensors = proposed.clone()
    tensors[:, moved] = _SPD.geodesic(measured[:, moved], proposed[:, moved], kept[moved])
    most = torch.hypot(_SPD.dist(measured, tensors), CHI_MEAN * noise)
    most = torch.where(noise > 0, most, torch.inf).log()
    log_component = torch.minimum(blend_log_error(log_error, noise, kept), most) - math.log(CHI_MEAN)
    fa_error, md_error = tensor_sigma(tensors, log_component.exp())
    if log_spread is not None:
        fa_error, md_error = (
            sigma * (kept * log).exp() for sigma, log in zip((fa_error, md_error), log_spread, strict=True)
        )
    return Estimate(tensors, log_component.exp() * CHI_MEAN, fa_error, md_error, kept)


def blend_log_error(log_error: Tensor, noise: Tensor, kept: Tensor) -> Tensor:
    """t log e + (1 - t) log(2.35 n): the network's expected distance, and that of a measurement.

    Args:
        log_error: log e, any shape.
        noise: n per component, same shape, 0 where unknown.
        kept: t, same shape, 1 where the noise is unknown.
    Returns:
        same shape.
    """
    tiny = torch.finfo(noise.dtype).tiny
    return kept * log_error + (1 - kept) * (CHI_MEAN * noise).clamp_min(tiny).log()


def tensor_sigma(tensors: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """1-sigma errors of FA and MD that an affine-invariant error of `noise` per component makes.

    Args:
        tensors: (6, n) Mandel planes.
        noise: (n,).
    Returns:
        FA (n,), and MD (n,) in the unit of the tensors.
    """
    matrix = sym3.unpack(tensors, dim=0)  # (n, 3, 3)
    tiny = torch.finfo(matrix.dtype).tiny ** 0.5
    size = matrix.square().sum((-2, -1)).sqrt()
    mean = matrix.diagonal(dim1=-2, dim2=-1).mean(-1)
    square = matrix @ matrix
    product = square - mean[:, None, None] * matrix  # D A
    deviation = (size.square() - 3 * mean.square()).clamp_min(0).sqrt()  # |A|
    # D grad FA = sqrt(3/2) ( D A / (|A| |D|) - |A| D^2 / |D|^3 )
    slope = product / (deviation.clamp_min(tiny) * size)[:, None, None]
    slope = slope - square * (deviation / size**3)[:, None, None]
    return 1.5**0.5 * noise * slope.square().sum((-2, -1)).sqrt(), noise * size / 3
