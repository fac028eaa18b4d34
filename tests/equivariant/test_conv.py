"""The convolution between any two types: bias, export, the kernel kept in evaluation, state."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mvnet.equivariant import FieldType, GroupConv, Pointwise, equivariance_error, export, field_type, group

from .cases import PLANE, SPACE, build, field, mixed, permutations, randomise, representations

PAIRS = [(g, i, j) for g, count in (("D4", 6), ("Oh", 7)) for i in range(count) for j in range(count)]


@pytest.mark.parametrize("g, i, j", PAIRS)
def test_between_every_pair_of_types(g, i, j):
    rho = representations(group(g))
    ins, outs = FieldType((2, rho[i])), FieldType((2, rho[j]))
    layer = build(lambda _: GroupConv(ins, outs, 3), g)
    x = field(ins, size=5 if g == "D4" else 3, batch=1)
    if layer.expansion.count or layer.bias is not None:
        assert equivariance_error(layer, g, x, ins, outs).largest < 1e-12
    else:
        assert not layer(x).any()


@pytest.mark.parametrize("g", [*PLANE, *SPACE])
def test_lift_group_project(g):
    """Scalars to regular fields, to regular fields, to scalars: an invariant map of each point's surroundings."""
    plain, regular = field_type(group(g), {"trivial": 2}), field_type(group(g), {"regular": 1})
    network = build(
        lambda _: nn.Sequential(
            GroupConv(plain, regular),
            Pointwise(regular),
            GroupConv(regular, regular),
            Pointwise(regular),
            GroupConv(regular, plain, 1),
        ),
        g,
    )
    assert equivariance_error(network, g, field(plain, batch=1)).largest < 1e-12


def test_bias_is_on_invariants_only():
    g = group("Oh")
    fields = field_type(g, {"trivial": 2, "vector": 1, "faces": 1, "sym2": 1})
    layer = GroupConv(fields, fields, 3)
    assert layer.bias is not None and len(layer.bias) == 4
    randomise(layer)
    with torch.no_grad():
        _, bias = layer.kernel_and_bias()
    assert bias is not None
    assert_close(bias[2:5], torch.zeros(3))
    assert_close(bias[5:11], bias[5].expand(6))
    assert_close(bias[11:], bias[11] * torch.tensor([1.0, 1, 1, 0, 0, 0]), rtol=0, atol=1e-6)
    assert GroupConv(fields, field_type(g, {"vector": 1})).bias is None
    assert GroupConv(fields, fields, bias=False).bias is None


@pytest.mark.parametrize("padding, lengths", [(None, (7, 6)), (0, (5, 4)), (2, (9, 8))])
def test_padding(padding, lengths):
    fields = field_type(group("D2"), {"trivial": 1})
    assert GroupConv(fields, fields, 3, padding)(torch.zeros(1, 1, 7, 6)).shape[2:] == lengths


@pytest.mark.parametrize("g", ["D4", "D4h-k"])
def test_export_is_a_plain_network(g):
    fields = permutations(group(g))
    network = nn.Sequential(
        GroupConv(fields, fields), nn.ModuleDict({"a": GroupConv(fields, fields, 1)})["a"], nn.ReLU()
    )
    randomise(network)
    x = field(fields, torch.float32)
    with torch.no_grad():
        expected = network(x)
        plain = export(network)
        assert not any(isinstance(m, GroupConv) for m in plain.modules())
        assert_close(plain(x), expected, rtol=1e-5, atol=1e-5)
    single = GroupConv(fields, fields, 3, padding=0)
    assert isinstance(export(single), nn.Conv2d if g == "D4" else nn.Conv3d)


def fresh(layer: GroupConv, x: torch.Tensor) -> torch.Tensor:
    """The output with a kernel expanded anew."""
    other = copy.deepcopy(layer)
    other._kept = None
    with torch.no_grad():
        return other(x)


@pytest.mark.parametrize("change", ["in place", "load", "assigned", "through data", "float64", "new bias"])
def test_the_kept_kernel_follows_the_weights(change):
    fields = mixed(group("D4"))
    layer, x = build(lambda _: GroupConv(fields, fields), "D4", torch.float32), field(fields, torch.float32)
    with torch.no_grad():
        before = layer(x)
        assert layer.kernel_and_bias()[0] is layer.kernel_and_bias()[0], "kept between calls"
    if change == "in place":
        with torch.no_grad():
            layer.weight.mul_(2)
    elif change == "load":
        layer.load_state_dict({name: 2 * value for name, value in layer.state_dict().items()})
    elif change == "assigned":
        layer.weight = nn.Parameter(2 * layer.weight.detach())
    elif change == "through data":
        layer.train()
        layer.weight.data.mul_(2)
        layer.eval()
    elif change == "float64":
        layer, x = layer.double(), x.double()
    else:
        with torch.no_grad():
            assert layer.bias is not None
            layer.bias.add_(1)
    with torch.no_grad():
        after = layer(x)
    assert_close(after, fresh(layer, x), rtol=0, atol=0)
    assert after.dtype == x.dtype
    assert change == "float64" or not torch.allclose(after, before)


def test_float64_is_exact_after_float32():
    """Constants are not rounded with the weights."""
    fields = mixed(group("Oh"))
    layer = build(lambda _: GroupConv(fields, fields), "Oh", torch.float32).double()
    assert equivariance_error(layer, "Oh", field(fields, batch=1), fields, fields).largest < 1e-12


def test_state_is_the_weights_alone():
    fields = mixed(group("D4"))
    layer = GroupConv(fields, fields)
    with torch.no_grad():
        layer.eval()(field(fields, torch.float32))
    assert set(layer.state_dict()) == {"weight", "bias"}
    assert set(layer.train().state_dict()) == {"weight", "bias"}


def test_gradients_flow_in_evaluation_too():
    fields = mixed(group("D4"))
    layer, x = build(lambda _: GroupConv(fields, fields), "D4"), field(fields)
    with torch.no_grad():
        kept = layer(x)
    y = layer(x)
    y.sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.abs().max() > 0
    assert_close(y.detach(), kept)


def test_groups_must_agree():
    with pytest.raises(ValueError, match="groups"):
        GroupConv(field_type(group("C4"), {"trivial": 1}), field_type(group("D4"), {"trivial": 1}))
