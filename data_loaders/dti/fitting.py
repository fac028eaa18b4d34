"""Diffusion tensors from diffusion-weighted signals, batched in torch, with what the fit says about its own noise.

The signal of the tensor model, in units b [ms/um^2] and D [um^2/ms]:

    log S(b, g) = log S0 - b g^T D g

is linear in (D, log S0); with log S of variance (sigma / S)^2 the weights are S^2 (Salvador et al., 2005). The same
two-pass estimate as DIPY's "WLS", which the file loader calls; this one runs inside training, on the training device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import sym3

_SQRT2 = 2**0.5
_MIN_SIGNAL = 1e-6  # of the mean signal: the logarithm needs positive values
_PARAMETERS = 7  # of a fit: D and log S0
_MEAN_ROOT = 2**0.25 * math.gamma(0.75) / math.pi**0.5  # E sqrt |x| of a standard normal x


def design_matrix(bvals: Tensor, bvecs: Tensor) -> Tensor:
    """Rows (-b g g^T as 6 Mandel components, 1), so that log S = design @ (D, log S0).

    Args:
        bvals: (M,) in s/mm^2.
        bvecs: (M, 3) unit vectors; rows of b = 0 may be anything finite.
    Returns:
        (M, 7); the first six columns in ms/um^2.
    Raises:
        ValueError: when the two do not hold one row per volume.
    """
    if bvecs.shape != (len(bvals), 3):
        raise MvnetError(f"bvecs: found shape {tuple(bvecs.shape)}, expected ({len(bvals)}, 3), one row per b-value")
    b = bvals.unsqueeze(1) * 1e-3
    x, y, z = bvecs.unbind(1)
    outer = torch.stack([x * x, y * y, z * z, _SQRT2 * y * z, _SQRT2 * x * z, _SQRT2 * x * y], 1)
    return torch.cat([-b * outer, torch.ones_like(b)], 1)


def normal_matrix(weights: Tensor, design: Tensor) -> Tensor:
    """A^T W A for every voxel: weights (N, M), design (M, 7) -> (N, 7, 7)."""
    products = (design.unsqueeze(2) * design.unsqueeze(1)).flatten(1)
    return (weights @ products).unflatten(1, (7, 7))


def fit_wls(signal: Tensor, design: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted least-squares tensors.

    Args:
        signal: (N, M), any unit; non-positive values count as a tiny signal.
        design: (M, 7) from `design_matrix`.
    Returns:
        log S0 (N,) in the log of the signal's unit, and D (N, 6) Mandel, um^2/ms. D need not be positive.
    Source: Salvador et al., Human Brain Mapping 24 (2005) 144-155.
    """
    scale = signal.mean(1, keepdim=True).clamp_min(torch.finfo(signal.dtype).tiny)
    log_signal = (signal / scale).clamp_min(_MIN_SIGNAL).log()
    # pass 1, unit weights: one pseudo-inverse serves every voxel
    predicted = log_signal @ (design @ torch.linalg.pinv(design)).T
    # pass 2, weights S^2 of the first pass
    weights = (2 * predicted).clamp(-30, 30).exp()
    right = (weights * log_signal) @ design
    parameters = torch.linalg.solve(normal_matrix(weights, design), right)
    return parameters[:, 6] + scale[:, 0].log(), parameters[:, :6]


@dataclass(frozen=True)
class AcquisitionMaps:
    """Per-voxel noise information, each of shape (X, Y, Z); zero outside the mask and where it is unknown.

    sigma: standard deviation of the signal noise, in the signal's unit.
    noise: expected affine-invariant error of the fitted tensor per Mandel component (dimensionless).
    residual: root-mean-square fit residual over sigma, about 1 where the tensor model holds.
    """

    sigma: Tensor
    noise: Tensor
    residual: Tensor


def _box_mean(volume: Tensor, inside: Tensor, radius: int, sides: Sequence[int] | None = None) -> Tensor:
    """Mean of the volume where `inside` is 1, over boxes with these sides, 2 radius + 1 when None; 0 where it never is.

    Both (X, Y, Z), zero outside; `radius` zeros are added on every side.
    """
    out = torch.stack([volume * inside, inside]).unsqueeze(1)
    for axis, side in enumerate(sides or (2 * radius + 1,) * 3):
        kernel = volume.new_ones((1, 1, *(side if a == axis else 1 for a in range(3))))
        out = F.conv3d(out, kernel, padding=tuple(radius if a == axis else 0 for a in range(3)))
    total, count = out.squeeze(1)
    return total / count.clamp_min(1)


def spatial_deviation(signal: Tensor, mask: Tensor, radius: int = 3) -> Tensor:
    """Standard deviation of the noise by differences of neighbours, for fits that leave no residual.

    The alternating sum over the corners of 2x2x2 voxels, over sqrt 8, has the variance of the noise and little of the
    anatomy. Its deviation follows from the mean of sqrt |d| over all volumes and the corners up to `radius` around a
    voxel; edges weigh less on that than on the mean of d^2. Noise that neighbours share is not seen.

    Args:
        signal: (N, M) measured signal of the N voxels in `mask`.
        mask: (X, Y, Z) bool.
        radius: half side, in voxels, of the cube that is looked at.
    Returns:
        (X, Y, Z), zero where no such corners lie in the mask.
    """
    difference = signal.new_zeros(signal.shape[1], *mask.shape).masked_scatter(mask, signal.T.contiguous())
    inside, sides = mask, [2 * radius + 1] * 3
    for axis, length in enumerate(mask.shape):
        if length > 1:
            difference = difference.diff(dim=axis + 1) / _SQRT2
            inside = inside.narrow(axis, 0, length - 1) & inside.narrow(axis, 1, length - 1)
            sides[axis] = 2 * radius  # corners lie between voxels
    mean_root = _box_mean(difference.abs().sqrt().mean(0), inside.to(signal.dtype), radius, sides)
    return (mean_root / _MEAN_ROOT).square()


def acquisition_maps(
    signal: Tensor, tensors: Tensor, log_s0: Tensor, design: Tensor, mask: Tensor, radius: int = 3
) -> AcquisitionMaps:
    """Noise level from the fit residuals, and the tensor error it implies.

    sigma^2 is the residual variance pooled over a cube; the covariance of D is sigma^2 (A^T S^2 A)^-1; the expected
    squared affine-invariant error is its trace against <X, Y>_D = tr(D^-1 X D^-1 Y). Seven volumes leave no residual,
    which is zero then: unknown; sigma is that of `spatial_deviation`. With fewer nothing is known.

    Args:
        signal: (N, M) measured signal of the N voxels in `mask`.
        tensors: (N, 6) positive definite, Mandel, um^2/ms.
        log_s0: (N,).
        design: (M, 7).
        mask: (X, Y, Z) bool with N voxels.
        radius: half side, in voxels, of the cube over which residuals or differences are pooled.
    Raises:
        ValueError: when the mask and the signal disagree on N.
    """
    if int(mask.sum()) != len(signal):
        raise MvnetError(f"mask: found {int(mask.sum())} voxels, expected {len(signal)}, one per row of signal")
    freedom = signal.shape[1] - _PARAMETERS
    zero = torch.zeros(mask.shape, dtype=signal.dtype, device=signal.device)
    if freedom < 0 or len(signal) == 0:
        return AcquisitionMaps(zero, zero, zero)
    predicted = (tensors @ design[:, :6].T + log_s0.unsqueeze(1)).clamp(-80, 80).exp()
    if freedom:
        square = ((signal - predicted) ** 2).sum(1) / freedom
        pooled = _box_mean(zero.masked_scatter(mask, square), mask.to(signal.dtype), radius)
        sigma = pooled[mask].clamp_min(0).sqrt()
    else:
        square, sigma = torch.zeros_like(log_s0), spatial_deviation(signal, mask, radius)[mask]

    # covariance in units of the voxel's own S0, so that float32 has room
    relative = predicted / log_s0.exp().unsqueeze(1)
    normal = normal_matrix(relative**2, design)
    ridge = 1e-6 * normal.diagonal(dim1=1, dim2=2).mean(1)
    normal = normal + ridge[:, None, None] * torch.eye(7, dtype=signal.dtype, device=signal.device)
    covariance = torch.linalg.inv(normal)[:, :6, :6] * (sigma / log_s0.exp()).square()[:, None, None]
    variance = (covariance * metric(tensors)).sum((1, 2)) / 6
    tiny = torch.finfo(signal.dtype).tiny
    return AcquisitionMaps(
        sigma=zero.masked_scatter(mask, sigma),
        noise=zero.masked_scatter(mask, variance.clamp_min(0).sqrt()),
        residual=zero.masked_scatter(mask, square.sqrt() / sigma.clamp_min(tiny)),
    )


def metric(tensors: Tensor) -> Tensor:
    """Gram matrix tr(D^-1 E_i D^-1 E_j) of the Mandel basis at D: (N, 6) -> (N, 6, 6)."""
    basis = sym3.unpack(torch.eye(6, dtype=tensors.dtype, device=tensors.device))  # (6, 3, 3)
    left = torch.einsum("nij,kjl->nkil", torch.linalg.inv(sym3.unpack(tensors)), basis)  # D^-1 E_k
    return torch.einsum("nkij,nlji->nkl", left, left)


def clip_eigenvalues(tensors: Tensor, low: float, high: float) -> Tensor:
    """The same eigenvectors with eigenvalues in [low, high]: (N, 6) Mandel -> (N, 6) Mandel."""
    values, vectors = torch.linalg.eigh(sym3.unpack(tensors))
    return sym3.pack((vectors * values.clamp(low, high).unsqueeze(-2)) @ vectors.mT)
