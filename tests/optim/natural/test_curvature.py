"""Products with the curvature of a loss through a network, losses of outputs, conjugate gradients."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from mvnet.errors import MvnetError
from mvnet.linalg.conjugate_gradients import conjugate_gradients
from mvnet.optim.curvature.losses import (
    Convex,
    CrossEntropy,
    Exponential,
    Gaussian,
    Laplace,
    SquaredError,
)
from mvnet.optim.curvature.products import GaussNewton, sample_rows
from tests.optim.natural.networks import data, dense, flat, network

# ---- products ----


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_products_are_those_of_the_dense_jacobian(dtype, bound):
    model, (x, _) = network(3, 5, 2, dtype=dtype), data(7, 3, 2, dtype)
    point, jacobian = GaussNewton(model(x), list(model.parameters())), dense(model, x)
    v, u = torch.randn(jacobian.shape[1], dtype=dtype), torch.randn(7, 2, dtype=dtype)
    assert (point.jacobian(v).flatten() - jacobian @ v).norm() <= bound * (jacobian @ v).norm()
    assert (point.transpose(u) - jacobian.T @ u.flatten()).norm() <= bound * jacobian.norm() * u.norm()
    assert torch.dot(point(v), v) >= 0
    for rows in (point.rows(), point.columns(), sample_rows(model, point.parameters, [x])):
        assert (rows - jacobian).norm() <= bound * jacobian.norm()


@pytest.mark.parametrize("name", ["squared", "cross-entropy", "empirical"])
def test_products_equal_those_of_curvlinops(name):
    curvlinops = pytest.importorskip("curvlinops", reason="curvlinops is a peer, not a dependency")
    model, (x, y) = network(4, 6, 3), data(9, 4, 3)
    classes = torch.arange(9) % 3
    loss, theirs, targets, operator = {
        "squared": (SquaredError().fisher, nn.MSELoss(), y, curvlinops.GGNLinearOperator),
        "cross-entropy": (CrossEntropy().fisher, nn.CrossEntropyLoss(), classes, curvlinops.GGNLinearOperator),
        "empirical": (CrossEntropy().empirical, nn.CrossEntropyLoss(), classes, curvlinops.EFLinearOperator),
    }[name]
    outputs = model(x)
    point = GaussNewton(outputs, list(model.parameters()), lambda v: loss(outputs.detach(), targets, v))
    v = torch.randn(len(flat(model)), dtype=torch.float64)
    expected = operator(model, theirs, list(model.parameters()), [(x, targets)]) @ v
    scale = 1.5 if name == "squared" else 1.0  # MSELoss is the mean of squares over 3 outputs, ours half their sum
    assert (point(v) - scale * expected).norm() <= 1e-12 * expected.norm()


@pytest.mark.parametrize("loss", [SquaredError(), CrossEntropy(), Exponential()], ids=lambda loss: type(loss).__name__)
def test_written_hessians_are_those_of_automatic_differentiation(loss):
    f, v = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    y = torch.tensor([0, 2, 1, 1]) if isinstance(loss, CrossEntropy) else torch.rand(4, 3, dtype=torch.float64)
    assert torch.allclose(loss.hessian(f, y, v), Convex(loss.value).hessian(f, y, v), atol=1e-14)
    given = Convex(loss.value, loss.hessian)
    assert torch.equal(given.hessian(f, y, v), loss.hessian(f, y, v))


def expectation(loss, f):
    """Nodes and weights for the targets of one sample with outputs f: quadrature that is exact here."""
    if isinstance(loss, CrossEntropy):
        return [(torch.tensor([k]), float(p)) for k, p in enumerate(f.softmax(1)[0])]
    if isinstance(loss, Exponential):
        nodes, weights = np.polynomial.laguerre.laggauss(30)
        return [((f.exp() * t), w) for t, w in zip(nodes, weights)]
    if isinstance(loss, Laplace):
        nodes, weights = np.polynomial.laguerre.laggauss(30)
        mean, log_s = f.chunk(2, 1)
        return [(mean + s * log_s.exp() * t, w / 2) for t, w in zip(nodes, weights) for s in (-1, 1)]
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    mean, log_s = f.chunk(2, 1) if isinstance(loss, Gaussian) else (f, torch.zeros_like(f))
    return [(mean + log_s.exp() * t, w / math.sqrt(2 * math.pi)) for t, w in zip(nodes, weights)]


@pytest.mark.parametrize(
    "loss, outputs",
    [(SquaredError(), 1), (Gaussian(), 2), (Laplace(), 2), (Exponential(), 1), (CrossEntropy(), 3)],
    ids=lambda value: type(value).__name__,
)
def test_fisher_information_is_the_expected_square_of_the_score(loss, outputs):
    f = torch.tensor([[0.4, -0.7, 1.1]], dtype=torch.float64)[:, :outputs]
    expected = torch.zeros(outputs, outputs, dtype=torch.float64)
    for target, weight in expectation(loss, f):
        score = loss.gradient(f, target).flatten()
        expected += weight * torch.outer(score, score)
    unit = torch.eye(outputs, dtype=torch.float64)
    found = torch.cat([loss.fisher(f, target, e[None]) for e in unit])
    assert torch.allclose(found, expected, atol=1e-10)


def test_convolutions_shared_frozen_and_unused_parameters():
    torch.manual_seed(0)
    conv, extra = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(2, 2)
    model = nn.Sequential(conv, nn.Softplus(), conv).double()
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64)
    assert conv.bias is not None
    point = GaussNewton(model(x), [conv.weight, conv.bias, extra.weight])
    v = torch.randn(36 + 2 + 4, dtype=torch.float64)
    h = 1e-5
    ends = []
    with torch.no_grad():
        for sign in (1, -1):
            moved = copy.deepcopy(model)
            shared = moved[0]
            assert isinstance(shared, nn.Conv2d) and shared.bias is not None
            shared.weight.add_(sign * h * v[:36].view_as(conv.weight))
            shared.bias.add_(sign * h * v[36:38])
            ends.append(moved(x))
    assert torch.allclose(point.jacobian(v), (ends[0] - ends[1]) / (2 * h), atol=1e-8)
    assert not point(v)[38:].any()
    with pytest.raises(MvnetError, match="outputs: found no graph"):
        GaussNewton(x, [conv.weight])


# ---- conjugate gradients ----


def test_conjugate_gradients_solve_and_say_how():
    random = torch.Generator().manual_seed(0)
    a = torch.randn(20, 20, generator=random, dtype=torch.float64)
    matrix, b = a @ a.T + torch.eye(20, dtype=torch.float64), torch.randn(20, generator=random, dtype=torch.float64)
    found = conjugate_gradients(lambda v: matrix @ v, b, iterations=200, tolerance=1e-12)
    assert torch.allclose(matrix @ found.x, b, atol=1e-9) and not found.negative
    assert found.residual == pytest.approx(float((b - matrix @ found.x).norm() / b.norm()), abs=1e-9)
    inverse = matrix.inverse()
    assert conjugate_gradients(lambda v: matrix @ v, b, precondition=lambda v: inverse @ v).products <= 2
    assert not conjugate_gradients(lambda v: matrix @ v, torch.zeros_like(b)).x.any()


def test_conjugate_gradients_stop_at_negative_curvature():
    b = torch.tensor([1.0, 1.0, 1.0])
    matrix = torch.diag(torch.tensor([3.0, 2.0, -0.5]))
    found = conjugate_gradients(lambda v: matrix @ v, b)
    x = found.x
    assert found.negative and found.products > 1
    assert x @ matrix @ x / 2 - b @ x < 0
    first = conjugate_gradients(lambda v: -v, b)
    assert first.negative and torch.equal(first.x, b)
