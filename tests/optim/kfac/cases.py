"""Networks, data and losses for the tests of Kronecker-factored curvature."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mvnet.equivariant import field_type, group
from mvnet.optim import KFAC
from mvnet.optim.kfac.layers import find_layers

SQUARE = group("D4")
SCALARS, FEATURES = field_type(SQUARE, {"trivial": 1}), field_type(SQUARE, {"regular": 1, "trivial": 1})


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def seeded(*layers: nn.Module, dtype: torch.dtype = torch.float64) -> Any:
    """A network with weights of its own generator."""
    model = nn.Sequential(*layers).to(dtype)
    for seed, parameter in enumerate(model.parameters()):
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 4
        parameter.data.copy_(normal(*parameter.shape, seed=seed) / fan_in**0.5)
    return model


def perceptron(dtype: torch.dtype = torch.float64, activation: type[nn.Module] = nn.Tanh) -> Any:
    return seeded(nn.Linear(5, 6), activation(), nn.Linear(6, 4), activation(), nn.Linear(4, 3), dtype=dtype)


def convolutions() -> Any:
    second = nn.Conv2d(3, 4, 3, stride=2, dilation=2, padding=(2, 1))
    return seeded(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(inplace=True), second, nn.Flatten(), nn.Linear(24, 3))


def observe(optimizer: KFAC, model: Any, x: Tensor) -> list[dict]:
    """The states of the layers after one pass."""
    model.train()
    model(x)
    model.eval()
    return [optimizer.state[layer.weight] for layer in find_layers(model, 1000)]


def losses(seed: int, count: int) -> dict[str, tuple[nn.Module, Tensor]]:
    """Likelihood -> the loss of torch and some targets."""
    y = normal(count, 3, seed=seed)
    return {
        "gaussian": (nn.MSELoss(), y),
        "categorical": (nn.CrossEntropyLoss(), y.argmax(1)),
        "bernoulli": (nn.BCEWithLogitsLoss(), (y > 0).double()),
    }


def loss_of(model: nn.Module, number: int) -> Tensor:
    dtype = next(model.parameters()).dtype
    return nn.functional.cross_entropy(model(normal(8, 5, seed=number, dtype=dtype)), torch.arange(8) % 3)


def descend(model: nn.Module, optimizer: torch.optim.Optimizer, numbers: range) -> None:
    for number in numbers:
        optimizer.zero_grad()
        loss_of(model, number).backward()
        optimizer.step()
