"""The objective of the DTI denoiser: affine-invariant distance, measured against what the noise was.

With d = d_AI(prediction, target) per voxel and r the root-mean-square of d_AI(noisy, target) over the patch,

    loss = mean c^2 ( sqrt(1 + (d / c r)^2) - 1 ),  c = 1

quadratic for errors up to a few times the noise, linear for outliers, free of the noise level,

so that a clean scan and a noisy one weigh the same. The error head s minimises  log s + d / s, whose minimum is the
conditional mean of d. Paper section 2.3 (sum of geodesic distances).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.linalg import affine_invariant
from mvnet.models.dti import DTIDenoiser

_OUTLIER = 1.0  # c: an error of so many times the patch noise r counts as an outlier
_SMALLEST_NOISE = 0.05  # of the patch noise r: a perfect input must not blow the loss up


def relative_loss(distance: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
    """Mean over masked voxels, then over samples, of c^2 (sqrt(1 + (d / c r)^2) - 1).

    Args:
        distance: (B, D, H, W) distance of the prediction to the target.
        noise: (B, D, H, W) distance of the input to the target.
        mask: (B, D, H, W) in {0, 1}.
    """
    count = mask.sum((1, 2, 3)).clamp_min(1)
    r2 = ((noise.square() * mask).sum((1, 2, 3)) / count).clamp_min(_SMALLEST_NOISE**2)
    robust = _OUTLIER**2 * ((1 + distance.square() / (_OUTLIER**2 * r2[:, None, None, None])).sqrt() - 1)
    return ((robust * mask).sum((1, 2, 3)) / count).mean()


def denoising_loss(
    model: DTIDenoiser, noisy: Tensor, target: Tensor, features: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch and the figures worth a log line.

    Args:
        noisy, target: (B, 6, D, H, W) um^2/ms.
        features: (B, 11, D, H, W).
    """
    mask = features[:, 0]
    out = model(noisy, features)
    distance = affine_invariant.dist(out.tensors, target)
    with torch.no_grad():
        noise = affine_invariant.dist(noisy, target)
    loss = relative_loss(distance, noise, mask)
    log_error = out.log_error[:, 0]
    calibration = ((log_error + distance.detach() * (-log_error).exp()) * mask).sum() / mask.sum().clamp_min(1)
    share = float((distance.detach() * mask).sum() / (noise * mask).sum().clamp_min(1e-12))
    return loss + 0.1 * calibration, {"loss": float(loss.detach()), "error_ratio": share}
