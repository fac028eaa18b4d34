"""Figure 1 of the paper: a ResNet (6) with 20 layers as a flow that separates two classes, in the plane and in space.

The link function is tanh, loss and regulariser are squared 2-norms: |z(T) - y|^2 / 2 with targets y = (-+1, 0, ...) for
the classes, and lambda / 2 times the integral of |theta(t)|^2. 500 points to train on, 500 others to test.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Benchmark, Target
from mvnet.data_loaders.point_sets import POINT_SETS
from mvnet.fields import LayerField
from mvnet.integrators import odeint

POINTS, LAYERS, ITERATIONS, RATE, WEIGHT_DECAY = 500, 20, 400, 0.05, 1e-3
TRAIN, TEST = 0.94, 0.90


def flow(field: LayerField, points: Tensor) -> Tensor:
    """The output of the network: explicit Euler, one step for each layer."""
    return odeint(field, points, field.grid.times(), method="lie_euler", save="last")


def train(name: str, duration: float, iterations: int = ITERATIONS, seed: int = 0, solve: Any = flow) -> dict[str, Any]:
    """One row: a set of points, trained by Adam on all of it."""
    generator = torch.Generator().manual_seed(seed)
    points, labels = POINT_SETS[name](POINTS, generator)
    others, answers = POINT_SETS[name](POINTS, generator)
    field = LayerField(points.shape[1], intervals=LAYERS, duration=duration, generator=generator)
    targets = torch.zeros_like(points)
    targets[:, 0] = 2.0 * labels - 1
    optimizer = torch.optim.Adam(field.parameters(), lr=RATE)
    begin, loss = time.perf_counter(), torch.zeros(())
    for _ in range(iterations):
        optimizer.zero_grad()
        fit = (solve(field, points) - targets).square().sum(-1).mean() / 2
        size = duration / LAYERS * sum(p.square().sum() for p in field.parameters())
        loss = fit + WEIGHT_DECAY / 2 * size
        loss.backward()
        optimizer.step()
    seconds = time.perf_counter() - begin
    with torch.no_grad():
        right = [
            ((solve(field, x)[:, 0] > 0) == y).float().mean().item() for x, y in ((points, labels), (others, answers))
        ]
    return {
        "set": name,
        "T": duration,
        "train": right[0],
        "test": right[1],
        "loss": loss.item(),
        "ms per iteration": 1e3 * seconds / iterations,
    }


def peer() -> Any:
    """torchdiffeq's Euler method on the same grid."""
    import torchdiffeq

    return lambda field, points: torchdiffeq.odeint(field, points, field.grid.times(), method="euler")[-1]


def main() -> None:
    benchmark = Benchmark("figure1", __doc__)
    torch.set_num_threads(1)
    rows, targets = [], []
    for duration in (5.0,) if benchmark.quick else (5.0, 10.0):
        for name in POINT_SETS:
            row = train(name, duration)
            rows.append({"solver": "mvnet", **row})
            if duration == 5.0:
                for kind, least in (("train", TRAIN), ("test", TEST)):
                    value = row[kind]
                    targets.append(Target(f"{name}, T = 5: {kind} accuracy", value, f">= {least:g}", value >= least))
    try:
        solve = peer()
    except ModuleNotFoundError:
        pass
    else:
        rows.append(
            {"solver": "torchdiffeq", **train("donut", 5.0, 20 if benchmark.quick else ITERATIONS, solve=solve)}
        )
    benchmark.report(rows, targets)


if __name__ == "__main__":
    main()
