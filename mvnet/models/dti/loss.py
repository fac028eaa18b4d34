"""The objective of the DTI denoiser: distances to the target, each relative to that of the noisy input.

    loss = rho(d_AI) + w_A rho(|A - A*|) + w_FA rho(|FA - FA*|),    rho(d) = mean c^2 ( sqrt(1 + (d / c r)^2) - 1 )

d_AI is the affine-invariant distance of prediction and target (paper section 2.3, sum of geodesic distances), A the
anisotropy, whose norm is the FA: size, principal direction and FA each enter a term. r is the root-mean-square of the
same quantity between input and target over the patch, so that a clean scan and a noisy one have equal weight; rho is
quadratic for errors up to c times the noise and linear for outliers. The error head s minimises  log s + d_AI / s,
whose minimum is the conditional mean of d_AI, and so do those of the errors of FA and MD.

The prediction is what is left of the network's proposal in the trust region of the input (`mvnet.nn.trust_region`):
the network is not asked to keep a lesion that the region keeps for it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.data_loaders.dti.training.pairs import PatchMaps
from mvnet.manifolds import SPDField
from mvnet.metrics import anisotropy_error, fractional_anisotropy, mean_diffusivity
from mvnet.models.dti.inputs import training_planes
from mvnet.models.dti.network import DenoisedField, DTIDenoiser
from mvnet.models.dti.uncertainty import CHI_MEAN, blend_log_error, tensor_sigma
from mvnet.nn.trust_region import TRUST_REGION, chi_quantile, share_kept
from mvnet.ranks import mean_count

_SPD = SPDField()
_ANISOTROPY, _FA = 0.5, 0.5  # w_A and w_FA
_OUTLIER = 1.0  # c: errors above c times the patch noise r count as outliers
_SMALLEST_NOISE, _SMALLEST_FA_NOISE = 0.02, 0.002  # bounds of the patch noise r: finite for a perfect input


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
    noise_level = maps.noise.to(noisy) * maps.available.to(noisy).view(-1, 1, 1, 1) * mask
    proposal = model(noisy, features)
    tensors, kept = keep_trusted(noisy, proposal.tensors, noise_level)
    loss, distance, share = tensor_loss(tensors, noisy, target, mask)
    calibration = calibration_loss(proposal, tensors.detach(), target, distance, mask, noise_level, kept)
    return loss + 0.1 * calibration, {"loss": float(loss.detach()), "error_ratio": share}


def tensor_loss(tensors: Tensor, noisy: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, float]:
    """The formula of the module without the error heads.

    Args:
        tensors, noisy, target: (B, 6, D, H, W) Mandel, um^2/ms.
        mask: (B, D, H, W) in {0, 1}.
    Returns:
        the loss (), the affine-invariant distance (B, D, H, W) to the target, detached, and its mean over that of the
        input.
    """
    distance = _SPD.dist(tensors, target)
    with torch.no_grad():
        noise = _SPD.dist(noisy, target)
    loss = relative_loss(distance, noise, mask)
    for weight, error in ((_ANISOTROPY, anisotropy_error), (_FA, _fa_error)):
        with torch.no_grad():
            noise_of_it = error(noisy, target)
        loss = loss + weight * relative_loss(error(tensors, target), noise_of_it, mask, _SMALLEST_FA_NOISE)
    distance = distance.detach()
    return loss, distance, float((distance * mask).sum() / (noise * mask).sum().clamp_min(1e-12))


def keep_trusted(noisy: Tensor, proposed: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The proposal in the 99 % trust region of the input, and the share t of the way to it; no gradient through t.

    Args:
        noisy, proposed: (B, 6, D, H, W) Mandel, positive definite.
        noise: (B, D, H, W) per component, 0 where unknown.
    Returns:
        tensors (B, 6, D, H, W) and t (B, D, H, W).
    """
    with torch.no_grad():
        known = noise > 0
        away = _SPD.dist(noisy, proposed) / torch.where(known, noise, 1.0)
        kept = torch.where(known, share_kept(away, chi_quantile(TRUST_REGION)), 1.0)
    return _SPD.geodesic(noisy, proposed, kept), kept


def calibration_loss(
    proposal: DenoisedField,
    tensors: Tensor,
    target: Tensor,
    distance: Tensor,
    mask: Tensor,
    noise: Tensor,
    kept: Tensor,
) -> Tensor:
    """Mean over masked voxels of log s + d / s, of the distance to the target and of the errors of FA and MD.

    Args:
        proposal: of the network.
        tensors: (B, 6, D, H, W) Mandel, what is left of it; no gradient.
        target: (B, 6, D, H, W) Mandel.
        distance: (B, D, H, W), affine-invariant, of the two; no gradient.
        mask: (B, D, H, W) in {0, 1}.
        noise: (B, D, H, W) of the input per component, 0 where unknown.
        kept: (B, D, H, W), share of the way to the proposal.
    Returns:
        the loss ().
    """
    log_error = blend_log_error(proposal.log_error[:, 0], noise, kept)
    inside = mask > 0
    terms = [(log_error[inside], distance[inside])]
    if proposal.log_spread is not None:
        component = (log_error.detach()[inside] - math.log(CHI_MEAN)).exp()
        sigmas = tensor_sigma(tensors.movedim(1, 0)[:, inside], component)
        errors = (
            _fa_error(tensors, target)[inside],
            (mean_diffusivity(tensors) - mean_diffusivity(target)).abs()[inside],
        )
        spread = kept[inside] * proposal.log_spread.movedim(1, 0)[:, inside]
        # sigma is that of a normal error, whose mean is sqrt(2/pi) sigma
        terms += [
            ((sigma * (2 / math.pi) ** 0.5).clamp_min(1e-6).log() + log, error)
            for sigma, log, error in zip(sigmas, spread, errors, strict=True)
        ]
    total = sum(((log_s + d * (-log_s).exp()).sum() for log_s, d in terms), log_error.new_zeros(()))
    return total / (len(terms) * mean_count(mask.sum()))


def _fa_error(x: Tensor, y: Tensor) -> Tensor:
    return (fractional_anisotropy(x) - fractional_anisotropy(y)).abs()
