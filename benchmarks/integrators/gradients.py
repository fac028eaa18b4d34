"""Gradients of RK4 solves against autograd through the same steps, float64: relative error over all parameters.

The reversible mode solves a coupled pair of equations; its gradient is compared with autograd through that pair.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmarks.harness import Target
from mvnet.integrators import odeint
from mvnet.integrators.explicit import advance, stages
from mvnet.integrators.gradients.reversible import COUPLING
from mvnet.integrators.tableaus import RK4

DTYPE, WIDTH = torch.float64, 8
EXACT = ("checkpoint", "symplectic_adjoint")
BARS = {1.0: 1e-12, 10.0: 1e-11}
"""T -> largest error of the reversible mode on skew fields."""


class Net(nn.Module):
    """Fields of paper section 2.1 and a perceptron: "skew" (S - S^T), "contractive" -A^T tanh(A z), "perceptron"."""

    def __init__(self, kind: str):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.kind = kind
        self.a = nn.Parameter(0.5 * torch.randn(WIDTH, WIDTH, generator=generator, dtype=DTYPE))
        self.c = nn.Parameter(0.5 * torch.randn(WIDTH, WIDTH, generator=generator, dtype=DTYPE))
        self.b = nn.Parameter(torch.randn(WIDTH, generator=generator, dtype=DTYPE))

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        inside = self.b * torch.cos(t)
        if self.kind == "skew":
            return torch.tanh(z @ (self.a - self.a.T) + inside)
        if self.kind == "contractive":
            return -torch.tanh(z @ self.a.T + inside) @ self.a
        return torch.tanh(z @ self.a.T + inside) @ self.c


def coupled(field: nn.Module, z0: Tensor, times: Tensor) -> Tensor:
    """The pair of equations of the reversible mode, step by step."""

    def increment(t: Tensor, h: Tensor, z: Tensor) -> Tensor:
        slopes = stages(RK4, field, h, [t + c * h for c in RK4.c], z, ())
        return advance(torch.zeros_like(z), h, RK4.b, slopes)

    y = z = z0
    for a, b in pairwise(times):
        y = COUPLING * y + (1 - COUPLING) * z + increment(a, b - a, z)
        z = z - increment(b, a - b, y)
    return y


def gradient(field: nn.Module, end: Tensor) -> Tensor:
    weights = torch.arange(1, end.numel() + 1, dtype=DTYPE).reshape(end.shape)
    found = torch.autograd.grad((weights * end.sin()).sum(), list(field.parameters()), allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None])


def measure(quick: bool) -> tuple[list[dict], list[Target]]:
    """Rows and targets for every field, mode, number of steps and end."""
    rows, worst = [], {}
    z0 = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(1), dtype=DTYPE)
    for kind in ("skew", "perceptron", "contractive"):
        field = Net(kind)
        for end in BARS:
            for steps in (10, 100) if quick else (10, 100, 1000):
                times = torch.linspace(0, end, steps + 1, dtype=DTYPE)

                def solve(mode: str, field: nn.Module = field, times: Tensor = times) -> Tensor:
                    return gradient(field, odeint(field, z0, times, method="rk4", gradient=mode, save="last"))

                references = {"discrete": solve("discrete")}
                if kind != "contractive":
                    references["reversible"] = gradient(field, coupled(field, z0, times))
                for mode in (*EXACT, "reversible", "continuous"):
                    expected = references.get(mode, references["discrete"])
                    if mode == "reversible" and mode not in references:
                        continue  # refused on contractive fields
                    error = float((solve(mode) - expected).norm() / expected.norm())
                    rows.append({"field": kind, "T": end, "steps": steps, "gradient": mode, "error": error})
                    key = (mode, end, kind) if mode == "reversible" else (mode,)
                    worst[key] = max(worst.get(key, 0.0), error)
    targets = [Target(f"{m}: error", worst[m,], "<= 1e-12", worst[m,] <= 1e-12) for m in EXACT]
    for end, bar in BARS.items():
        value = worst["reversible", end, "skew"]
        targets.append(Target(f"reversible, skew field, T = {end:g}: error", value, f"<= {bar:g}", value <= bar))
    return rows, targets
