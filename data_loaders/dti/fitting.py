"""Diffusion tensors from diffusion-weighted signals, batched in torch, with what the fit says about its own noise.

The signal of the tensor model, in units b [ms/um^2] and D [um^2/ms]:

    log S(b, g) = log S0 - b g^T D g

is linear in (D, log S0); with log S of variance (sigma / S)^2 the weights are S^2 (Salvador et al., 2005). The same
two-pass estimate as DIPY's "WLS", in one batch: for the file loader in float64, inside training on its device.
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


def fit_wls(signal: Tensor, design: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Weighted least-squares tensors.

    Args:
        signal: (N, M), any unit; non-positive values count as a tiny signal.
        design: (M, 7) from `design_matrix`.
        weights: (M,) or (N, M) in [0, 1], how much each volume counts; those above 0 determine the tensor. None counts
            all alike.
    Returns:
        log S0 (N,) in the log of the signal's unit, and D (N, 6) Mandel, um^2/ms. D need not be positive.
    Source: Salvador et al., Human Brain Mapping 24 (2005) 144-155.
    """
    scale = signal.mean(1, keepdim=True).clamp_min(torch.finfo(signal.dtype).tiny)
    log_signal = (signal / scale).clamp_min(_MIN_SIGNAL).log()
    # pass 1, weights as given: one pseudo-inverse serves every voxel where they are the same
    if weights is not None and weights.ndim == 2:
        predicted = solve_weighted(log_signal, weights, design) @ design.T
    else:
        root = design.new_ones(len(design), 1) if weights is None else weights.sqrt().unsqueeze(1)
        predicted = (log_signal * root.T) @ (design @ torch.linalg.pinv(root * design)).T
    # pass 2, weights S^2 of the first pass
    square = (2 * predicted).clamp(-30, 30).exp()
    parameters = solve_weighted(log_signal, square if weights is None else square * weights, design)
    return parameters[:, 6] + scale[:, 0].log(), parameters[:, :6]


def solve_weighted(response: Tensor, weights: Tensor, design: Tensor) -> Tensor:
    """The x that minimises sum_m w_m (y_m - (A x)_m)^2.

    Args:
        response, weights: y and w, (N, M).
        design: A, (M, 7).
    Returns:
        (N, 7); not finite where the weighted volumes do not determine it.
    """
    right = (weights * response) @ design
    return torch.linalg.solve_ex(normal_matrix(weights, design), right)[0]


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


def box_mean(volume: Tensor, inside: Tensor, radius: int, sides: Sequence[int] | None = None) -> Tensor:
    """Mean of the volume where `inside` is 1, over boxes with these sides, 2 radius + 1 when None; 0 where it never is.

    Both (X, Y, Z), zero outside; `radius` zeros are added on every side.
    """
    out = torch.stack([volume * inside, inside]).unsqueeze(1)
    for axis, side in enumerate(sides or (2 * radius + 1,) * 3):
        kernel = volume.new_ones((1, 1, *(side if a == axis else 1 for a in range(3))))
        out = F.conv3d(out, kernel, padding=tuple(radius if a == axis else 0 for a in range(3)))
    total, count = out.squeeze(1)
    return total / count.clamp_min(1)


def spatial_deviation(signal: Tensor, mask: Tensor, radius: int = 3, lag: int = 1) -> Tensor:
    """Standard deviation of the noise by differences of neighbours, for fits that leave no residual.

    The alternating sum over the corners of 2x2x2 voxels, over sqrt 8, has the variance of the noise and little of the
    anatomy. Its deviation follows from the mean of sqrt |d| over all volumes and the corners up to `radius` around a
    voxel; edges weigh less on that than on the mean of d^2. Noise that neighbours share is not seen.

    Args:
        signal: (N, M) measured signal of the N voxels in `mask`.
        mask: (X, Y, Z) bool.
        radius: half side, in voxels, of the cube that is looked at.
        lag: distance of neighbours in voxels; at 2, interpolated noise is seen too, and more of the anatomy.
    Returns:
        (X, Y, Z), zero where no such corners lie in the mask.
    """
    difference = signal.new_zeros(signal.shape[1], *mask.shape).masked_scatter(mask, signal.T.contiguous())
    inside, sides = mask, [2 * radius + 1] * 3
    for axis, length in enumerate(mask.shape):
        if (left := length - lag) > 0:
            near, far = difference.narrow(axis + 1, 0, left), difference.narrow(axis + 1, lag, left)
            difference = (far - near) / _SQRT2
            inside = inside.narrow(axis, 0, left) & inside.narrow(axis, lag, left)
            sides[axis] = 2 * radius + 1 - lag  # corners lie between voxels
    mean_root = box_mean(difference.abs().sqrt().mean(0), inside.to(signal.dtype), radius, sides)
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
    predicted = predict(tensors, log_s0, design)
    if freedom:
        square = ((signal - predicted) ** 2).sum(1) / freedom
        pooled = box_mean(zero.masked_scatter(mask, square), mask.to(signal.dtype), radius)
        sigma = pooled[mask].clamp_min(0).sqrt()
    else:
        square, sigma = torch.zeros_like(log_s0), spatial_deviation(signal, mask, radius)[mask]
    relative = predicted / log_s0.exp().unsqueeze(1)
    covariance = tensor_covariance(relative**2, design) * (sigma / log_s0.exp()).square()[:, None, None]
    tiny = torch.finfo(signal.dtype).tiny
    return AcquisitionMaps(
        sigma=zero.masked_scatter(mask, sigma),
        noise=zero.masked_scatter(mask, expected_error(covariance, tensors)),
        residual=zero.masked_scatter(mask, square.sqrt() / sigma.clamp_min(tiny)),
    )


def predict(tensors: Tensor, log_s0: Tensor, design: Tensor) -> Tensor:
    """Signal of the tensor model: tensors (N, 6), log S0 (N,) and design (M, 7) -> (N, M)."""
    return (tensors @ design[:, :6].T + log_s0.unsqueeze(1)).clamp(-80, 80).exp()


def tensor_covariance(information: Tensor, design: Tensor) -> Tensor:
    """Covariance (A^T W A)^-1 of fitted tensors, a little regularised.

    Args:
        information: (N, M), W, the inverse variance of each logarithm of a signal; in units of the voxel, so that
            float32 has room.
        design: (M, 7).
    Returns:
        (N, 6, 6) in the inverse of those units times um^4/ms^2.
    """
    normal = normal_matrix(information, design)
    ridge = 1e-6 * normal.diagonal(dim1=1, dim2=2).mean(1)
    eye = torch.eye(_PARAMETERS, dtype=normal.dtype, device=normal.device)
    return torch.linalg.inv(normal + ridge[:, None, None] * eye)[:, :6, :6]


def expected_error(covariance: Tensor, tensors: Tensor) -> Tensor:
    """Root of E d(D, D + noise)^2 / 6 to first order: covariance (N, 6, 6) and tensors (N, 6) -> (N,)."""
    return ((covariance * _metric(tensors)).sum((1, 2)) / 6).clamp_min(0).sqrt()


def _metric(tensors: Tensor) -> Tensor:
    """Gram matrix tr(D^-1 E_i D^-1 E_j) of the Mandel basis at D: (N, 6) -> (N, 6, 6)."""
    basis = sym3.unpack(torch.eye(6, dtype=tensors.dtype, device=tensors.device))  # (6, 3, 3)
    left = torch.einsum("nij,kjl->nkil", torch.linalg.inv(sym3.unpack(tensors)), basis)  # D^-1 E_k
    return torch.einsum("nkij,nlji->nkl", left, left)


def clip_eigenvalues(tensors: Tensor, low: float, high: float) -> Tensor:
    """The same eigenvectors with eigenvalues in [low, high]: (N, 6) Mandel -> (N, 6) Mandel."""
    values, vectors = torch.linalg.eigh(sym3.unpack(tensors))
    return sym3.pack((vectors * values.clamp(low, high).unsqueeze(-2)) @ vectors.mT)
