"""Parameters on manifolds: orthonormal matrices against geoopt and torch, drift, large turns, laws of the geometry."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Target
from mvnet.linalg import so3
from mvnet.manifolds import Grassmann, ManifoldParameter, MatrixGroup, Rotations, Stiefel
from mvnet.nn import RotationMapping
from mvnet.optim import RiemannianAdam, RiemannianSGD

BATCH = 256
RATES = (0.01, 0.03, 0.1)
Training = tuple[Callable[[], Tensor], torch.optim.Optimizer]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Regression:
    """|A x - A y|^2 for an orthonormal target y, from an orthonormal start, n x p, float32."""

    def __init__(self, n: int, p: int):
        random, self.space = generator(0), Stiefel(n, p)
        self.target, self.start = self.space.random_point((2,), generator=random)
        self.inputs = torch.randn(BATCH, n, generator=random)
        self.outputs = self.inputs @ self.target
        self.size = (n * p) ** 0.5

    def loss(self, x: Tensor) -> Tensor:
        return (self.inputs @ x - self.outputs).square().mean()

    def ours(self, rate: float) -> Training:
        x = ManifoldParameter(self.start.clone(), self.space)
        return lambda: self.loss(x), RiemannianAdam([x], rate)

    def geoopt(self, rate: float) -> Training:
        """Its second moment is the sum over a matrix: rates are scaled by the root of their number, over 4."""
        geoopt: Any = import_module("geoopt")
        x = geoopt.ManifoldParameter(self.start.clone(), manifold=geoopt.Stiefel())
        return lambda: self.loss(x), geoopt.optim.RiemannianAdam([x], rate * self.size / 4)

    def matrix_exp(self, rate: float) -> Training:
        n, p = self.start.shape
        layer = nn.Linear(p, n, bias=False)
        with torch.no_grad():
            layer.weight.copy_(self.start)
        nn.utils.parametrizations.orthogonal(layer, orthogonal_map="matrix_exp")
        return lambda: self.loss(layer.weight), torch.optim.Adam(layer.parameters(), rate)


def train(training: Training, steps: int) -> list[float]:
    """Seconds of every step."""
    loss, optimizer = training
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    return seconds


def stiefel(n: int, p: int, steps: int, repeats: int) -> tuple[dict[str, Any], list[Target]]:
    """Time of a step in turns, and the loss after some steps, each at its best rate."""
    problem = Regression(n, p)
    makers = {"ours": problem.ours, "geoopt": problem.geoopt, "matrix_exp": problem.matrix_exp}
    times: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(repeats):
        for name, make in makers.items():
            times[name] += train(make(0.01), 4 if name == "matrix_exp" else 20)[2:]
    best = {}
    for name in ("ours", "geoopt"):
        losses = []
        for rate in RATES:
            training = makers[name](rate)
            train(training, steps)
            losses.append(float(training[0]()))
        best[name] = min(losses)
    ms = {name: 1e3 * min(values) for name, values in times.items()}
    ratios = [ms["ours"] / ms["geoopt"], ms["ours"] / ms["matrix_exp"]]
    label = f"Stiefel {n}x{p}"
    row = {"problem": label, **{f"ms {name}": value for name, value in ms.items()}}
    row |= {f"loss {name}": value for name, value in best.items()}
    return row, [
        Target(f"{label}, step over geoopt's", ratios[0], "<= 0.9", ratios[0] <= 0.9),
        Target(f"{label}, step over matrix_exp's", ratios[1], "<= 0.1", ratios[1] <= 0.1),
        Target(f"{label}, loss over geoopt's", best["ours"] / best["geoopt"], "<= 1", best["ours"] <= best["geoopt"]),
    ]


def drift(rate: float, steps: int) -> float:
    """Largest entry of x^T x - 1 over steps along noise, 64 x 16, float32."""
    random, space = generator(1), Stiefel(64, 16)
    x = ManifoldParameter(space.random_point((), generator=random), space)
    optimizer, worst = RiemannianAdam([x], rate), 0.0
    for _ in range(steps):
        x.grad = torch.randn(64, 16, generator=random)
        optimizer.step()
        worst = max(worst, float(space.violation(x.detach())))
    return worst


def steps_to_turn(coordinates: str, rate: float, angle: float = 3.0) -> int:
    """Least squares with momentum: steps until 8 rotations, turned by an angle, are found up to .05 rad."""
    random = generator(0)
    layer = RotationMapping(8, coordinates=coordinates, generator=random)
    axes = nn.functional.normalize(torch.randn(8, 3, generator=random), dim=-1)
    target = layer.weight.detach() @ so3.exp(angle * axes)
    optimizer = RiemannianSGD(layer.parameters(), rate)
    for step in range(200):
        if float(Rotations().dist(layer.weight.detach(), target).max()) < 0.05:
            return step
        optimizer.zero_grad()
        (layer(torch.eye(3).expand(8, 3, 3)) - target).square().sum().div(4).backward()
        optimizer.step()
    return 200


def laws() -> list[dict[str, Any]]:
    """Relative error of the norms of transported vectors, and of exp(log), float64."""
    rows = []
    for m in (Stiefel(12, 4), Grassmann(12, 4), MatrixGroup("GL", 3), MatrixGroup("Sp", 4), MatrixGroup("SE", 3)):
        random = generator(2)
        x = m.random_point((8,), generator=random, dtype=torch.float64)
        v, u = (m.random_tangent(x, generator=random) for _ in range(2))
        y = m.exp(x, v / m.expand(m.norm(x, v)))
        carried = m.transport(x, y, u)
        isometry = (m.norm(y, carried) / m.norm(x, u) - 1).abs().max().item()
        rows.append(
            {
                "manifold": str(m),
                "transport": isometry,
                "exp(log)": m.dist(m.exp(x, m.log(x, y)), y).max().item(),
                "violation": m.violation(y).max().item(),
            }
        )
    return rows


def measure(quick: bool) -> tuple[list[dict], list[Target]]:
    """Rows and targets; a minute, or a few seconds when quick."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows, targets = [], []
        for n, p, steps in ((128, 32, 80), (256, 256, 30)):
            row, found = stiefel(n, p, steps, repeats=2 if quick else 6)
            rows.append(row)
            targets += found
        for rate in (0.01, 0.1, 0.5):
            worst = drift(rate, 400 if quick else 4000)
            rows.append({"drift at rate": rate, "x^T x - 1": worst})
            targets.append(Target(f"drift of float32 at rate {rate}", worst, "<= 5e-6", worst <= 5e-6))
        turns = {c: min(steps_to_turn(c, rate) for rate in (0.1, 0.3, 1.0)) for c in ("axis", "manifold")}
        rows.append({"turn of 3 rad": "steps at the best rate", **turns})
        ratio = turns["manifold"] / turns["axis"]
        targets.append(Target("rotation mapping, steps over those in axis coordinates", ratio, "<= 0.5", ratio <= 0.5))
        geometry = laws()
        worst = max(row["transport"] for row in geometry)
        targets.append(Target("parallel transport is isometric", worst, "<= 1e-10", worst <= 1e-10))
        return [*rows, *geometry], targets
    finally:
        torch.set_num_threads(threads)
