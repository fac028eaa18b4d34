"""Every network on a small input: what loading a checkpoint tries before it hands a network out."""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.linalg import so3, sym3
from mvnet.models.activity.lie.network import BodyMotionNetwork
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.dti.certified.network import CertifiedDenoiser
from mvnet.models.dti.inputs import feature_planes
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.posterior.inputs import head_inputs
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.models.insar.inputs import interferogram_planes, scalar_planes
from mvnet.models.insar.network import InSARDenoiser
from mvnet.models.insar.posterior.network import InSARPosterior
from mvnet.models.motion.inputs import curve_batch
from mvnet.models.motion.network import MotionDenoiser

_SIDE, _FRAMES, _SAMPLES = 3, 8, 5


def try_tensors(model: DTIDenoiser | CertifiedDenoiser) -> list[Tensor]:
    """Denoise a few tensors.

    Args:
        model: on the CPU.
    Returns:
        what it predicts.
    """
    found = model(*_tensors_and_features(_random()))
    return [found] if isinstance(found, Tensor) else [part for part in found if part is not None]


def try_tensor_posterior(head: DTIPosterior) -> list[Tensor]:
    """Sample the laws of a few voxels, and ask for the density of the samples.

    Args:
        head: on the CPU.
    Returns:
        the parameters of the laws, the samples, their log-densities, and the filter of the noise.
    """
    random = _random()
    tensors, features = _tensors_and_features(random)
    planes = torch.zeros(1, 1, _SIDE, _SIDE, _SIDE)
    trunk = torch.randn(1, head.trunk_channels, _SIDE, _SIDE, _SIDE, generator=random)
    parameters = head(head_inputs(trunk, tensors, tensors, features, planes - 1, planes[:, 0]), planes - 1, planes)
    law = head.laws(parameters[0].flatten(1))
    samples = head.push(law, torch.randn(6, _SAMPLES, parameters[0, 0].numel(), generator=random))
    return [parameters, samples, head.log_density(law, samples[:, 0]), head.taps / head.taps.norm()]


def try_interferogram(model: InSARDenoiser) -> list[Tensor]:
    """Denoise a few pixels.

    Args:
        model: on the CPU.
    Returns:
        phase and logarithm of its concentration.
    """
    side = 2 * model.alignment
    z = torch.randn(side, side, generator=_random(), dtype=torch.complex64)
    valid = torch.ones(side, side, dtype=torch.bool)
    found = model(interferogram_planes(z, valid)[None], scalar_planes(valid)[None])
    return [found.phase, found.log_concentration]


def try_phase_posterior(head: InSARPosterior) -> list[Tensor]:
    """Filter noise, and mix the filters at every node of the bank.

    Args:
        head: on the CPU.
    Returns:
        the filtered noise, and the share of each filter.
    """
    side = 2 * head.margin + _SIDE
    axes = (head.config[name] for name in ("log_concentrations", "frequencies", "log_gains"))
    nodes = torch.cartesian_prod(*(torch.tensor(axis, dtype=torch.float32) for axis in axes)).unbind(-1)
    shares = [head.place(*nodes, correlation=value) for value in head.config["correlations"]]
    return [head.correlate(torch.randn(side, side, generator=_random())), *shares]


def try_curves(model: LieMotionNetwork) -> list[Tensor]:
    """Classify a few curves.

    Args:
        model: on the CPU.
    Returns:
        the scores.
    """
    return [model(so3.exp(torch.randn(2, _FRAMES, model.config["joints"], 3, generator=_random()) / 4))]


def try_body(model: BodyMotionNetwork) -> list[Tensor]:
    """Classify a few curves.

    Args:
        model: on the CPU.
    Returns:
        the scores, and the embeddings of training curves.
    """
    random = _random()
    r = so3.exp(torch.randn(2, _FRAMES, model.config["joints"], 3, generator=random) / 4)
    return [model(r, torch.randn(2, _FRAMES, model.config["vectors"], generator=random)), model.reference]


def try_motion(model: MotionDenoiser) -> list[Tensor]:
    """Denoise a few rotations.

    Args:
        model: on the CPU.
    Returns:
        rotations, logs of their errors, and trust.
    """
    curves = so3.exp(torch.randn(1, 2, _FRAMES, 3, generator=_random()) / 4)
    found = model(curve_batch(curves, torch.ones(curves.shape[:3], dtype=torch.bool), torch.tensor([[-1, 0]])))
    return [found.values, found.log_error, found.trust]


def _random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _tensors_and_features(random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tensors (1, 6, ...) and the other planes (1, 12, ...) of a scan whose noise is known."""
    shape = (_SIDE,) * 3
    tensors = 0.75 * sym3.exp(0.3 * torch.randn(1, 6, *shape, generator=random))
    b0, noise, residual, ratio = 0.5 + torch.rand(4, *shape, generator=random)
    mask = torch.ones(shape, dtype=torch.bool)
    return tensors, feature_planes(mask, b0, 0.1 * noise, residual, size_ratio=ratio)[None]
