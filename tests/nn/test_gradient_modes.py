"""Layers that solve an equation, and the networks built of them, with every gradient that their methods allow."""

from __future__ import annotations

import pytest
import torch

from mvnet.equivariant import field_type, group
from mvnet.linalg import so3
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.insar.network import InSARDenoiser
from mvnet.nn import SPDODE, CircleODE, RotationFlow, angle


def spd(gradient: str):
    fields, hidden = (field_type(group("Oh"), {name: 1}) for name in ("faces", "flags"))
    layer = SPDODE(fields, hidden, steps=2, gradient=gradient, generator=torch.Generator().manual_seed(0))
    state = torch.tensor([1.0, 2, 3, 0.1, 0, 0.2]).view(1, 6, 1, 1, 1).repeat(1, 1, 2, 2, 3)
    return layer, (torch.randn(1, 6, 2, 2, 3, generator=torch.Generator().manual_seed(1)), state)


def circle(gradient: str):
    fields, hidden = (field_type(group("D4xZ2"), {name: 1}) for name in ("sides", "regular"))
    layer = CircleODE(fields, hidden, 2, 2, gradient=gradient, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    planes = torch.randn(1, 2, 8, 8, generator=generator)
    return layer, (torch.randn(1, 4, 4, 4, generator=generator), angle(planes), planes)


def rotations(gradient: str):
    return RotationFlow(3, gradient=gradient), (
        so3.exp(torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(1))),
    )


@pytest.mark.parametrize("build", [spd, circle, rotations])
@pytest.mark.parametrize("gradient", ["checkpoint", "symplectic_adjoint"])
def test_layers(build, gradient):
    """The same values, and the same gradients of parameters and inputs."""
    results = []
    for mode in ("discrete", gradient):
        layer, inputs = build(mode)
        generator = torch.Generator().manual_seed(2)
        for p in layer.parameters():
            p.data = 0.3 * torch.randn(p.shape, generator=generator)
        inputs = tuple(x.clone().requires_grad_() for x in inputs)
        end = layer(*inputs)
        tensors = (*inputs, *layer.parameters())
        results.append((end, torch.autograd.grad(end.sin().sum(), tensors, allow_unused=True)))
    (expected, slopes), (found, theirs) = results
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    for a, b in zip(theirs, slopes, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "options", "flow"),
    [
        (DTIDenoiser, {"convolutions": (1,)}, lambda model: model.stages[0].move),
        (InSARDenoiser, {}, lambda model: model.move),
        (LieMotionNetwork, {"joints": 4, "classes": 2}, lambda model: model.flow),
    ],
)
def test_configurations(network, options, flow):
    """Configurations from before it are those of the default."""
    config = network(**options).config
    assert config.pop("gradient") == "discrete" and flow(network(**config)).gradient == "discrete"
    config = network(**options, gradient="checkpoint").config
    assert config["gradient"] == "checkpoint" and flow(network(**config)).gradient == "checkpoint"
