"""A step of RK4, forward and backward, against torchdiffeq's `method="rk4"` on the same grid of times.

The share of the solver is the step minus four evaluations of the field with their backward passes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.harness import Target
from benchmarks.integrators.timing import fastest
from mvnet.integrators import odeint

STEPS = 10
BARS = {"MLP 2-50": 0.8, "MLP 64-128": 0.8, "convolution": 0.95, "pointwise": 0.35}
SHARE_BARS = {"MLP 2-50": 0.5, "convolution": 0.5, "pointwise": 0.5}


class Pointwise(nn.Module):
    """tanh(w z + b), one w and b for each channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(0.5 * torch.randn(channels, 1, 1))
        self.bias = nn.Parameter(0.1 * torch.randn(channels, 1, 1))

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.weight * z + self.bias)


class Autonomous(nn.Module):
    """f(t, z) = net(z)."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return self.net(z)


def cases() -> dict[str, tuple[nn.Module, Tensor]]:
    """name -> (field, initial state), float32."""
    torch.manual_seed(0)

    def perceptron(width: int, hidden: int) -> nn.Module:
        return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, width))

    return {
        "MLP 2-50": (Autonomous(perceptron(2, 50)), torch.randn(20, 2)),
        "MLP 64-128": (Autonomous(perceptron(64, 128)), torch.randn(256, 64)),
        "convolution": (
            Autonomous(nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.Tanh())),
            torch.randn(4, 32, 32, 32),
        ),
        "pointwise": (Autonomous(Pointwise(32)), torch.randn(8, 32, 64, 64)),
    }


def solvers(field: nn.Module, z0: Tensor) -> dict[str, Callable[[], object]]:
    """Solves with the backward pass of the sum of the last state, and the evaluations alone."""
    from torchdiffeq import odeint as torchdiffeq_odeint

    times = torch.linspace(0, 1, STEPS + 1)
    time, weight = torch.tensor(0.5), torch.ones_like(z0)

    def run(solve: Callable[[Tensor], Tensor]) -> None:
        start = z0.clone().requires_grad_()
        field.zero_grad()
        solve(start).backward(weight)

    def torchdiffeq(z: Tensor) -> Tensor:
        states = torchdiffeq_odeint(field, z, times, method="rk4")
        assert isinstance(states, Tensor)
        return states[-1]

    def ours(method: str, gradient: str = "discrete") -> Callable[[], object]:
        return lambda: run(lambda z: odeint(field, z, times, method=method, gradient=gradient, save="last"))

    def evaluations() -> None:
        start = z0.clone().requires_grad_()
        field.zero_grad()
        values = [field(time, start) for _ in range(4 * STEPS)]
        torch.autograd.backward(values, [weight] * len(values))

    return {
        "torchdiffeq": lambda: run(torchdiffeq),
        "rk4": ours("rk4"),
        "rkmk4": ours("rkmk4"),
        "symplectic adjoint": ours("rk4", "symplectic_adjoint"),
        "checkpoint": ours("rk4", "checkpoint"),
        "evaluations": evaluations,
    }


def measure(quick: bool) -> tuple[list[dict], list[Target]]:
    """Rows and targets of the four fields."""
    rows, targets = [], []
    for name, (field, z0) in cases().items():
        found = {k: ms / STEPS for k, ms in fastest(solvers(field, z0), 2 if quick else 15).items()}
        peer, bare = found["torchdiffeq"], found["evaluations"]
        for solver, ms in found.items():
            row = {"field": name, "solver": solver, "ms a step": ms, "ratio": ms / peer, "beside the field": ms - bare}
            rows.append(row)
        ratio, share = found["rk4"] / peer, (found["rk4"] - bare) / (peer - bare)
        bar = BARS[name]
        targets.append(Target(f"{name}: rk4 step over torchdiffeq's", ratio, f"<= {bar}", ratio <= bar))
        if name in SHARE_BARS:
            bar = SHARE_BARS[name]
            targets.append(Target(f"{name}: solver's own time over torchdiffeq's", share, f"<= {bar}", share <= bar))
    return rows, targets
