"""Two-layer ReLU networks as measures: the invariant of the flow, loss against width, margin against the best."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.harness import Target
from mvnet.optim import MeasureFlow, ReLUMeasure, largest_margin, margin_of

STARTS = 10


def teacher(examples: int = 100) -> tuple[Tensor, Tensor]:
    """Inputs, and twice the average of four neurons."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(examples, 2, generator=random, dtype=torch.float64)
    return x, 2 * ReLUMeasure.random(4, 2, generator=random, dtype=torch.float64)(x).detach()


def corners(seed: int, examples: int = 24) -> tuple[Tensor, Tensor]:
    """Points around the corners of a square; opposite corners are of one class."""
    random = torch.Generator().manual_seed(seed)
    corner = torch.tensor([[1.0, 1], [-1, -1], [1, -1], [-1, 1]], dtype=torch.float64)[torch.arange(examples) % 4]
    noise = torch.randn(examples, 2, generator=random, dtype=torch.float64)
    return corner + 0.4 * noise.clamp(-1.5, 1.5), corner.prod(-1)


def student(neurons: int, starts: int, seed: int = 1) -> ReLUMeasure:
    random = torch.Generator().manual_seed(seed)
    return ReLUMeasure.random(neurons, 2, batch=(starts,), generator=random, dtype=torch.float64)


def regress(neurons: int, starts: int, steps: int, keep: bool = True) -> dict[str, Any]:
    """One row: all starts side by side, time step .5."""
    x, y = teacher()
    measure = student(neurons, starts)
    before = measure.invariant.detach().clone()
    optimizer = MeasureFlow(measure, 0.5, keep=keep)
    begin = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        ((measure(x) - y).square().mean(-1) / 2).sum().backward()
        optimizer.step()
    seconds = time.perf_counter() - begin
    losses = (measure(x) - y).detach().square().mean(-1) / 2
    return {
        "J": neurons,
        "starts": starts,
        "steps": steps,
        "step": "scaled" if keep else "explicit",
        "median loss": float(losses.median()),
        "worst loss": float(losses.max()),
        "drift of the invariant": float((measure.invariant.detach() - before).abs().max()),
        "seconds": seconds,
    }


def classify(seed: int, steps: int, neurons: int = 64) -> dict[str, Any]:
    """One row: margin of the logistic flow over that of the linear programme."""
    x, y = corners(seed)
    measure = student(neurons, 1)
    optimizer = MeasureFlow(measure, 2.0)
    for _ in range(steps):
        optimizer.zero_grad()
        softplus(-y * measure(x)).mean().backward()
        optimizer.step()
    best, found = largest_margin(x, y, also=measure).margin, margin_of(measure, x, y).item()
    return {"corners": seed, "steps": steps, "margin": found, "largest": best, "ratio": found / best}


def measure(quick: bool) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows and targets."""
    torch.set_num_threads(1)
    steps = 1000 if quick else 4000
    rows = [regress(neurons, STARTS, steps) for neurons in ((2, 16) if quick else (2, 4, 8, 16))]
    rows += [wide := regress(256, STARTS, steps), regress(16, STARTS, steps, keep=False)]
    kept = max(row["drift of the invariant"] for row in rows if row["step"] == "scaled")
    margins = [classify(seed, 2000 if quick else 20_000) for seed in range(1 if quick else 3)]
    ratio = min(row["ratio"] for row in margins)
    return [*rows, *margins], [
        Target(f"invariant over {steps} steps of .5", kept, "<= 1e-10", kept <= 1e-10),
        Target(f"worst of {STARTS} starts at J = 256", wide["worst loss"], "<= 1e-4", wide["worst loss"] <= 1e-4),
        Target("margin over that of the linear programme", ratio, ">= 0.9", ratio >= 0.9),
    ]
