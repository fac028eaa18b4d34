"""What the head of the posterior reads beside the features of the trunk, field by field."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.equivariant import rms_squash
from mvnet.models.dti.inputs import TYPICAL_NOISE
from mvnet.models.dti.network import SCALARS, centred_log
from mvnet.models.dti.uncertainty import CHI_MEAN

TENSORS = 2
"""Symmetric tensors: log z, and the log of the input minus log z over the expected deviation."""

NUMBERS = len(SCALARS) + 5
"""Scalars: those of the denoiser, the log of its expected error, the logs of the noise of size and of shape, and the
noise of the reference, alone and against the expected error."""

_FARTHEST = 6.0  # deviations, towards which the change by denoising saturates
_REFERENCE = 0.05
_ALL, _SHAPE = 6, 5  # components
_LARGEST = 5.9  # of the squared ratio of the noise of the size, which is one of six


def log_deviation(log_error: Tensor) -> Tensor:
    """Deviation of one component from the log of the expected distance of six.

    Args:
        log_error: any shape.
    Returns:
        same shape, logarithms.
    """
    return log_error - math.log(CHI_MEAN)


def head_inputs(h: Tensor, z: Tensor, noisy: Tensor, features: Tensor, log_error: Tensor, reference: Tensor) -> Tensor:
    """The planes of the head: trunk, then `TENSORS` fields of six, then `NUMBERS`.

    Args:
        h: (B, C, D, H, W), features of the trunk.
        z: (B, 6, D, H, W) denoised tensors over their scale, Mandel.
        noisy: (B, 6, D, H, W) input of the denoiser.
        features: (B, 12, D, H, W), its other planes.
        log_error: (B, 1, D, H, W) of the denoiser.
        reference: (B, D, H, W), affine-invariant noise per component of what the posterior is about; 0 for the truth.
    Returns:
        (B, C + 6 TENSORS + NUMBERS, D, H, W).
    """
    logs, deviation = centred_log(z), log_deviation(log_error).exp()
    change = (centred_log(noisy) - logs) / deviation
    change = change * (1 + change.square().sum(1, keepdim=True) / _FARTHEST**2).rsqrt()
    scalars, ratio = features[:, : len(SCALARS)], features[:, -1:].exp()
    # noise per component n, ratio r:  size r n, shape sqrt((6 - r^2) / 5) n, where they are known
    log_noise, known = features[:, 3:4], (features[:, 3:4] != 0).to(features)
    rest = ((_ALL - ratio.square().clamp_max(_LARGEST)) / _SHAPE).log() / 2
    noise = torch.cat((log_noise + ratio.log(), log_noise + rest * known), 1)
    given = reference.unsqueeze(1)
    against = torch.cat(((given / _REFERENCE).log1p(), (given / deviation).square().log1p()), 1)
    expected = log_deviation(log_error) - math.log(TYPICAL_NOISE)
    return torch.cat([rms_squash(h), logs, change, scalars, expected, noise, against], 1)
