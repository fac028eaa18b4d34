"""Training as control: successive approximations, learned time steps, deep limits (paper section 3).

500 points of a disc and of a ring around it are moved by a ResNet of 20 layers on [0, 5] to (1, 0) and (-1, 0); the
loss is half the mean squared distance. Deep limits: 100 of the points, [0, 1], (40) with lambda 1e-2 against total
variation with a small weight decay, K = 5, 10, ..., 80.

Targets: the extended method with three inner iterations is monotone and below .05 after 200 iterations; learned steps
(Adam, rate .5 for the steps) reach no larger loss than fixed ones with at most 14 of 20 layers; the minima and the
parameters of (40) converge with rate 1 +- .15. Total variation is reported.

usage: python -m benchmarks.control [--quick] [--json FILE|-]
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Benchmark, Target
from mvnet.control import (
    MSA,
    Minimum,
    RescaledField,
    SimplexSteps,
    TotalVariation,
    deep_limit,
    h1,
    l2,
    proximal_minimum,
    smooth_minimum,
    total_variation,
)
from mvnet.fields import LayerField
from mvnet.integrators import odeint

LAYERS, DURATION = 20, 5.0
Rows = tuple[list[dict[str, Any]], list[Target]]


def donut(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Points of a disc of radius .425 and of a ring from .575 to 1, in turn, and their targets."""
    generator = torch.Generator().manual_seed(seed)
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    share = torch.rand(n, generator=generator)
    inner = torch.arange(n) % 2 == 0
    radius = torch.where(inner, 0.425 * share.sqrt(), (0.575**2 + (1 - 0.575**2) * share).sqrt())
    x = radius[:, None] * torch.stack([angle.cos(), angle.sin()], -1)
    return x, torch.where(inner[:, None], torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0]))


def distance(y: Tensor, z: Tensor) -> Tensor:
    """Mean of |z - y|^2 / 2."""
    return (z - y).square().sum(-1).mean() / 2


def network(seed: int = 1) -> LayerField:
    """The ResNet before training."""
    generator = torch.Generator().manual_seed(seed)
    return LayerField(2, intervals=LAYERS, duration=DURATION, generator=generator)


def approximations(quick: bool) -> Rows:
    """Successive approximations in all forms, Adam and L-BFGS beside them."""
    x, y = donut(500)
    loss = partial(distance, y)
    iterations = 20 if quick else 200
    forms: dict[str, dict[str, Any]] = {
        "MSA": {"rho": 0.0, "safeguard": False},
        "E-MSA, rho 1": {"rho": 1.0, "safeguard": False},
        "E-MSA, safeguarded": {},
        "E-MSA, safeguarded, 10 inner": {"inner": 10},
        "E-MSA, safeguarded, states only": {"hold_costates": False},
    }
    rows, targets = [], []
    for name, options in forms.items():
        field = network()
        msa, begin = MSA(field, field.grid.times(), **options), time.perf_counter()
        values = [msa.step(x, loss).loss for _ in range(iterations)]
        rows.append(_row(name, iterations, values, begin))
        if name == "E-MSA, safeguarded":
            targets.append(_at_most("E-MSA: largest rise of the loss", max(b - a for a, b in pairwise(values)), 0.0))
            targets.append(_at_most(f"E-MSA: loss after {iterations} iterations", values[-1], 0.05))
    field = network()
    msa, begin, generator = MSA(field, field.grid.times()), time.perf_counter(), torch.Generator().manual_seed(0)
    values = []
    for _ in range(iterations):
        batch = torch.randperm(len(x), generator=generator)[:50]
        msa.step(x[batch], partial(distance, y[batch]))
        values.append(msa.evaluate(x, loss))
    rows.append(_row("E-MSA, batches of 50", iterations, values, begin))
    for name, steps in (("Adam, rate .1", 3 * iterations), ("L-BFGS", 2 * iterations)):
        begin = time.perf_counter()
        rows.append(_row(name, steps, _by_gradients(name, network(), x, loss, steps), begin))
    return rows, targets


def _by_gradients(name: str, field: LayerField, x: Tensor, loss: Callable[[Tensor], Tensor], steps: int) -> list[float]:
    values: list[float] = []
    times = field.grid.times()

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(odeint(field, x, times, method="lie_euler", save="last"))
        value.backward()
        return value

    if name == "L-BFGS":
        optimizer: torch.optim.Optimizer = torch.optim.LBFGS(
            field.parameters(), max_iter=1, line_search_fn="strong_wolfe"
        )
    else:
        optimizer = torch.optim.Adam(field.parameters(), 0.1)
    for _ in range(steps):
        values.append(float(closure().detach()))
        optimizer.step(closure)
    return values


def learned_steps(quick: bool) -> Rows:
    """Adam with fixed and with learned steps."""
    rows, targets = [], []
    x, y = donut(500)
    iterations = 40 if quick else 800
    for seed in (1, 2):
        found = {}
        for name, rate in (("fixed", None), ("learned, rate .5", 0.5), ("learned, rate 2", 2.0)):
            begin = time.perf_counter()
            value, layers = _train_steps(seed, rate, x, y, iterations)
            found[rate] = value, layers
            seconds = time.perf_counter() - begin
            rows.append({"steps": name, "seed": seed, "loss": value, "layers": layers, "s": seconds})
        (fixed, _), (learned, layers) = found[None], found[0.5]
        targets.append(_at_most(f"learned steps, seed {seed}: loss over that of fixed ones", learned / fixed, 1.0))
        targets.append(_at_most(f"learned steps, seed {seed}: layers left of {LAYERS}", layers, 14))
    return rows, targets


def _train_steps(seed: int, rate: float | None, x: Tensor, y: Tensor, iterations: int) -> tuple[float, int]:
    field, steps = network(seed), SimplexSteps(LAYERS, DURATION)
    model = RescaledField(field, steps)
    groups: list[dict[str, Any]] = [{"params": list(field.parameters()), "lr": 0.1}]
    if rate is not None:
        groups.append({"params": [steps.raw], "lr": rate})
    optimizer = torch.optim.Adam(groups)
    if rate is not None:
        steps.attach(optimizer)
    times, value = field.grid.times(), torch.zeros(())
    for _ in range(iterations):
        optimizer.zero_grad()
        value = distance(y, odeint(model, x, times, method="lie_euler", save="last"))
        value.backward()
        optimizer.step()
    return float(value.detach()), len(steps.active_layers())


def deep_limits(quick: bool) -> Rows:
    """Nested refinement with (40), and with total variation in its place."""
    x, y = (v.double() for v in donut(20 if quick else 100))
    counts = [5, 10, 20] if quick else [5, 10, 20, 40, 80]
    weight = torch.randn(2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 2**0.5
    start = [weight.expand(5, 2, 2), torch.zeros(5, 2, dtype=torch.float64)]

    def data(theta: Sequence[Tensor]) -> Tensor:
        matrices, biases = theta
        z = x
        for a, b in zip(matrices, biases, strict=True):
            z = z + (z @ a.mT + b).tanh() / len(matrices)
        return distance(y, z)

    def smooth(theta: Sequence[Tensor]) -> Minimum:
        return smooth_minimum(lambda p: data(p) + 1e-2 * h1(p), theta, iterations=100 if quick else 500)

    def proximal(theta: Sequence[Tensor]) -> Minimum:
        return proximal_minimum(
            lambda p: data(p) + 1e-2 * l2(p),
            theta,
            TotalVariation(1e-2),
            lambda p: 1e-2 * total_variation(p),
            iterations=50 if quick else 500,
            tolerance=1e-7,
        )

    rows, targets = [], []
    for name, minimise in (("H1 (40)", smooth), ("total variation", proximal)):
        begin = time.perf_counter()
        limit = deep_limit(minimise, start, counts)
        seconds = time.perf_counter() - begin
        columns = zip(
            counts, limit.minima, [None, None, *limit.value_rates], [None, None, *limit.parameter_rates], strict=True
        )
        for count, minimum, value_rate, parameter_rate in columns:
            rows.append({
                "regulariser": name,
                "K": count,
                "minimum": minimum.value,
                "residual": minimum.residual,
                "rate of values": value_rate,
                "rate of parameters": parameter_rate,
                "s in all": seconds,
            })  # fmt: skip
        if minimise is smooth:
            for kind, rates in (("values", limit.value_rates), ("parameters", limit.parameter_rates)):
                worst = max(rates, key=lambda rate: abs(rate - 1))
                targets.append(Target(f"deep limit, rate of {kind}", worst, "1 +- 0.15", abs(worst - 1) <= 0.15))
    return rows, targets


def _row(name: str, iterations: int, values: list[float], begin: float) -> dict[str, Any]:
    rise = max(b - a for a, b in pairwise(values))
    seconds = time.perf_counter() - begin
    return {"method": name, "iterations": iterations, "loss": values[-1], "largest rise": max(rise, 0.0), "s": seconds}


def _at_most(name: str, value: float, bound: float) -> Target:
    return Target(name, value, f"<= {bound:g}", value <= bound)


def main() -> None:
    benchmark = Benchmark("control", __doc__)
    rows, targets = [], []
    for part in (approximations, learned_steps, deep_limits):
        its_rows, its_targets = part(benchmark.quick)
        rows += its_rows
        targets += its_targets
    benchmark.report(rows, targets)


if __name__ == "__main__":
    main()
