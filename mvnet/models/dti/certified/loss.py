"""The objective of the certified denoiser: that of the other one, and rounds that vary smoothly in time.

The steps of the rounds are learned on a simplex (paper eq. 39): they are projected before every evaluation, so that a
round whose step is 0 can be dropped. The H1 norm in time of the rounds' parameters is paper eq. 37.
"""

from __future__ import annotations

from torch import Tensor

from mvnet.control.regularisers import h1, over_layers
from mvnet.data_loaders.dti.training.pairs import PatchMaps
from mvnet.models.dti.certified.network import CertifiedDenoiser
from mvnet.models.dti.inputs import training_planes
from mvnet.models.dti.loss import tensor_loss

_SMOOTHNESS = 1e-5  # weight of the H1 norm


def certified_loss(
    model: CertifiedDenoiser, noisy: Tensor, target: Tensor, mask: Tensor, maps: PatchMaps
) -> tuple[Tensor, dict[str, float]]:
    """Loss of a batch of `mvnet.data_loaders.dti.training.pairs.TrainingPair`, and the figures for the log.

    Args:
        model: on any device; the batch is moved there, its steps are projected on their simplex.
        noisy, target: (B, 6, D, H, W) Mandel, um^2/ms.
        mask: (B, D, H, W) bool.
        maps: maps of the acquisition, batched.
    Returns:
        the loss (), dimensionless; "loss", "error_ratio", mean distance of the output over that of the input, and
        "rounds", the number of those whose step is not 0.
    """
    device = next(model.parameters()).device
    model.steps.project_()
    noisy, target, mask = noisy.to(device), target.to(device), mask.to(device)
    features = training_planes(mask, PatchMaps(*(tensor.to(device) for tensor in maps)))
    tensors = model(noisy, features)
    loss, _, share = tensor_loss(tensors, noisy, target, features[:, 0])
    smooth = _SMOOTHNESS * h1(over_layers(model.rounds), duration=model.steps.total)
    figures = {"loss": float(loss.detach()), "error_ratio": share, "rounds": float(len(model.steps.active_layers()))}
    return loss + smooth, figures
