"""Inverses of Kronecker factors, the steps along them, and the hooks that watch a network."""

from __future__ import annotations

import copy
import gc
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mvnet.equivariant import GroupConv
from mvnet.errors import MvnetError
from mvnet.linalg.matrix_view import plain_view
from mvnet.optim import EKFAC, KFAC, AdamW
from mvnet.optim.kfac.layers import find_layers
from tests.optim.kfac.cases import (
    FEATURES,
    descend,
    loss_of,
    losses,
    normal,
    observe,
    perceptron,
    seeded,
)

# ---- inverse and steps ----


@pytest.mark.parametrize(("options", "peer"), [({}, "use_heuristic_damping"), ({"pi": False}, "use_exact_damping")])
def test_the_damped_inverse_is_that_of_curvlinops(options, peer):
    curvlinops = pytest.importorskip("curvlinops")
    model, x = perceptron(), normal(12, 5)
    loss, y = losses(1, 12)["gaussian"]
    optimizer = KFAC.for_model(model, 1e-2, fisher="type-2", damping=1e-3, **options)
    model.train()
    loss(model(x), y).backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    optimizer.precondition()
    model.eval()
    parameters = list(model.parameters())
    shared = {"fisher_type": "type-2", "separate_weight_and_bias": False, "check_deterministic": False}
    forward = curvlinops.KFACLinearOperator(model, loss, parameters, [(x, y)], **shared)
    inverse = curvlinops.KFACInverseLinearOperator(forward, damping=1e-3, **{peer: True})
    expected = inverse @ gradients
    for parameter, step in zip(parameters, expected):
        torch.testing.assert_close(parameter.grad, step, atol=1e-10, rtol=1e-8)


def test_one_step_solves_least_squares():
    """The Fisher information of a linear layer is the Hessian of its loss."""
    model, x = seeded(nn.Linear(4, 2)), normal(30, 4)
    y = normal(30, 2, seed=1)
    optimizer = KFAC.for_model(model, 1.0, fisher="type-2", damping=1e-14, kl_clip=0.0, momentum=0.0)
    (model(x) - y).square().mean().backward()
    optimizer.step()
    solution = torch.linalg.lstsq(torch.cat((x, torch.ones(30, 1, dtype=x.dtype)), 1), y).solution
    torch.testing.assert_close(model[0].weight.detach(), solution[:4].mT, atol=1e-6, rtol=0)
    torch.testing.assert_close(model[0].bias.detach(), solution[4], atol=1e-6, rtol=0)


def test_a_step_of_an_equivariant_layer_is_that_of_its_kernel():
    """The projection of the step of the plain convolution, whose gradient is lifted."""
    layer = GroupConv(FEATURES, FEATURES, 3, generator=torch.Generator().manual_seed(0)).double()
    plain: Any = layer.export()
    x = normal(4, FEATURES.channels, 5, 5)
    pair = []
    for module in (layer, plain):
        optimizer = KFAC.for_model(module, 1.0, fisher="type-2", kl_clip=0.0)
        module(x).square().mean().backward()
        pair.append(optimizer)
    (own,) = find_layers(layer, 1000)
    lifted = own.lift()
    assert lifted is not None
    plain.weight.grad = lifted[:, :-1].reshape(plain.weight.shape)
    plain.bias.grad = lifted[:, -1]
    for optimizer in pair:
        optimizer.precondition()
    step = torch.cat((plain.weight.grad.flatten(1), plain.bias.grad[:, None]), 1)
    for parameter, expected in own.project(step):
        torch.testing.assert_close(parameter.grad, expected, atol=1e-12, rtol=1e-9)


def test_it_preconditions_any_optimiser():
    model, other = perceptron(), perceptron()
    own = KFAC.for_model(model, 0.05, likelihood="categorical", kl_clip=0.0, momentum=0.5)
    preconditioner = KFAC.for_model(other, 1.0, likelihood="categorical")
    plain = torch.optim.SGD(other.parameters(), 0.05, momentum=0.5)
    for number in range(4):
        descend(model, own, range(number, number + 1))
        plain.zero_grad()
        loss_of(other, number).backward()
        preconditioner.precondition()
        plain.step()
    for a, b in zip(model.parameters(), other.parameters()):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", [KFAC, EKFAC])
def test_the_step_is_bounded(kind):
    """h^2 c^2 g^T F^-1 g = kl_clip where the bound is active, and h c g^T F^-1 g = <g, step>."""
    model = perceptron()
    optimizer = kind.for_model(model, 10.0, likelihood="categorical", kl_clip=1e-4, momentum=0.0)
    parameters = list(model.parameters())
    before = torch.cat([p.detach().flatten() for p in parameters])
    loss_of(model, 0).backward()
    g = torch.cat([p.grad.flatten() for p in parameters])
    optimizer.step()
    step = before - torch.cat([p.detach().flatten() for p in parameters])
    optimizer.precondition()
    full = torch.cat([p.grad.flatten() for p in parameters])
    torch.testing.assert_close((g @ step).square() / (g @ full), torch.tensor(1e-4, dtype=torch.float64))


# ---- the hooks ----


@pytest.mark.parametrize("kind", [KFAC, EKFAC])
def test_neither_the_pass_nor_the_random_state_notices(kind):
    model = seeded(nn.Linear(5, 6), nn.Dropout(0.5), nn.Linear(6, 3))
    torch.manual_seed(0)
    expected = loss_of(model, 0)
    state = torch.get_rng_state()
    gradients = torch.autograd.grad(expected, list(model.parameters()))
    optimizer = kind.for_model(model, 1e-2, likelihood="categorical")
    torch.manual_seed(0)
    found = loss_of(model, 0)
    assert len(optimizer.state) == 2 and torch.equal(found, expected) and torch.equal(state, torch.get_rng_state())
    found.backward()
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients))


def test_evaluation_does_nothing():
    model = perceptron()
    optimizer = KFAC.for_model(model, 1e-2)
    with torch.no_grad():
        model(normal(3, 5))
    model.eval()
    model(normal(3, 5))
    assert not optimizer.state


def test_hooks_end_with_the_optimiser_and_stay_behind_when_a_network_is_copied():
    model = perceptron()
    optimizer = KFAC.for_model(model, 1e-2)
    other = copy.deepcopy(model)
    other(normal(3, 5))
    assert not optimizer.state
    pair = copy.deepcopy((model, optimizer))
    pair[0](normal(3, 5))
    assert pair[1].state and not optimizer.state
    del optimizer
    gc.collect()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_parameters_in_several_groups():
    """A layer is watched once all its parameters are there; each takes the rate of its group."""
    model = perceptron()
    weights, biases = ([p for p in model.parameters() if p.ndim == n] for n in (2, 1))
    optimizer = KFAC([{"params": weights, "lr": 1e-2}], model=model, likelihood="categorical", momentum=0.0)
    model(normal(3, 5))
    assert not optimizer.state
    optimizer.add_param_group({"params": biases, "lr": 1e-12})
    before = [p.detach().clone() for p in (weights[0], biases[0])]
    descend(model, optimizer, range(2))
    assert optimizer.state[weights[0]]["step"] == 2
    assert (weights[0] - before[0]).abs().max() > 1e-4 and (biases[0] - before[1]).abs().max() < 1e-9


def test_activations_in_place_change_nothing():
    found = []
    for activation in (nn.ReLU(), nn.ReLU(inplace=True)):
        model = seeded(nn.Linear(5, 6), activation, nn.Linear(6, 3))
        found.append(observe(KFAC.for_model(model, 1e-2, fisher="type-2"), model, normal(7, 5)))
    for a, b in zip(*found):
        assert torch.equal(a["factor_out"], b["factor_out"]) and torch.equal(a["factor_in"], b["factor_in"])


def test_several_outputs():
    """Each has a likelihood of its own: the information adds up."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.heads = seeded(nn.Linear(5, 4)), nn.ModuleList([seeded(nn.Linear(4, 2)) for _ in range(2)])

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return tuple(head(self.trunk(x)) for head in self.heads)

    model: Any = Two()
    x = normal(6, 5)
    optimizer = KFAC.for_model(model, 1e-2, fisher="type-2")
    model(x)
    total = sum(w.mT @ w for w in (head[0].weight.detach() for head in model.heads))
    torch.testing.assert_close(optimizer.state[model.trunk[0].weight]["factor_out"], total)


def test_intervals():
    model = perceptron()
    optimizer = KFAC.for_model(model, 1e-3, likelihood="categorical", every=3, refresh=2)
    state, inverses = None, []
    for number in range(10):
        descend(model, optimizer, range(number, number + 1))
        state = optimizer.state[model[0].weight]
        assert state["updates"] == number // 3 + 1
        inverses.append(state["inverse_in"])
    # inverted with updates 1 and 3, in steps 1 and 7
    assert inverses[0] is inverses[5] and inverses[6] is not inverses[5] and inverses[6] is inverses[9]


def test_what_is_not_finite_is_kept_out():
    model = perceptron()
    optimizer = KFAC.for_model(model, 1e-2, likelihood="categorical")
    model(torch.full((3, 5), torch.nan, dtype=torch.float64))
    assert not optimizer.state.get(model[0].weight)
    descend(model, optimizer, range(2))
    kept = optimizer.state_dict()["state"]
    model(torch.full((3, 5), torch.inf, dtype=torch.float64))
    for entries, others in zip(kept.values(), optimizer.state_dict()["state"].values()):
        assert all(torch.equal(v, others[k]) for k, v in entries.items() if isinstance(v, Tensor))
    # a gradient that is not finite spoils its own layer alone
    optimizer.zero_grad()
    loss_of(model, 3).backward()
    model[0].weight.grad.fill_(torch.nan)
    optimizer.step()
    assert model[2].weight.isfinite().all() and model[4].bias.isfinite().all()


@pytest.mark.parametrize("kind", [KFAC, EKFAC])
def test_one_example_of_rank_one(kind):
    model = perceptron(torch.float32)
    optimizer = kind.for_model(model, 1e-2, likelihood="categorical", damping=1e-6)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(normal(1, 5, dtype=torch.float32)), torch.tensor([1])).backward()
        optimizer.step()
    assert all(p.isfinite().all() for p in model.parameters())


def test_layers_without_factors_are_adams(caplog: pytest.LogCaptureFixture):
    """Until the network is run, which the log says: the same steps as AdamW, whose state then ends."""
    model, other = perceptron(), perceptron()
    pair = (KFAC.for_model(model, 1e-2, adam_rate=0.1), AdamW(other.parameters(), 1e-3, weight_decay=0.0))
    for net, optimizer in zip((model, other), pair):
        for _ in range(2):
            for parameter in net.parameters():
                parameter.grad = torch.ones_like(parameter)
            optimizer.step()
    for a, b in zip(model.parameters(), other.parameters()):
        torch.testing.assert_close(a, b)
    assert caplog.text.count("no pass of Sequential was seen in training: Adam treats its layers") == 1
    descend(model, pair[0], range(1))
    assert not any("exp_avg" in entry for entry in pair[0].state.values())


def test_a_module_of_the_users():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(normal(2, 3))

        def matrix_view(self):
            return plain_view((2, 3), "Own")

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight.mT

    model, x = Own(), normal(6, 3)
    (state,) = observe(KFAC.for_model(model, 1e-2, fisher="type-2"), model, x)
    torch.testing.assert_close(state["factor_in"], x.mT @ x / 6)


def test_words_that_do_not_exist():
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"fisher": "true"}, "fisher: found 'true', expected one of monte-carlo, type-2, empirical"),
        ({"likelihood": "poisson"}, "likelihood: found 'poisson', expected one of categorical"),
        ({"sharing": "mix"}, "sharing: found 'mix', expected one of expand, reduce"),
        ({"damping": -1.0}, r"damping: found -1\.0, expected a positive number"),
    )
    for option, match in cases:
        with pytest.raises(MvnetError, match=match):
            KFAC.for_model(perceptron(), 1e-2, **option)
