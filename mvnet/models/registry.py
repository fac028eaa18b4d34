"""ARCHITECTURES: name -> network, the measure of its guarantees, and its trial. A new network is one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.models.activity.guarantees import verify_motion
from mvnet.models.activity.lie.guarantees import verify_body
from mvnet.models.activity.lie.network import BodyMotionNetwork
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.dti.certified.guarantees import verify_certified
from mvnet.models.dti.certified.network import CertifiedDenoiser
from mvnet.models.dti.guarantees import verify_dti
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.posterior.guarantees import verify_posterior
from mvnet.models.dti.posterior.network import DTIPosterior
from mvnet.models.guarantee import Guarantee
from mvnet.models.insar.guarantees import verify_insar
from mvnet.models.insar.network import InSARDenoiser
from mvnet.models.insar.posterior.guarantees import verify_posterior as verify_insar_posterior
from mvnet.models.insar.posterior.network import InSARPosterior
from mvnet.models.motion.guarantees import verify_denoiser
from mvnet.models.motion.network import MotionDenoiser
from mvnet.models.trials import (
    try_body,
    try_curves,
    try_interferogram,
    try_motion,
    try_phase_posterior,
    try_tensor_posterior,
    try_tensors,
)


class Architecture(NamedTuple):
    """A network class and its guarantees.

    Args:
        network: made from keyword arguments that its attribute `config` repeats as JSON.
        guarantees: (network, seed) -> what it guarantees, measured.
        trial: network -> what it predicts for a small input.
    """

    network: type[nn.Module]
    guarantees: Callable[..., list[Guarantee]]
    trial: Callable[..., list[Tensor]]


ARCHITECTURES: dict[str, Architecture] = {
    "DTIDenoiser": Architecture(DTIDenoiser, verify_dti, try_tensors),
    "DTIPosterior": Architecture(DTIPosterior, verify_posterior, try_tensor_posterior),
    "CertifiedDenoiser": Architecture(CertifiedDenoiser, verify_certified, try_tensors),
    "InSARDenoiser": Architecture(InSARDenoiser, verify_insar, try_interferogram),
    "InSARPosterior": Architecture(InSARPosterior, verify_insar_posterior, try_phase_posterior),
    "MotionDenoiser": Architecture(MotionDenoiser, verify_denoiser, try_motion),
    "BodyMotionNetwork": Architecture(BodyMotionNetwork, verify_body, try_body),
    "LieMotionNetwork": Architecture(LieMotionNetwork, verify_motion, try_curves),
}
"""By the name that checkpoints hold."""


def verify(model: nn.Module, seed: int = 0) -> list[Guarantee]:
    """Measure the guarantees of a model.

    Args:
        model: as `load_checkpoint` returns it; its dtype is restored.
        seed: random seed of the data.
    Returns:
        value and limit of every guarantee.
    Raises:
        MvnetError: the architecture is unknown.
    """
    for architecture in ARCHITECTURES.values():
        if isinstance(model, architecture.network):
            return architecture.guarantees(model, seed)
    raise MvnetError(f"model: found a {type(model).__name__}, expected one of {', '.join(ARCHITECTURES)}")
