"""The objective of the DTI denoiser: distances to the target, each relative to that of the noisy input.

    loss = rho(d_AI) + w_A rho(|A - A*|) + w_FA rho(|FA - FA*|),    rho(d) = mean c^2 ( sqrt(1 + (d / c r)^2) - 1 )

d_AI is the affine-invariant distance of prediction and target (paper section 2.3, sum of geodesic distances), A the
anisotropy, whose norm is the FA: size, principal direction and FA each enter a term. r is the root-mean-square of the
same quantity between input and target over the patch, so that a clean scan and a noisy one have equal weight; rho is
quadratic for errors up to c times the noise and linear for outliers. The error head s minimises  log s + d_AI / s,
whose minimum is the conditional mean of d_AI.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.data_loaders.dti.training.pairs import PatchMaps
from mvnet.manifolds import SPDField
from mvnet.metrics import anisotropy_error, fractional_anisotropy
from mvnet.models.dti.inputs import training_planes
from mvnet.models.dti.network import DTIDenoiser

_SPD = SPDField()
_ANISOTROPY, _FA = 0.5, 0.5  # w_A and w_FA
_OUTLIER = 1.0  # c: errors above c times the patch noise r count as outliers
_SMALLEST_NOISE, _SMALLEST_FA_NOISE = 0.05, 0.005  # bounds of the patch noise r: finite for a perfect input


def relative_loss(distance: Tensor, noise: Tensor, mask: Tensor, smallest: float = _SMALLEST_NOISE) -> Tensor:
    """Mean over masked voxels, then over samples, of c^2 (sqrt(1 + (d / c r)^2) - 1).

    Args:
        distance: (B, D, H, W) distance of the prediction to the target.
        noise: (B, D, H, W) distance of the input to the target.
        mask: (B, D, H, W) in {0, 1}.
        smallest: lower bound of the patch noise r.
    Returns:
        loss (), dimensionless.
    """
    count = mask.sum((1, 2, 3)).clamp_min(1)
    r2 = ((noise.square() * mask).sum((1, 2, 3)) / count).clamp_min(smallest**2)
    robust = _OUTLIER**2 * ((1 + distance.square() / (_OUTLIER**2 * r2[:, None, None, None])).sqrt() - 1)
    return ((robust * mask).sum((1, 2, 3)) / count).mean()


def denoising_loss(
    model: DTIDenoiser, noisy: Tensor, target: Tensor, mask: Tensor, maps: PatchMaps
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch of `mvnet.data_loaders.dti.training.pairs.TrainingPair`, and the figures for the log.

    Args:
        model: on any device; the batch is moved there.
        noisy, target: (B, 6, D, H, W) Mandel, um^2/ms.
        mask: (B, D, H, W) bool.
        maps: maps of the acquisition, batched.
    Returns:
        the loss (), dimensionless; "loss" and "error_ratio", mean distance of the output over that of the input.
    """
    device = next(model.parameters()).device
    noisy, target, mask = noisy.to(device), target.to(device), mask.to(device)
    features = training_planes(mask, PatchMaps(*(tensor.to(device) for tensor in maps)))
    mask = features[:, 0]
    out = model(noisy, features)
    distance = _SPD.dist(out.tensors, target)
    with torch.no_grad():
        noise = _SPD.dist(noisy, target)
    loss = relative_loss(distance, noise, mask)
    for weight, error in ((_ANISOTROPY, anisotropy_error), (_FA, _fa_error)):
        with torch.no_grad():
            noise_of_it = error(noisy, target)
        loss = loss + weight * relative_loss(error(out.tensors, target), noise_of_it, mask, _SMALLEST_FA_NOISE)
    log_error = out.log_error[:, 0]
    calibration = ((log_error + distance.detach() * (-log_error).exp()) * mask).sum() / mask.sum().clamp_min(1)
    share = float((distance.detach() * mask).sum() / (noise * mask).sum().clamp_min(1e-12))
    return loss + 0.1 * calibration, {"loss": float(loss.detach()), "error_ratio": share}


def _fa_error(x: Tensor, y: Tensor) -> Tensor:
    return (fractional_anisotropy(x) - fractional_anisotropy(y)).abs()
