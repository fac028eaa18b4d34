"""What every optimiser of the registry does: a new one is tested by its line there."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from mvnet.equivariant import GroupConv, field_type, group
from mvnet.errors import MvnetError
from mvnet.manifolds import Rotations
from mvnet.manifolds.parameter import ManifoldParameter
from mvnet.optim import registry
from mvnet.optim.registry import OPTIMIZERS, describe, options_of
from mvnet.training.state import optimizer_state, restore_optimizer

SQUARE = group("D4")
SCALARS, FEATURES = field_type(SQUARE, {"trivial": 1}), field_type(SQUARE, {"regular": 2, "trivial": 1})


def build(name: str, model: nn.Module, rate: float, **options: Any) -> torch.optim.Optimizer:
    """With every equivariant kernel as a matrix, however few weights it has."""
    every = {"fewest": 1} if "fewest" in options_of(name) else {}
    return registry.build(name, model, rate, **every, **options)


def network(seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """Two equivariant convolutions of one kind, a plain one and linear layers, of which one has a single entry."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            GroupConv(SCALARS, FEATURES),
            nn.Tanh(),
            GroupConv(FEATURES, FEATURES),
            nn.Tanh(),
            GroupConv(FEATURES, FEATURES),
            nn.Conv2d(FEATURES.channels, 3, 3, padding=1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(3, 1),
            nn.Linear(1, 1),
        ).to(dtype)


def batch(number: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(4, 1, 6, 6, generator=generator, dtype=torch.float64)
    return x.to(dtype), x.square().mean((1, 2, 3)).unsqueeze(1).to(dtype)


def loss_of(model: nn.Module, number: int) -> Tensor:
    x, y = batch(number, next(model.parameters()).dtype)
    return (model(x) - y).square().mean()


def descend(model: nn.Module, optimizer: torch.optim.Optimizer, numbers: range) -> list[float]:
    losses = []
    for number in numbers:
        optimizer.zero_grad()
        loss = loss_of(model, number)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values()))


every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


@every_optimizer
def test_it_descends(name):
    model = network()
    before = sum(float(loss_of(model, k).detach()) for k in range(100, 104))
    descend(model, build(name, model, 3e-3 if name != "sgd" else 1e-3), range(30))
    assert sum(float(loss_of(model, k).detach()) for k in range(100, 104)) < before


@every_optimizer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_state_that_was_stored_continues_bit_by_bit(name, dtype):
    whole, cut = network(dtype=dtype), network(dtype=dtype)
    first, second = build(name, whole, 1e-3), build(name, cut, 1e-3)
    torch.manual_seed(1)
    descend(whole, first, range(14))
    random = torch.get_rng_state()
    torch.manual_seed(1)
    descend(cut, second, range(14))
    tensors, numbers = optimizer_state(second)
    tensors = load(save({key: value.contiguous() for key, value in tensors.items()}))
    third = build(name, cut, 1e-3)
    restore_optimizer(third, tensors, json.loads(json.dumps(numbers)))
    for model, optimizer in ((whole, first), (cut, third)):
        torch.set_rng_state(random)
        descend(model, optimizer, range(14, 17))
    assert same(whole, cut)


@every_optimizer
def test_its_state_does_not_alias(name):
    model = network()
    optimizer = build(name, model, 1e-3)
    descend(model, optimizer, range(2))
    stored = optimizer.state_dict()
    kept = copy.deepcopy(stored)
    descend(model, optimizer, range(2, 5))
    for index, entries in stored["state"].items():
        for key, value in entries.items():
            if isinstance(value, Tensor):
                assert torch.equal(value, kept["state"][index][key]), key
    json.dumps(stored["param_groups"])


@every_optimizer
def test_a_deep_copy_goes_its_own_way(name):
    model = network()
    pair = (model, build(name, model, 1e-3))
    descend(*pair, range(2))
    other = copy.deepcopy(pair)
    torch.manual_seed(2)
    descend(*pair, range(2, 4))
    torch.manual_seed(2)
    descend(*other, range(2, 4))
    assert same(model, other[0])
    descend(*pair, range(4, 5))
    assert not same(model, other[0])


@every_optimizer
def test_a_closure(name):
    model, plain = network(), network()
    with_closure, without = build(name, model, 1e-3), build(name, plain, 1e-3)

    def closure() -> Tensor:
        with_closure.zero_grad()
        loss = loss_of(model, 0)
        loss.backward()
        return loss

    torch.manual_seed(3)
    found = with_closure.step(closure)  # type: ignore[arg-type]
    torch.manual_seed(3)
    (expected,) = descend(plain, without, range(1))
    assert float(found.detach()) == expected
    # a closure that is called again, after the step, is what a metric of curvature is made of
    assert same(model, plain) or name == "bfgs"


@every_optimizer
def test_zero_gradients_move_nothing(name):
    model = network()
    before = copy.deepcopy(model)
    optimizer = build(name, model, 1e-2)
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    assert same(model, before)


@every_optimizer
def test_gradients_of_low_rank(name):
    model = network(dtype=torch.float32)
    optimizer = build(name, model, 1e-2)
    for step in range(12):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
            parameter.grad.view(-1)[0] = 1.0 + step
        optimizer.step()
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@every_optimizer
def test_frozen_and_unused_parameters_stay(name):
    model = network()
    frozen = model[2]
    assert isinstance(frozen, GroupConv)
    frozen.weight.requires_grad_(False)
    model.register_parameter("unused", nn.Parameter(torch.ones(2, dtype=torch.float64)))
    before = copy.deepcopy(model.state_dict())
    descend(model, build(name, model, 1e-2), range(12))
    after = model.state_dict()
    assert {key for key in after if torch.equal(after[key], before[key])} == {"2.weight", "unused"}


@every_optimizer
@pytest.mark.filterwarnings("ignore:Initializing zero-element:UserWarning")
def test_shared_and_empty_parameters(name):
    layer = nn.Linear(3, 3, dtype=torch.float64)
    model = nn.Sequential(layer, nn.Tanh(), layer, nn.Linear(3, 0, dtype=torch.float64))
    optimizer = build(name, model, 1e-2)
    before = layer.weight.detach().clone()
    for step in range(3):
        optimizer.zero_grad()
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
        hidden = model[:3](x)
        (hidden.square().mean() + model(x).sum()).backward()
        optimizer.step()
    assert layer.weight.isfinite().all() and not torch.equal(layer.weight, before)


@every_optimizer
def test_half_precision(name):
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)).to(torch.bfloat16)
    optimizer = build(name, model, 1e-2)
    for step in range(12):
        optimizer.zero_grad()
        x = torch.randn(6, 4, generator=torch.Generator().manual_seed(step)).to(torch.bfloat16)
        model(x).square().mean().backward()
        optimizer.step()
    assert all(p.dtype == torch.bfloat16 and p.isfinite().all() for p in model.parameters())


@every_optimizer
def test_parameters_that_it_cannot_treat(name):
    model = nn.Module()
    model.register_parameter("w", nn.Parameter(torch.zeros(2, dtype=torch.complex64)))
    with pytest.raises(MvnetError, match=r"params: found dtype torch.complex64, expected real"):
        build(name, model, 1e-3)
    model = nn.Embedding(4, 3, sparse=True)
    optimizer = build(name, model, 1e-3)
    model(torch.tensor([1])).sum().backward()
    with pytest.raises(MvnetError, match=r"gradient: found layout torch.sparse_coo, expected a dense one"):
        optimizer.step()


@every_optimizer
def test_manifold_parameters_are_kept_on_their_manifold_or_refused(name):
    model = nn.Module()
    model.turn = ManifoldParameter(torch.eye(3, dtype=torch.float64), Rotations())
    (row,) = describe(model, name)
    assert row["kind"] == "manifold" and row["violation"] < 1e-12
    if row["geometry"].startswith("refused"):
        with pytest.raises(MvnetError, match=r"params: found .* on .*, expected"):
            build(name, model, 1e-3)
        return
    optimizer = build(name, model, 1e-2)
    (model.turn * torch.arange(9.0, dtype=torch.float64).view(3, 3)).sum().backward()
    optimizer.step()
    assert float(Rotations().violation(model.turn.detach())) < 1e-12
