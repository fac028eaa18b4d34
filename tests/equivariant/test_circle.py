"""Complex fields: phase, conjugation and the plane at once."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mvnet.equivariant import (
    CircleConv,
    CircleGate,
    GroupConv,
    ModulusReLU,
    equivariance_error,
    export,
    field_type,
    group,
)
from mvnet.equivariant.circle import from_planes, planes

from .cases import build, example, field, mixed, permutations

LAYERS = {
    "CircleConv": lambda g: CircleConv(mixed(g), mixed(g)),
    "CircleGate": lambda g: CircleGate(mixed(g), permutations(g)),
    "ModulusReLU": lambda g: ModulusReLU(mixed(g)),
}


def network(g):
    plain, inside = field_type(g, {"trivial": 1}), field_type(g, {"regular": 1})
    gates = [CircleGate(inside, inside) for _ in range(2)]
    layers = [CircleConv(plain, inside), gates[0], CircleConv(inside, inside), gates[1], ModulusReLU(inside)]
    return nn.Sequential(*layers, CircleConv(inside, plain, 1))


@pytest.mark.parametrize("g", ["D4", "Oh"])
@pytest.mark.parametrize("name", LAYERS)
def test_phase_and_conjugation(name, g):
    layer = build(LAYERS[name], g)
    z = example(layer)
    with torch.no_grad():
        w = layer(z)
        scale = float(w.abs().max())
        assert_close(layer(z.conj().resolve_conj()), w.conj().resolve_conj(), rtol=0, atol=1e-12 * scale)
        for angle in (0.3, 2.0, -math.pi / 2):
            turn = complex(math.cos(angle), math.sin(angle))
            assert_close(layer(turn * z), turn * w, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_a_network_has_all_symmetries_together(dtype, bound):
    """(phase, element of the plane) or (conjugation, element), one after the other and at once."""
    g = group("D4")
    plain = field_type(g, {"trivial": 1})
    torch.manual_seed(0)
    model = network(g).to(dtype).eval()
    with torch.no_grad():
        x = field(plain, dtype, size=8)
        z = torch.polar(torch.ones_like(x), 2 * x)
        turn = complex(math.cos(1.1), math.sin(1.1))
        assert float(model(z).abs().max()) > 0.05
    both = [lambda e, z: turn * g.act(e, z), lambda e, z: g.act(e, z).conj().resolve_conj()]
    for act in (None, *both):
        assert equivariance_error(model, g, z, act, act).largest < bound


def test_gates_and_modulus_keep_the_phase():
    for name in ("CircleGate", "ModulusReLU"):
        layer = build(LAYERS[name], "D4")
        z = example(layer)
        with torch.no_grad():
            ratio = layer(z) / z
        assert_close(ratio.imag, torch.zeros_like(ratio.imag), rtol=0, atol=1e-12)
        assert (ratio.real >= 0).all()


def test_gates_see_relative_phases():
    """Two channels with the same moduli and different phase between them are not treated alike."""
    g = group("D4")
    fields = field_type(g, {"trivial": 2})
    layer = build(lambda _: CircleGate(fields, field_type(g, {"trivial": 3})), "D4")
    z = torch.ones(2, 2, 5, 5, dtype=torch.complex128)
    z[1, 1] = -1
    with torch.no_grad():
        moduli = layer(z).abs()
    assert float((moduli[0] - moduli[1]).abs().max()) > 1e-3


def test_conv_is_one_real_convolution_of_both_parts():
    fields = mixed(group("D4"))
    layer = build(LAYERS["CircleConv"], "D4")
    z = example(layer)
    with torch.no_grad():
        assert_close(layer(z), torch.complex(layer.conv(z.real), layer.conv(z.imag)))
        plain = export(nn.Sequential(layer))
        assert not any(isinstance(m, GroupConv) for m in plain.modules())
        assert_close(plain(z), LAYERS and build(LAYERS["CircleConv"], "D4")(z))
    assert set(layer.state_dict()) == {"conv.weight"} and fields.channels == z.shape[1]


@pytest.mark.parametrize("g", ["D4", "Oh"])
@pytest.mark.parametrize("name", LAYERS)
def test_planes_in_planes_out(name, g):
    layer = build(LAYERS[name], g)
    z = example(layer)
    p = planes(z)
    assert torch.equal(from_planes(p), z) and torch.equal(p[1], z.imag)
    with torch.no_grad():
        assert_close(from_planes(layer(p)), layer(z), rtol=0, atol=0)


def test_errors():
    g = group("D4")
    with pytest.raises(ValueError, match="expected a complex field"):
        build(LAYERS["CircleConv"], "D4")(field(mixed(g)))
    with pytest.raises(ValueError, match="z: found shape"):
        build(LAYERS["CircleConv"], "D4")(example(build(LAYERS["CircleConv"], "D4"))[:, 1:])
    with pytest.raises(ValueError, match="expected a complex field"):
        planes(field(mixed(g)))
    with pytest.raises(ValueError, match="hidden: found"):
        CircleGate(mixed(g), field_type(g, {"vector": 1}))
