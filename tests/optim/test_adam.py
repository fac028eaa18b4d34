"""Adam in the correct form of (53): against torch, and against what the printed form does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mvnet.optim import SGD, Adam, AdamW, AMSGrad

PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "adam": (Adam, torch.optim.Adam),
    "adamw": (AdamW, torch.optim.AdamW),
    "amsgrad": (AMSGrad, lambda p, **options: torch.optim.Adam(p, amsgrad=True, **options)),
    "adamw-amsgrad": (
        lambda p, **options: AdamW(p, amsgrad=True, **options),
        lambda p, **options: torch.optim.AdamW(p, amsgrad=True, **options),
    ),
}
OPTIONS = [{"lr": 3e-3, "weight_decay": 0.0}, {"lr": 0.1, "weight_decay": 0.05}]


def train(optimizer: torch.optim.Optimizer, model: nn.Module, x: Tensor, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "decay"])
@pytest.mark.parametrize("name", PAIRS)
def test_bitwise_that_of_torch(name: str, options: dict[str, float], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 2)).to(dtype)
    other, x = copy.deepcopy(model), torch.randn(8, 3, dtype=dtype)
    ours, theirs = PAIRS[name]
    # one parameter after another: the batched variants of torch round differently
    train(ours(model.parameters(), **options), model, x, 40)
    train(theirs(other.parameters(), foreach=False, **options), other, x, 40)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def test_moments_of_torch() -> None:
    """b1 and b2 are beta1 and beta2; eps is added to the root."""
    theta, other = (nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64)) for _ in range(2))
    ours = Adam([theta], 0.1, beta1=0.6, beta2=0.7, eps=0.3)
    theirs = torch.optim.Adam([other], 0.1, betas=(0.6, 0.7), eps=0.3)
    for p, optimizer in ((theta, ours), (other, theirs)):
        for _ in range(10):
            optimizer.zero_grad()
            p.pow(4).sum().backward()
            optimizer.step()
    assert torch.equal(theta, other)
    for name in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(ours.state[theta][name], theirs.state[other][name])


def test_printed_form_of_53_diverges() -> None:
    """Dividing the stored moments by the bias correction in every step lets the factors accumulate.

    On a problem where the correct form stays below its start, v exceeds 1e70 after 50 steps.
    """
    b1, b2, rate = 0.9, 0.999, 0.1
    start = torch.tensor([-0.5, 0.8], dtype=torch.float64)

    def gradient(z: Tensor) -> Tensor:
        x, y = z
        return torch.stack((4 * x - 4.2 * x**3 + x**5 + y, x + 2 * y))

    theta, m, v = start, torch.zeros_like(start), torch.zeros_like(start)
    for k in range(1, 51):
        g = gradient(theta)
        m = (b1 * m + (1 - b1) * g) / (1 - b1**k)
        v = (b2 * v + (1 - b2) * g * g) / (1 - b2**k)
        theta = theta - rate * m / (v.sqrt() + 1e-8)
    assert float(v.max()) > 1e70

    theta = nn.Parameter(start.clone())
    optimizer = Adam([theta], rate)
    for _ in range(50):
        theta.grad = gradient(theta.detach())
        optimizer.step()
    assert float(theta.detach().norm()) < float(start.norm())
    assert float(optimizer.state[theta]["exp_avg_sq"].max()) < 1


def test_amsgrad_never_forgets_a_large_gradient() -> None:
    theta = nn.Parameter(torch.zeros(1))
    optimizer = AMSGrad([theta], 0.1, beta2=0.5)
    largest = 0.0
    for size in (1.0, 10.0, 0.1, 0.1, 0.1):
        theta.grad = torch.tensor([size])
        optimizer.step()
        found = optimizer.state[theta]["max_exp_avg_sq"].item()
        assert found >= largest
        largest = found
    assert largest == pytest.approx(50.25, rel=0.01)


def test_gradient_descent_of_a_network_takes_ten_times_the_rate() -> None:
    model = nn.Linear(2, 1)
    assert SGD.for_model(model, 1e-3).param_groups[0]["lr"] == pytest.approx(1e-2)
