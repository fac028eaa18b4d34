"""ARCHITECTURES: name -> network and what it guarantees. A new network is one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from mvnet.errors import MvnetError
from mvnet.models.activity.guarantees import verify_motion
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.dti.guarantees import verify_dti
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.guarantee import Guarantee
from mvnet.models.insar.guarantees import verify_insar
from mvnet.models.insar.network import InSARDenoiser


class Architecture(NamedTuple):
    """A network, which is made from keyword arguments that its attribute `config` repeats as JSON, and the measure of
    what it guarantees: (network, seed) -> guarantees."""

    network: type[nn.Module]
    guarantees: Callable[..., list[Guarantee]]


ARCHITECTURES: dict[str, Architecture] = {
    "DTIDenoiser": Architecture(DTIDenoiser, verify_dti),
    "InSARDenoiser": Architecture(InSARDenoiser, verify_insar),
    "LieMotionNetwork": Architecture(LieMotionNetwork, verify_motion),
}
"""By the name that checkpoints hold."""


def verify(model: nn.Module, seed: int = 0) -> list[Guarantee]:
    """Measure what a model of a known architecture guarantees.

    Args:
        model: as `load_checkpoint` returns it; stays as it is.
        seed: of the random data.
    Raises:
        MvnetError: when nothing is known about the architecture.
    """
    for architecture in ARCHITECTURES.values():
        if isinstance(model, architecture.network):
            return architecture.guarantees(model, seed)
    raise MvnetError(f"model: found a {type(model).__name__}, expected one of {', '.join(ARCHITECTURES)}")
