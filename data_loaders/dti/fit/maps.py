"""What a fit says of its own error: noise level, residual, and the covariance of the tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.fit.noise_level import NoiseLevel, pool_variance, residual_square
from mvnet.data_loaders.dti.fit.rician import information
from mvnet.data_loaders.dti.fit.scan import Fit, Scan
from mvnet.data_loaders.dti.fitting import expected_error, predict, tensor_covariance

_UPPER = torch.triu_indices(6, 6)


@dataclass(frozen=True)
class FitError:
    """Maps (X, Y, Z), 0 where nothing is known.

    sigma: standard deviation of the signal noise.
    residual: root-mean-square residual over sigma.
    deviation: standard deviation of a tensor component, um^2/ms.
    known: bool, where there is a fit.
    covariance: for every slab its own slices and the upper triangles (n, 21) of the covariance of its tensors.
    """

    sigma: Tensor
    residual: Tensor
    deviation: Tensor
    known: Tensor
    covariance: list[tuple[slice, Tensor]]

    def noise(self, tensors: Tensor) -> Tensor:
        """(X, Y, Z) expected affine-invariant error per Mandel component of positive definite tensors (6, X, Y, Z)."""
        out = torch.zeros(self.known.shape)
        for slices, upper in self.covariance:
            here = self.known[:, :, slices]
            full = upper.new_zeros(len(upper), 6, 6)
            full[:, _UPPER[0], _UPPER[1]] = upper
            full[:, _UPPER[1], _UPPER[0]] = upper
            out[:, :, slices][here] = expected_error(full, tensors[:, :, :, slices][:, here].T)
        return out


def measure_error(scan: Scan, fit: Fit, known: Tensor, level: NoiseLevel, magnitudes: bool = True) -> FitError:
    """The error of a fit at a noise level; a level that came from residuals is taken again from those of this fit.

    Args:
        scan, fit: the signals and their fit.
        known: (X, Y, Z) bool, the voxels with a fit.
        level: of `estimate_noise`.
        magnitudes: whether the signals have a floor, see `mvnet.data_loaders.dti.fit.rician`.
    """
    sigma, residual, deviation = (torch.zeros(known.shape) for _ in range(3))
    covariance, design = [], scan.design.float()
    for slab in scan.slabs():
        voxels = scan.read(slab.low, slab.high, np.float32)
        inside = known[:, :, slab.low : slab.high] & voxels.here
        rows = inside[voxels.here]
        log_s0, tensors = (x[rows].float() for x in fit.get(slab.low, voxels.here))
        weights = torch.ones(()) if voxels.weights is None else voxels.weights[rows]
        here = level.sigma[:, :, slab.low : slab.high]
        square, freedom = residual_square(
            voxels.signal[rows],
            predict(tensors, log_s0, design),
            weights,
            design.shape[1],
            here[inside] if magnitudes else None,
        )
        if level.source == "residual":
            here = pool_variance(square, freedom, inside).maximum(level.smallest * inside)
        # the slab's own slices
        keep = slice(slab.start, slab.stop)
        mine = torch.zeros_like(inside)
        mine[:, :, slab.inner] = inside[:, :, slab.inner]
        own = mine[inside]
        level_, log_s0, tensors = here[mine], log_s0[own], tensors[own]
        certain = information(tensors, log_s0, level_ if magnitudes else 0 * level_, design) * (
            weights[own] if weights.ndim else weights
        )
        found = tensor_covariance(certain, design) * (level_ / log_s0.exp()).square()[:, None, None]
        covariance.append((keep, found[:, _UPPER[0], _UPPER[1]]))
        sigma[:, :, keep][mine[:, :, slab.inner]] = level_
        deviation[:, :, keep][mine[:, :, slab.inner]] = (found.diagonal(dim1=1, dim2=2).sum(1) / 6).clamp_min(0).sqrt()
        if scan.freedom > 0:
            rest = (square[own] / freedom[own].clamp_min(1e-6)).sqrt() / level_.clamp_min(
                torch.finfo(level_.dtype).tiny
            )
            residual[:, :, keep][mine[:, :, slab.inner]] = rest
    return FitError(sigma, residual, deviation, known, covariance)
