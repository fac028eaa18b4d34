"""ARCHITECTURES: name -> network and the measure of its guarantees. A new network is one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from mvnet.errors import MvnetError
from mvnet.models.activity.guarantees import verify_motion
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


class Architecture(NamedTuple):
    """A network class and its guarantees.

    Args:
        network: made from keyword arguments that its attribute `config` repeats as JSON.
        guarantees: (network, seed) -> what it guarantees, measured.
    """

    network: type[nn.Module]
    guarantees: Callable[..., list[Guarantee]]


ARCHITECTURES: dict[str, Architecture] = {
    "DTIDenoiser": Architecture(DTIDenoiser, verify_dti),
    "DTIPosterior": Architecture(DTIPosterior, verify_posterior),
    "CertifiedDenoiser": Architecture(CertifiedDenoiser, verify_certified),
    "InSARDenoiser": Architecture(InSARDenoiser, verify_insar),
    "InSARPosterior": Architecture(InSARPosterior, verify_insar_posterior),
    "LieMotionNetwork": Architecture(LieMotionNetwork, verify_motion),
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
