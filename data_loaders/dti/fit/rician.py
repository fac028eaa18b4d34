"""The floor of magnitude images: what noise does to weak signals, and a fit that knows it.

A magnitude M of true signal S and noise sigma has Rice's density M exp(-(M^2 + S^2) / 2) I_0(M S), in units of sigma:

    E M     = sqrt(pi / 2) exp(-t / 2) ((1 + t) I_0(t / 2) + t I_1(t / 2)),   t = S^2 / 2
    var M   = 2 + S^2 - (E M)^2
    E log M = log S + E_1(S^2 / 2) / 2
    E M^2   = S^2 + 2,   var M^2 = 4 S^2 + 4

The third line is why the weighted fit of logarithms is all but unbiased down to S = 2 (E_1(2) / 2 = .024) and sees a
floor below. There squares take over, which have no floor: Gauss-Newton steps on M^2 - 2, with its variance. Where every
signal is above, nothing changes.

Sources: Gudbjartsson and Patz, Magn. Reson. Med. 34 (1995) 910-914; Koay and Basser, J. Magn. Reson. 179 (2006)
317-322; Veraart et al., Magn. Reson. Med. 66 (2011) 678-686 and NeuroImage 81 (2013) 335-346 (iterated corrections).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.fit.scan import Fit, Scan
from mvnet.data_loaders.dti.fitting import normal_matrix, predict

CONCERNED = 2.0
"""Signal over sigma below which a voxel is fitted again."""

_LOG_FROM, _SQUARE_UP_TO = float(np.log(2.5)), float(np.log(1.5))  # log S / sigma of logarithms, and of squares
_STEPS = 6
_LONGEST = 1.0  # largest change of a predicted log signal in one step
_LOWEST = -4.0  # log S / sigma: nothing can be learnt below it
_WIDTH_OF_SIZE, _WIDTH_OF_SHAPE = 2.0, 0.7  # of the prior, over 1 / b: b D of tissue is about 1
_FAR = 8.0  # signal over sigma from which the first terms of the asymptotic series are exact to 1e-5


def magnitude_moments(ratio: Tensor) -> tuple[Tensor, Tensor]:
    """E M and var M at sigma = 1.

    Far above the floor the asymptotic series s + 1 / 2s + 1 / 8s^3 + 3 / 16s^5 and 1 - 1 / 2s^2 - 1 / 2s^4 serve, which
    do not cancel in float32.

    Args:
        ratio: s = S / sigma, any shape, not negative.
    Returns:
        two of its shape and dtype.
    """
    inverse = 1 / ratio.clamp_min(1)
    square = inverse * inverse
    mean = ratio + inverse * (0.5 + square * (0.125 + 0.1875 * square))
    variance = 1 - square * (0.5 + 0.5 * square)
    near = ratio < _FAR
    if near.any():
        s = ratio[near].double()
        half = s.square() / 4  # t / 2
        exact = (np.pi / 2) ** 0.5 * ((1 + 2 * half) * torch.special.i0e(half) + 2 * half * torch.special.i1e(half))
        mean[near], variance[near] = exact.to(mean), (2 + s.square() - exact.square()).to(mean)
    return mean, variance


def refit(
    signal: Tensor, log_s0: Tensor, tensors: Tensor, sigma: Tensor, design: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Gauss-Newton steps from a weighted least-squares fit, with the floor of magnitudes taken into account.

    Signals that sink into the floor say little about how far below it they are; a wide normal prior around the first
    fit keeps tensors from running away there.

    Args:
        signal: (n, M) positive magnitudes.
        log_s0, tensors: (n,) and (n, 6), where to start.
        sigma: (n,) > 0.
        design: (M, 7).
        weights: (n, M) in [0, 1], how much each value counts, or None.
    Returns:
        log S0 and tensors.
    """
    parameters = torch.cat([tensors, log_s0.unsqueeze(1)], 1)
    centre, precision = parameters, _precision(design)
    level = sigma.log().unsqueeze(1)
    measured = signal / sigma.unsqueeze(1)  # M / sigma
    for _ in range(_STEPS):
        eta = (parameters @ design.T - level).clamp(_LOWEST, 60)  # log S / sigma
        square = (2 * eta).exp()
        weak = ((_LOG_FROM - eta) / (_LOG_FROM - _SQUARE_UP_TO)).clamp(0, 1)  # 1: squares, 0: logarithms
        # residual of log S by either, and its inverse variance
        residual = torch.lerp(measured.log() - eta, ((measured.square() - 2) / square - 1) / 2, weak)
        certainty = square * torch.lerp(torch.ones_like(square), square / (square + 1), weak)
        if weights is not None:
            certainty = certainty * weights
        right = (certainty * residual) @ design + (centre - parameters) @ precision
        step = torch.linalg.solve_ex(normal_matrix(certainty, design) + precision, right)[0]
        change = (step @ design.T).abs().amax(1, keepdim=True)
        step = step * (_LONGEST / change.clamp_min(_LONGEST))
        parameters = parameters + torch.where(step.isfinite().all(1, keepdim=True), step, 0)
    return parameters[:, 6], parameters[:, :6]


def _precision(design: Tensor) -> Tensor:
    """(7, 7) of the prior of (D, log S0): a wide one for the trace, a narrower one for the anisotropic part."""
    b = -design[:, :3].sum(1)  # tr(b g g^T)
    b = b[b > b.max() / 20].mean()
    along = torch.zeros_like(design[0])
    along[:3] = 3**-0.5
    precision = torch.diag((b / _WIDTH_OF_SHAPE).square() * (torch.arange(7) < 6).to(design))
    return precision + ((b / _WIDTH_OF_SIZE).square() - (b / _WIDTH_OF_SHAPE).square()) * along.outer(along)


def information(tensors: Tensor, log_s0: Tensor, sigma: Tensor, design: Tensor) -> Tensor:
    """Inverse variance of the logarithm of every signal times (sigma / S0)^2, (n, M): (S / S0)^2 far above the floor.

    Args:
        tensors, log_s0, sigma: (n, 6), (n,) and (n,).
        design: (M, 7).
    """
    square = predict(tensors, torch.zeros_like(log_s0), design).square()  # (S / S0)^2
    floor = (sigma / log_s0.exp()).square().unsqueeze(1)
    return square * (square / (square + floor).clamp_min(torch.finfo(square.dtype).tiny))


def correct_floor(scan: Scan, fit: Fit, sigma: Tensor) -> int:
    """Fit again the voxels with signals near the floor.

    Args:
        scan, fit: the signals and their fit, which is brought up to date.
        sigma: (X, Y, Z) noise level, 0 where unknown.
    Returns:
        the number of voxels fitted again.
    """
    count = 0
    for z in scan.slices if scan.freedom else ():  # seven volumes cannot tell the floor from the tensor
        voxels = scan.read(z, z + 1)
        log_s0, tensors = fit.get(z, voxels.here)
        level = sigma[:, :, z : z + 1][voxels.here].double()
        predicted = predict(tensors, log_s0, scan.design)
        low = (predicted < CONCERNED * level.unsqueeze(1)) & (log_s0.exp() > level).unsqueeze(1)  # NaN compares false
        if voxels.weights is not None:
            low &= voxels.weights > 0
        rows = low.any(1) & voxels.known & (level > 0)
        if not rows.any():
            continue
        counts = None if voxels.weights is None else voxels.weights[rows]
        found = refit(voxels.signal[rows], log_s0[rows], tensors[rows], level[rows], scan.design, counts)
        log_s0[rows], tensors[rows] = found
        fit.put(z, voxels.here, log_s0, tensors)
        count += int(rows.sum())
    return count
