"""The covariance of a fitted tensor, from the noise of its signals.

A signal S_m = S0 exp(-b_m g_m^T D g_m) with noise sigma, s = S_m / sigma, says s^4 / (s^2 + 1) about its logarithm: s^2
well above the floor of magnitudes, and nothing below. The information on (D, log S0) is A^T diag(s^4 / (s^2 + 1)) A, A
the design matrix; eliminating log S0 leaves the inverse covariance of D,

    C^-1 = I_DD - I_Ds I_ss^-1 I_sD
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.dti.fitting import expected_error, normal_matrix, tensor_covariance
from mvnet.linalg import sym3


class SignalNoise(NamedTuple):
    """What the covariance of a volume of fitted tensors follows from.

    snr: (X, Y, Z) signal without weighting over the noise of one signal, 0 where unknown.
    design: (M, 7) of the volumes fitted.
    """

    snr: Tensor
    design: Tensor


def tensor_precision(tensors: Tensor, snr: Tensor, design: Tensor) -> Tensor:
    """Inverse covariance of fitted tensors.

    Args:
        tensors: (n, 6) Mandel, um^2/ms.
        snr: (n,) S0 over sigma.
        design: (M, 7) of `mvnet.data_loaders.dti.fitting.design_matrix`.
    Returns:
        (n, 6, 6) in (ms/um^2)^2; zero where `snr` is.
    Source: Salvador et al., Human Brain Mapping 24 (2005) 144-155.
    """
    log_snr = snr.clamp_min(torch.finfo(snr.dtype).tiny).log()
    square = (2 * (tensors @ design[:, :6].T + log_snr.unsqueeze(1)).clamp(-20, 40)).exp()  # s^2
    information = normal_matrix(square * square / (square + 1), design)
    cross, alone = information[:, :6, 6:], information[:, 6:, 6:]
    rest = information[:, :6, :6] - cross @ cross.mT / alone.clamp_min(torch.finfo(alone.dtype).tiny)
    return torch.where((snr > 0)[:, None, None], rest, 0.0)


def size_noise_ratio(tensors: Tensor, design: Tensor) -> Tensor:
    """Affine-invariant noise of a tensor's size, over its noise per component.

    The size is the direction D itself, along which all eigenvalues grow alike. It carries the noise of the images
    without weighting, often one; the shape does not. With d the planes of D^-1 and G the metric at D,

        ratio^2 = (d^T C d / 3) / (tr(G C) / 6)

    Args:
        tensors: (n, 6) Mandel, um^2/ms, positive definite.
        design: (M, 7), M >= 7.
    Returns:
        (n,), 1 where all components are alike.
    """
    relative = (tensors @ design[:, :6].T).clamp(-80, 80).exp()  # S / S0
    covariance = tensor_covariance(relative.square(), design)
    inverse = sym3.pack(torch.linalg.inv(sym3.unpack(tensors)))
    size = torch.einsum("na,nab,nb->n", inverse, covariance, inverse) / 3
    whole = expected_error(covariance, tensors)
    return size.clamp_min(0).sqrt() / whole.clamp_min(torch.finfo(whole.dtype).tiny)
