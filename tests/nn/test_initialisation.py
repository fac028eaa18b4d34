"""Initial weights come from the generator that is given, and from torch's global one when there is none."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from mvnet.equivariant import CircleConv, CircleGate, GroupConv, HarmonicConv, field_type, group
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.insar.network import InSARDenoiser
from mvnet.nn import (
    SPDODE,
    CircleODE,
    ConnectionFilter,
    EquivariantUNet,
    FrechetFilter,
    GaborBank,
    RotationMapping,
)

SPACE, PLANE = field_type(group("Oh"), {"faces": 1}), field_type(group("D4xZ2"), {"regular": 1})
LAYERS: dict[str, Callable[..., nn.Module]] = {
    "GroupConv": lambda **g: GroupConv(PLANE, PLANE, **g),
    "HarmonicConv": lambda **g: HarmonicConv(PLANE, PLANE, **g),
    "CircleConv": lambda **g: CircleConv(PLANE, PLANE, **g),
    "CircleGate": lambda **g: CircleGate(PLANE, PLANE, **g),
    "FrechetFilter": lambda **g: FrechetFilter(SPACE, **g),
    "SPDODE": lambda **g: SPDODE(SPACE, SPACE, **g),
    "CircleODE": lambda **g: CircleODE(PLANE, PLANE, **g),
    "ConnectionFilter": lambda **g: ConnectionFilter(PLANE, 3, carrier=2, **g),
    "GaborBank": lambda **g: GaborBank(PLANE.group, (("waves", 1.0),), 4, 2, **g),
    "EquivariantUNet": lambda **g: EquivariantUNet([PLANE, PLANE], [PLANE, PLANE], [1, 1], [1, 1], **g),
    "RotationMapping": lambda **g: RotationMapping(4, **g),
    "DTIDenoiser": lambda **g: DTIDenoiser(**g),
    "InSARDenoiser": lambda **g: InSARDenoiser(**g),
}


def weights(layer: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in layer.parameters()])


@pytest.mark.parametrize("name", LAYERS)
def test_a_generator_decides_the_weights_and_the_global_state_stays(name: str):
    make, state = LAYERS[name], torch.random.get_rng_state()
    one, two = (weights(make(generator=torch.Generator().manual_seed(3))) for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", LAYERS)
def test_without_one_the_global_state_decides_alike(name: str):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        plain = weights(LAYERS[name]())
    assert torch.equal(plain, weights(LAYERS[name](generator=torch.Generator().manual_seed(3))))
