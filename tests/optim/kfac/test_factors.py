"""The Kronecker factors of a network, and the layers that they are of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mvnet.equivariant import GroupConv
from mvnet.optim import EKFAC, KFAC
from mvnet.optim.kfac import fisher
from mvnet.optim.kfac.layers import find_layers, patches, rows
from tests.optim.kfac.cases import (
    FEATURES,
    SCALARS,
    convolutions,
    losses,
    normal,
    observe,
    perceptron,
    seeded,
)

# ---- the factors ----


@pytest.mark.parametrize("likelihood", fisher.LIKELIHOODS)
@pytest.mark.parametrize(("network", "sharing"), [("linear", "expand"), ("conv", "expand"), ("conv", "reduce")])
def test_factors_are_those_of_curvlinops(likelihood, network, sharing):
    curvlinops = pytest.importorskip("curvlinops")
    model, x = (perceptron(), normal(12, 5)) if network == "linear" else (convolutions(), normal(6, 2, 6, 5))
    loss, y = losses(1, len(x))[likelihood]
    own = KFAC.for_model(model, 1e-2, fisher="type-2", likelihood=likelihood, sharing=sharing)
    states = observe(own, model, x)
    options = {"fisher_type": "type-2", "separate_weight_and_bias": False, "check_deterministic": False}
    data = [(x, y)]
    peer = curvlinops.KFACLinearOperator(
        model, loss, list(model.parameters()), data, kfac_approx=sharing, num_per_example_loss_terms=1, **options
    )
    peer.compute_kronecker_factors()
    for state, name in zip(states, peer._input_covariances, strict=True):
        torch.testing.assert_close(state["factor_in"], peer._input_covariances[name], atol=1e-14, rtol=1e-12)
        torch.testing.assert_close(state["factor_out"], peer._gradient_covariances[name], atol=1e-14, rtol=1e-12)
    if sharing == "reduce":
        return
    corrected = EKFAC.for_model(model, 1e-2, fisher="type-2", likelihood=likelihood)
    states = observe(corrected, model, x)
    model.zero_grad()
    peer = curvlinops.EKFACLinearOperator(
        model, loss, list(model.parameters()), data, num_per_example_loss_terms=1, **options
    )
    peer._maybe_compute_ekfac()
    for state, name in zip(states, sorted(peer._corrected_eigenvalues), strict=True):
        s = peer._corrected_eigenvalues[name]
        # an axis of the null space of A or B is arbitrary, and so is the variance along it
        torch.testing.assert_close(state["spectrum"].sum(), s.sum(), atol=1e-14, rtol=1e-10)
        if network == "linear" and likelihood == "bernoulli":
            torch.testing.assert_close(state["spectrum"], s, atol=1e-12, rtol=1e-8)


def exact_block(model: nn.Module, layer: Any, x: Tensor, likelihood: str) -> Tensor:
    """The Fisher information of one layer's (W, b), rows before columns."""
    block = torch.zeros(1, dtype=x.dtype)
    for one in x.unbind():
        f = model(one[None])
        for v in fisher.columns(f.detach(), likelihood, "type-2", 1, torch.Generator()):
            w, b = torch.autograd.grad(f, (layer.weight, layer.bias), v, retain_graph=True)
            g = torch.cat((w, b[:, None]), 1).flatten()
            block = block + torch.outer(g, g) / len(x)
    return block


def kronecker(state: dict) -> Tensor:
    return torch.kron(state["factor_out"], state["factor_in"])


@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.float64, 1e-14), (torch.float32, 1e-6)])
def test_it_is_exact_for_one_linear_layer(dtype, accuracy):
    model, x = seeded(nn.Linear(5, 3), dtype=dtype), normal(12, 5, dtype=dtype)
    (state,) = observe(KFAC.for_model(model, 1e-2, fisher="type-2"), model, x)
    assert (kronecker(state) - exact_block(model, model[0], x, "gaussian")).abs().max() < accuracy


def test_measured_variances_are_no_worse():
    """In the Frobenius norm, against the exact block of every layer."""
    model, x = perceptron(), normal(20, 5)
    states = observe(EKFAC.for_model(model, 1e-2, fisher="type-2", likelihood="categorical"), model, x)
    for state, layer in zip(states, (model[0], model[2], model[4])):
        exact = exact_block(model, layer, x, "categorical")
        axes = torch.kron(state["basis_out"], state["basis_in"])
        corrected = axes * state["spectrum"].flatten() @ axes.mT
        errors = [(found - exact).norm() / exact.norm() for found in (corrected, kronecker(state))]
        assert errors[0] <= errors[1] + 1e-12 and errors[0] < 0.9


@pytest.mark.parametrize("likelihood", fisher.LIKELIHOODS)
@pytest.mark.parametrize("shape", [(3,), (2, 2)])
def test_columns_have_the_fisher_information_for_their_second_moment(likelihood, shape):
    count = 40_000
    f = normal(1, *shape).expand(count, *shape)

    def moment(kind: str) -> Tensor:
        found = fisher.columns(f, likelihood, kind, 1, torch.Generator().manual_seed(0))
        return sum(v.flatten(1).mT @ v.flatten(1) for v in found) / count  # type: ignore[return-value]

    def nll(z: Tensor) -> Tensor:
        z = z.view(1, *shape)
        if likelihood == "gaussian":
            return nn.functional.mse_loss(z, z.detach() + 1)
        if likelihood == "bernoulli":
            return nn.functional.binary_cross_entropy_with_logits(z, torch.ones_like(z))
        return nn.functional.cross_entropy(z, torch.zeros(1, *shape[1:], dtype=torch.long))

    # the Hessian of these losses does not depend on the labels: it is the Fisher information
    hessian = torch.autograd.functional.hessian(nll, f[0].flatten())
    torch.testing.assert_close(moment("type-2"), hessian, atol=5e-3, rtol=0)
    torch.testing.assert_close(moment("monte-carlo"), hessian, atol=1e-2, rtol=0)


def test_the_empirical_one_by_name():
    """The second moment of the gradients of the labels of the data."""
    model, x = perceptron(), normal(12, 5)
    loss, y = losses(1, 12)["categorical"]
    optimizer = KFAC.for_model(model, 1e-2, fisher="empirical", likelihood="categorical")
    loss(model(x), y).backward()
    g = (model(x).softmax(1) - nn.functional.one_hot(y, 3)).detach()
    torch.testing.assert_close(optimizer.state[model[4].weight]["factor_out"], g.mT @ g / 12)


# ---- the layers ----


def _cases() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    generator = torch.Generator().manual_seed(0)
    return {
        "linear": (nn.Linear(3, 4), (2, 5, 3)),
        "one": (nn.Linear(3, 4), (3,)),
        "1d": (nn.Conv1d(2, 3, 4, stride=2, padding=3, dilation=2), (2, 2, 9)),
        "2d": (nn.Conv2d(2, 3, (3, 2), padding="same"), (2, 2, 5, 6)),
        "circular": (nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode="circular", bias=False), (2, 2, 5, 6)),
        "reflected": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 5, 6)),
        "3d": (nn.Conv3d(2, 3, (3, 1, 2), padding="valid"), (2, 2, 4, 3, 3)),
        "equivariant": (GroupConv(FEATURES, FEATURES, 3, generator=generator), (2, 9, 5, 4)),
        "lifting": (GroupConv(SCALARS, FEATURES, 2, padding=2, generator=generator), (2, 1, 5, 4)),
    }


@pytest.mark.parametrize("name", _cases())
def test_a_layer_is_its_matrix_times_its_patches(name):
    module, shape = _cases()[name]
    module.double()
    (layer,) = find_layers(module, 1000)
    x = normal(*shape)
    matrix = layer.view.expand(layer.weight).flatten(-2)
    places = patches(module, x) @ matrix.mT
    if layer.bias is not None:
        layer.bias.data.copy_(normal(*layer.bias.shape))
        basis = getattr(module, "bias_map", None)
        places = places + (layer.bias if basis is None else layer.bias @ basis)
    torch.testing.assert_close(rows(module, module(x)), places)


@pytest.mark.parametrize("name", _cases())
def test_gradients_are_lifted_and_steps_projected(name):
    """<g, step> of the parameters is that of the matrices, and a matrix that the layer can hold is not changed."""
    module, _ = _cases()[name]
    module.double()
    (layer,) = find_layers(module, 1000)
    for seed, parameter in enumerate(layer.parameters):
        parameter.grad = normal(*parameter.shape, seed=seed)
    lifted, matrix = layer.lift(), normal(*layer.sizes)
    assert lifted is not None and lifted.shape == matrix.shape
    steps: dict[Any, Tensor] = dict(layer.project(matrix))
    assert steps.keys() == set(layer.parameters)
    torch.testing.assert_close(sum((p.grad * step).sum() for p, step in steps.items()), (lifted * matrix).sum())
    held = layer.view.expand(layer.weight.detach()).flatten(-2)
    held = torch.cat((held, held.new_zeros(len(held), matrix.shape[1] - held.shape[1])), 1)
    torch.testing.assert_close(dict(layer.project(held))[layer.weight], layer.weight.detach())


def test_which_layers_are_found():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
            self.second.weight, self.second.bias = self.first.weight, self.first.bias
            self.third = nn.Linear(3, 3)
            self.third.weight.requires_grad_(False)
            self.fourth = nn.Linear(3, 3)
            self.fourth.bias.requires_grad_(False)
            self.depthwise = nn.Conv1d(4, 4, 3, groups=2)
            self.norm = nn.LayerNorm(3)
            self.wide = nn.Linear(3, 50)
            self.empty = nn.Linear(3, 0)

    model = Tied()
    first, fourth = find_layers(model, 40)
    assert first.modules == (model.first, model.second) and first.bias is model.first.bias
    assert fourth.weight is model.fourth.weight and fourth.bias is None


def test_a_sequence_is_a_convolution_of_one_tap():
    x = normal(4, 6, 3)
    linear, conv = seeded(nn.Linear(3, 2)), seeded(nn.Conv1d(3, 2, 1))
    conv[0].weight.data.copy_(linear[0].weight[..., None])
    conv[0].bias.data.copy_(linear[0].bias)
    for sharing in ("expand", "reduce"):
        # the empirical one, as labels are drawn place by place
        states = []
        for model, given in ((linear, x), (conv, x.mT)):
            optimizer = EKFAC.for_model(model, 1e-2, fisher="empirical", sharing=sharing)
            model.train()
            model(given).square().mean().backward()
            states.append(optimizer.state[model[0].weight])
            del optimizer
        for key in ("factor_in", "factor_out"):
            torch.testing.assert_close(states[0][key], states[1][key])


def test_a_layer_that_is_used_twice():
    """As one layer with the places of both."""
    layer = nn.Linear(3, 3)
    model, x = seeded(layer, layer), normal(5, 3)
    state = observe(KFAC.for_model(model, 1e-2, fisher="type-2"), model, x)[0]
    ones = torch.ones(5, 1, dtype=torch.float64)
    places = torch.cat((torch.cat((x, ones), 1), torch.cat((layer(x).detach(), ones), 1)))
    torch.testing.assert_close(state["factor_in"], places.mT @ places / 10)
    w = layer.weight.detach()
    identity = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(state["factor_out"], 2 / 3 * (identity + w.mT @ w))
