"""Backward from outputs alone: gradients of plain autograd, bytes that do not depend on depth, dropout, autocast."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mvnet.equivariant import GroupConv, field_type, group
from mvnet.invertible import (
    Affine,
    Chain,
    ChannelMix,
    Channels,
    Coupling,
    Invertible,
    Reversible,
    Split,
    drift,
    saved_bytes,
)

from .cases import WithContext, draws


def chain(depth: int, law=None, width: int = 4, drop: float = 0.0) -> Chain:
    torch.manual_seed(0)
    count = 2 if isinstance(law, Affine) else 1
    half = width // 2

    def network() -> nn.Module:
        return nn.Sequential(nn.Linear(half, 16), nn.SiLU(), nn.Dropout(drop), nn.Linear(16, count * half))

    return Chain(*(Coupling(network(), law, Channels(swap=k % 2 == 1)) for k in range(depth)))


def gradients(model: Invertible, x: torch.Tensor, context=None, seed: int | None = None) -> list[torch.Tensor]:
    """Of a loss of value and log-determinant, with respect to input, context and parameters."""
    leaves = [x, *([] if context is None else [context]), *model.parameters()]
    if seed is not None:
        torch.manual_seed(seed)
    z, change = model(x, context)
    loss = (z * torch.linspace(0, 1, z.numel()).view_as(z).to(z)).square().sum() + (change * change).sum()
    return list(torch.autograd.grad(loss, leaves, allow_unused=True))


def largest_error(plain: list, reversible: list) -> float:
    pairs = [(a, b) for a, b in zip(plain, reversible, strict=True) if a is not None]
    return max(float((a - b).norm() / a.norm().clamp(min=1e-30)) for a, b in pairs)


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str)
@pytest.mark.parametrize("law", [None, Affine(1.5)], ids=["additive", "affine"])
def test_gradients_are_those_of_autograd(dtype, bound, law):
    model = chain(32, law).to(dtype)
    x = torch.randn(5, 4, generator=draws(), dtype=torch.float64).to(dtype).requires_grad_()
    assert largest_error(gradients(model, x), gradients(Reversible(model), x)) < bound


def test_nested_chains_mixes_one_layer_twice_and_a_context():
    torch.manual_seed(0)
    mixer, twice = ChannelMix(4), Coupling(WithContext(4, 4), Affine(), conditional=True)
    inner = Split(2, Chain(Coupling(nn.Linear(1, 1)), ChannelMix(2, "exp")))
    model = Chain(twice, mixer, Chain(inner, twice), mixer).double()
    x = torch.randn(3, 4, generator=draws(), dtype=torch.float64).requires_grad_()
    context = torch.randn(3, 2, generator=draws(1), dtype=torch.float64).requires_grad_()
    assert largest_error(gradients(model, x, context), gradients(Reversible(model), x, context)) < 1e-12


def test_bytes_do_not_depend_on_depth():
    x = torch.randn(64, 4, generator=draws()).requires_grad_()
    kept = {depth: saved_bytes(Reversible(chain(depth)), x) for depth in (4, 64)}
    assert kept[4] == kept[64] <= x.nbytes
    assert saved_bytes(chain(64), x) > 10 * saved_bytes(chain(4), x)


def test_each_network_is_evaluated_once_in_backward():
    model, calls = chain(6), []
    for layer in model:
        assert isinstance(layer, Coupling)
        layer.network.register_forward_hook(lambda *_: calls.append(1))
    x = torch.randn(5, 4, generator=draws()).requires_grad_()
    z, _ = Reversible(model)(x)
    assert len(calls) == 6
    z.sum().backward()
    assert len(calls) == 12


def test_dropout_is_the_same_in_both_passes():
    model = chain(8, drop=0.5).double().train()
    x = torch.randn(5, 4, generator=draws(), dtype=torch.float64).requires_grad_()
    plain, reversible = gradients(model, x, seed=3), gradients(Reversible(model), x, seed=3)
    assert largest_error(plain, reversible) < 1e-12
    torch.manual_seed(3)
    model(x)
    expected = torch.rand(3)
    torch.manual_seed(3)
    Reversible(model)(x)[0].sum().backward()
    assert torch.equal(torch.rand(3), expected), "the generator goes on as if nothing had been recomputed"


def test_autocast_is_the_same_in_both_passes():
    model = chain(4)
    x = torch.randn(5, 4, generator=draws()).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        z, _ = model(x)
        plain = torch.autograd.grad(z.square().sum(), list(model.parameters()))
        z, _ = Reversible(model)(x)
    reversible = torch.autograd.grad(z.square().sum(), list(model.parameters()))  # outside of autocast
    assert largest_error(list(plain), list(reversible)) < 1e-2


def test_an_equivariant_trunk():
    fields = field_type(group("D4"), {"regular": 2})
    torch.manual_seed(0)
    half = fields.channels
    parts = [
        Coupling(nn.Sequential(GroupConv(fields, fields, 3), nn.SiLU()), None, Channels(k % 2 == 1, half))
        for k in (0, 1)
    ]
    model = Chain(*parts).double()
    x = torch.randn(1, 2 * half, 6, 6, generator=draws(), dtype=torch.float64).requires_grad_()
    assert largest_error(gradients(model, x), gradients(Reversible(model), x)) < 1e-12


def test_deep_stacks_and_their_drift():
    """Additive and orthogonal stacks of 64 layers stay below 1e-5 in float32; drift says how far each layer is."""
    x = torch.randn(16, 4, generator=draws())
    mixers = Chain(*(ChannelMix(4, "cayley", generator=draws(k)) for k in range(64)))
    mixed = Chain(*(part for pair in zip(chain(32), mixers[:32], strict=True) for part in pair))
    for stack in (chain(64), mixers, mixed):
        report = drift(stack, x)
        assert report.largest < 1e-5 and len(report.layers) == 64
    assert drift(chain(64, Affine(1.5)), x).largest < 1e-3


def test_frozen_parameters_and_inputs_without_gradient():
    model = chain(3)
    twin = copy.deepcopy(model)
    for p in model.layers[0].parameters():
        p.requires_grad_(False)
    x = torch.randn(2, 4, generator=draws())
    Reversible(model)(x)[0].square().sum().backward()
    twin(x)[0].square().sum().backward()
    assert all(p.grad is None for p in model.layers[0].parameters())
    for p, q in zip(model.layers[1].parameters(), twin.layers[1].parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)
