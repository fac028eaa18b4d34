"""The metric of a damped, stochastic, limited-memory BFGS."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from mvnet.errors import MvnetError
from mvnet.optim.bfgs import BFGS, powell_factor, two_loop
from tests.optim.natural.networks import data, flat, network

N = 8


def quadratic(condition: float = 100.0, n: int = N) -> torch.Tensor:
    """A symmetric positive definite matrix."""
    basis = torch.linalg.qr(torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    return basis * torch.logspace(0, np.log10(condition), n, dtype=torch.float64) @ basis.T


def closure_of(matrix: torch.Tensor, x: nn.Parameter, scale: float = 1.0):
    def closure() -> torch.Tensor:
        x.grad = None
        loss = scale * (x @ matrix @ x) / 2
        loss.backward()
        return loss.detach()

    return closure


def inverse_metric(optimizer: BFGS, x: nn.Parameter) -> torch.Tensor:
    """G^-1 as a matrix."""
    unit = torch.eye(x.numel(), dtype=x.dtype)
    return torch.stack([optimizer.direction(optimizer.param_groups[0], {x: e})[x] for e in unit], 1)


def start(n: int = N, dtype: torch.dtype = torch.float64) -> nn.Parameter:
    return nn.Parameter(torch.randn(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype))


def test_secant_equation_symmetry_and_positive_definiteness():
    x = start()
    optimizer, closure = BFGS([x], 1.0), closure_of(quadratic(), x)
    for _ in range(5):
        optimizer.step(closure)
    inverse, entry = inverse_metric(optimizer, x), optimizer.state[x]
    assert torch.allclose(inverse @ entry["y"][-1], entry["s"][-1], rtol=1e-10)
    assert torch.allclose(inverse, inverse.T, rtol=1e-10)
    assert torch.linalg.eigvalsh((inverse + inverse.T) / 2)[0] > 0


def test_recursion_is_that_of_scipy_and_of_the_textbook():
    optimize = pytest.importorskip("scipy.optimize")
    random = np.random.default_rng(0)
    matrix = quadratic().numpy()
    s = random.standard_normal((5, N))
    y, g = s @ matrix, random.standard_normal(N)
    vectors = np.concatenate([s, y, g[None]])
    gram = torch.from_numpy(vectors @ vectors.T)
    found = two_loop(gram, scale=1.0).numpy() @ vectors
    assert np.allclose(found, optimize.LbfgsInvHessProduct(s, y) @ g, rtol=1e-9)
    # H <- (1 - s y^T / s^T y) H (1 - y s^T / s^T y) + s s^T / s^T y
    h = np.eye(N) * (s[-1] @ y[-1]) / (y[-1] @ y[-1])
    for a, b in zip(s, y):
        left = np.eye(N) - np.outer(a, b) / (a @ b)
        h = left @ h @ left.T + np.outer(a, a) / (a @ b)
    assert np.allclose(two_loop(gram).numpy() @ vectors, h @ g, rtol=1e-9)


def test_exact_line_search_ends_on_a_quadratic():
    matrix, x = quadratic(), start()
    optimizer = BFGS([x], 1.0, memory=N)
    group, closure = optimizer.param_groups[0], closure_of(matrix, x)
    for step in range(N + 1):
        closure()
        assert x.grad is not None
        g = x.grad.clone()
        d = optimizer.direction(group, {x: g})[x]
        best = float(g @ d / (d @ matrix @ d))
        group["lr"] = best if step else best * float(g.square().mean().sqrt()) / 1e-3  # the first step has length lr
        optimizer.step(closure)
        if float((matrix @ x.detach()).norm()) < 1e-8:
            break
    assert step < N and float((matrix @ x.detach()).norm()) < 1e-8


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_full_steps_converge_faster_than_linearly(dtype, bound):
    x = start(dtype=dtype)
    matrix = quadratic().to(dtype)
    optimizer, closure = BFGS([x], 1.0, memory=20), closure_of(matrix, x)
    sizes = []
    for _ in range(40):
        optimizer.step(closure)
        sizes.append(float((matrix @ x.detach()).norm()))
    assert min(sizes) < bound * sizes[0]
    if dtype == torch.float64:
        small = [b / a for a, b in pairwise(sizes) if sizes[0] * 1e-12 < a < sizes[0] * 1e-3]
        assert min(small) < 0.05


@pytest.mark.parametrize("with_closure", [True, False])
def test_the_unit_of_the_loss_does_not_matter(with_closure):
    ends = []
    for scale in (1.0, 1e6):
        x = start()
        optimizer, closure = BFGS([x], 1.0 if with_closure else 1e-2, every=2), closure_of(quadratic(), x, scale)
        for _ in range(12):
            if with_closure:
                optimizer.step(closure)
            else:
                closure()
                optimizer.step()
        ends.append(x.detach().clone())
    assert torch.allclose(*ends, rtol=1e-6)


def test_damping():
    assert powell_factor(0.5, 1.0) == 1
    for sy in (0.1, 0.0, -3.0):
        phi = powell_factor(sy, 1.0)
        assert 0 < phi < 1 and phi * sy + (1 - phi) == pytest.approx(0.2)
    # a saddle: the metric stays positive definite
    matrix = torch.diag(torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64))
    x = start(3)
    optimizer, closure = BFGS([x], 0.5), closure_of(matrix, x)
    for _ in range(10):
        optimizer.step(closure)
        inverse = inverse_metric(optimizer, x)
        assert torch.linalg.eigvalsh((inverse + inverse.T) / 2)[0] > 0


def test_steps_without_a_closure_have_the_length_of_the_rate():
    model, (x, y) = network(2, 8, 1), data(64, 2, 1)
    y = x[:, :1].sin() * x[:, 1:]
    optimizer = BFGS(model.parameters(), 1e-2, every=3)
    losses = []
    for k in range(120):
        for group in optimizer.param_groups:
            group["lr"] = 2e-2 * (1 - k / 120)
        before = flat(model)
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        length = float((flat(model) - before).square().mean().sqrt())
        assert length == pytest.approx(2e-2 * (1 - k / 120), rel=1e-6)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]
    entry = optimizer.state[next(model.parameters())]
    assert len(entry["s"]) == 10 and entry["s"].shape[1:] == next(model.parameters()).shape


def test_state_is_enough_to_go_on_and_parameters_come_and_go():
    model, (x, y) = network(2, 4, 1), data(16, 2, 1)
    optimizer = BFGS(model.parameters(), 1e-2, every=2)

    def advance(model: nn.Module, optimizer: BFGS, steps: int, skip: int | None = None) -> None:
        for k in range(steps):
            optimizer.zero_grad()
            (model(x) - y).square().mean().backward()
            if k == skip:
                next(model.parameters()).grad = None
            optimizer.step()

    advance(model, optimizer, 7, skip=3)
    twin = copy.deepcopy(model)
    resumed = BFGS(twin.parameters(), 1e-2, every=2)
    resumed.load_state_dict(optimizer.state_dict())
    advance(model, optimizer, 7)
    advance(twin, resumed, 7)
    assert torch.equal(flat(model), flat(twin))
    counts = {len(entry["s"]) for entry in optimizer.state.values()}
    assert len(counts) == 1
    before = flat(model)
    optimizer.zero_grad()
    for p in model.parameters():
        p.grad = torch.full_like(p, float("nan"))
    optimizer.step()
    assert torch.equal(flat(model), before)


@pytest.mark.parametrize("options", [{"memory": 0}, {"every": 0}, {"momentum": 1.0}, {"lr": -1.0}])
def test_bad_options(options):
    with pytest.raises(MvnetError, match=f"{next(iter(options))}: found"):
        BFGS([start()], **options)
