"""The objective of the denoiser of interferograms: geodesic distance on the circle, and its von Mises likelihood.

With e = wrap(prediction - truth) and the predicted concentration kappa of e,

    loss = mean [ log I_0(kappa) - kappa cos e ]  +  mean e^2  +  mean over the filters of (1 - Re u conj u_true)

The first term is the von Mises negative log-likelihood up to a constant: for given errors it is smallest where kappa
is their concentration, I_1(kappa) / I_0(kappa) = E cos e, and it weights every pixel by its uncertainty. The
second is the squared geodesic distance (paper section 2.3). u = z' / |z'| after a connection filter.
Source: Mardia and Jupp, Directional statistics (2000), section 3.5.4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.data_loaders.insar.training.dataset import PhaseMaps
from mvnet.losses import manifold_loss
from mvnet.manifolds import Circle
from mvnet.models.insar.inputs import interferogram_planes, noise_features, scalar_planes
from mvnet.models.insar.network import InSARDenoiser
from mvnet.ranks import mean_count

_DISTANCE, _FILTERED = 1.0, 0.3  # weights of the second and of the third term
_EPS = 1e-3  # |z'| below which its phase is ignored


def von_mises_nll(error: Tensor, log_concentration: Tensor) -> Tensor:
    """log I_0(kappa) - kappa cos e, without the constant log 2 pi.

    As log(I_0(kappa) e^-kappa) + 2 kappa sin^2(e / 2), which does not overflow.

    Args:
        error: e, radians.
        log_concentration: log kappa, same shape.
    Returns:
        same shape.
    """
    kappa = log_concentration.exp()
    return torch.special.i0e(kappa).log() + 2 * kappa * (error / 2).sin().square()


def mean_over(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid pixels.

    Args:
        values: (B, H, W).
        valid: (B, H, W), in {0, 1}.
    Returns:
        (), 0 without a valid pixel.
    """
    return (values * valid).sum() / mean_count(valid.sum())


def phase_loss(
    model: InSARDenoiser, noisy: Tensor, target: Tensor, mask: Tensor, maps: PhaseMaps
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch of `mvnet.data_loaders.insar.training.dataset.TrainingPair`, and the figures for the log.

    Args:
        model: on any device; the batch is moved there.
        noisy: (B, H, W) complex interferograms.
        target: (B, H, W), the true phase in radians, wrapped or not.
        mask: (B, H, W) bool, pixels that hold data.
        maps: of what is known beside the interferograms, batched.
    Returns:
        the loss (), and "loss" and "rmse", the root-mean-square phase error in radians.
    """
    device = next(model.parameters()).device
    noisy, phase, mask, coherence = (x.to(device) for x in (noisy, target, mask, maps.coherence))
    planes = interferogram_planes(noisy, mask)
    features = scalar_planes(mask, coherence, planes.dtype)
    valid = features[:, 0]
    noise = noise_features(maps.correlation.to(device), maps.looks.to(device))
    out = model(planes, features, noise)
    loss = mean_over(von_mises_nll(out.phase - phase, out.log_concentration), valid)
    squared = mean_over(manifold_loss(out.phase, phase, Circle(), kind="squared", reduction="none"), valid)
    loss = loss + _DISTANCE * squared
    direction = torch.stack([phase.cos(), phase.sin()], 1)
    for filtered in out.filtered:
        modulus = (filtered.square().sum(1) + _EPS**2).sqrt()
        loss = loss + _FILTERED * mean_over(1 - (filtered * direction).sum(1) / modulus, valid)
    rmse = float(squared.detach().sqrt())
    return loss, {"loss": float(loss.detach()), "rmse": rmse}
