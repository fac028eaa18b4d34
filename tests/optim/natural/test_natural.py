"""Natural gradient descent: products with the curvature, the three forms of the system, damping."""

from __future__ import annotations

import copy
import logging
import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from mvnet.errors import MvnetError
from mvnet.optim.curvature.losses import (
    LOSSES,
    Convex,
    Gaussian,
    SquaredError,
    find_loss,
)
from mvnet.optim.natural import NaturalGradient
from tests.optim.natural.networks import data, dense, flat, network, pair

# ---- the step ----


def step_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor, **options) -> torch.Tensor:
    model = copy.deepcopy(model)
    before = flat(model)
    NaturalGradient.for_model(model, **options).step(lambda: (model(x), y))
    return flat(model) - before


def test_natural_gradient_is_gauss_newton():
    model, (x, y) = network(3, 6, 2), data(9, 3, 2)
    jacobian, residual = dense(model, x), (y - model(x)).detach().flatten()
    expected = torch.linalg.lstsq(jacobian, residual[:, None], driver="gelsd").solution[:, 0]
    found = step_of(model, x, y, damping=0.0, adapt=False, solver="dual")
    assert (found - expected).norm() <= 1e-10 * expected.norm()
    x, y = data(60, 3, 2)
    jacobian, residual = dense(model, x), (y - model(x)).detach().flatten()
    expected = torch.linalg.lstsq(jacobian, residual[:, None], driver="gelsd").solution[:, 0]
    found = step_of(model, x, y, damping=0.0, adapt=False, solver="primal")
    assert (found - expected).norm() <= 1e-8 * expected.norm()  # the square of the condition of J


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("loss", ["squared", "cross-entropy", "gaussian"])
def test_dual_is_primal_is_conjugate_gradients(loss, decay):
    model, (x, y) = network(3, 4, 4), data(6, 3, 4)
    targets = {"squared": y, "cross-entropy": torch.arange(6) % 4, "gaussian": y[:, :2]}[loss]
    options = {"loss": loss, "damping": 1e-2, "adapt": False, "weight_decay": decay}
    options |= {"iterations": 500, "tolerance": 1e-14}
    primal, dual, cg = (step_of(model, x, targets, solver=s, **options) for s in ("primal", "dual", "cg"))
    assert (dual - primal).norm() <= 1e-10 * primal.norm()
    assert (cg - primal).norm() <= 1e-8 * primal.norm()


def test_a_change_of_parameters_or_of_the_unit_of_the_loss_changes_nothing():
    model, (x, y) = network(2, 5, 1), data(40, 2, 1)
    twin = copy.deepcopy(model)
    layer, scaled = model[0], twin[0]
    assert isinstance(layer, nn.Linear) and isinstance(scaled, nn.Linear)
    stretch = nn.Linear(2, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        stretch.weight.copy_(torch.tensor([[3.0, 1.0], [0.0, 0.5]]))
        scaled.weight.copy_(layer.weight @ stretch.weight.inverse())
    options = {"damping": 0.0, "adapt": False, "solver": "primal"}
    NaturalGradient(model.parameters(), **options).step(lambda: (model(x), y))
    seen = stretch(x).detach()
    NaturalGradient(twin.parameters(), **options).step(lambda: (twin(seen), y))
    assert torch.allclose(model(x), twin(seen), atol=1e-8)
    # a loss in another unit: the same steps, as damping is relative
    once = step_of(model, x, y, loss=Convex(lambda f, y: (f - y).square().sum()))
    again = step_of(model, x, y, loss=Convex(lambda f, y: 1e6 * (f - y).square().sum()))
    assert torch.allclose(once, again, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_regression_reaches_what_gradient_descent_does_not(dtype):
    model, (x, _) = network(2, 20, 20, 1, dtype=dtype), data(64, 2, 1, dtype)
    y = x[:, :1].sin() * x[:, 1:]
    optimizer = NaturalGradient.for_model(model)
    values = [float(optimizer.step(lambda: (model(x), y))) for _ in range(20)]
    assert values[-1] < 1e-5 and all(b < a for a, b in pairwise(values))


def test_a_step_that_does_not_help_is_taken_back():
    model, (x, y) = network(2, 3, 1), data(8, 2, 1)
    before = flat(model)
    calls = []

    def closure():
        calls.append(model(x))
        return (calls[0] if len(calls) == 1 else calls[-1] + 100), y

    optimizer = NaturalGradient(model.parameters())
    optimizer.step(closure)
    entry = optimizer.state[next(model.parameters())]
    assert torch.equal(flat(model), before) and len(calls) == entry["trials"] + 1 == 17
    assert entry["damping"] > 1e6


def test_negative_curvature_is_told_and_survived(caplog):
    model, (x, y) = network(2, 4, 1), data(16, 2, 1)
    loss = Convex(lambda f, y: ((f - y).square() / (1 + (f - y).square())).mean())
    optimizer = NaturalGradient(model.parameters(), loss=loss, solver="cg", damping=1e-9)
    with caplog.at_level(logging.WARNING):
        values = [float(optimizer.step(lambda: (model(x), 3 * y))) for _ in range(8)]
    assert "negative curvature" in caplog.text and "last good direction" in caplog.text
    assert all(b <= a for a, b in pairwise(values)) and values[-1] < values[0]


def test_the_jacobian_by_samples_is_left_where_samples_meet():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    x, y = data(12, 2, 1)

    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1, dtype=torch.float64)

        def forward(self, x):
            y = self.layer(x).sin()
            return y - y.mean()

    for case in (model, Centred()):
        expected = copy.deepcopy(case)
        NaturalGradient(expected.parameters()).step(partial(pair, expected, x, y))
        NaturalGradient.for_model(case).step(partial(pair, case, x, y))
        assert torch.allclose(flat(case), flat(expected), atol=1e-10)


def test_state_groups_and_things_that_are_not_finite():
    model, (x, y) = network(2, 4, 1), data(10, 2, 1)
    first, last = model[0], model[2]
    assert isinstance(first, nn.Linear)
    first.bias.requires_grad_(False)
    groups = [{"params": [first.weight], "lr": 0.5}, {"params": last.parameters()}]
    optimizer = NaturalGradient(groups)
    bias = first.bias.clone()
    optimizer.step(lambda: (model(x), y))
    assert torch.equal(first.bias, bias)
    # resumed = uninterrupted
    twin = copy.deepcopy(model)
    weights = [p for p in twin.parameters() if p.requires_grad]
    resumed = NaturalGradient([{"params": weights[:1], "lr": 0.5}, {"params": weights[1:]}])
    resumed.load_state_dict(optimizer.state_dict())
    optimizer.step(lambda: (model(x), y))
    resumed.step(lambda: (twin(x), y))
    assert torch.equal(flat(model), flat(twin))
    before = flat(model)
    assert math.isnan(optimizer.step(lambda: (model(x), y * float("nan"))))
    optimizer.step(lambda: (model(x), model(x).detach()))  # no gradient
    for p in model.parameters():
        p.requires_grad_(False)
    optimizer.step(lambda: (model(x), y))  # all frozen
    assert torch.equal(flat(model), before)
    copy.deepcopy(optimizer)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"loss": "hinge"}, "loss: found 'hinge', expected one of squared"),
        ({"metric": "exact"}, "metric: found 'exact', expected fisher, hessian or empirical"),
        ({"loss": Convex(lambda f, y: f.sum()), "metric": "fisher"}, "metric: found 'fisher' for Convex"),
        ({"solver": "qr"}, "solver: found 'qr', expected auto"),
        ({"damping": -1.0}, "damping: found -1.0"),
        ({"lr": 0.0}, "lr: found 0.0"),
    ],
)
def test_bad_options(options, words):
    model, (x, y) = network(2, 1), data(3, 2, 1)
    with pytest.raises(MvnetError, match=words):
        NaturalGradient(model.parameters(), **options).step(lambda: (model(x), y))


def test_targets_of_another_shape_are_refused():
    assert find_loss("squared") is not None and set(LOSSES) >= {"gaussian", "laplace"}
    with pytest.raises(MvnetError, match="targets: found shape"):
        SquaredError().value(torch.zeros(3, 1), torch.zeros(3))
    with pytest.raises(MvnetError, match="expected twice the channels"):
        Gaussian().value(torch.zeros(3, 1), torch.zeros(3, 1))
