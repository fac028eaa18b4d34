"""A batch in which one sample of ten is up to 1000 times stiffer: dopri5 of ours, torchdiffeq and torchode.

    z' = -k (z - cos t) - sin t,    z(0) = z_0,    z(t) = cos t + (z_0 - 1) exp(-k t)

Tolerances 1e-6 for all. An evaluation is one of one sample; torchdiffeq steps with all samples alike, torchode with
each by itself, but evaluates those that have finished until the last one has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Target
from benchmarks.integrators.timing import fastest
from mvnet.integrators import odeint

SAMPLES, WIDTH, TOLERANCE = 256, 4, 1e-6


class Problem:
    """Rates and starts, and how often a sample is evaluated."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.rate = torch.ones(SAMPLES, 1, dtype=torch.float64)
        stiff = SAMPLES // 10
        self.rate[:stiff] = 1000 ** torch.rand(stiff, 1, generator=generator, dtype=torch.float64)
        self.z0 = torch.randn(SAMPLES, WIDTH, generator=generator, dtype=torch.float64)
        self.times, self.evaluations = torch.tensor([0.0, 1.0], dtype=torch.float64), 0

    def field(self, t: Tensor, z: Tensor, rate: Tensor) -> Tensor:
        self.evaluations += len(z)
        return rate * (torch.cos(t) - z) - torch.sin(t)

    def error(self, end: Tensor) -> float:
        t = self.times[-1]
        return float((end - torch.cos(t) - (self.z0 - 1) * torch.exp(-self.rate * t)).abs().max())

    def ours(self) -> Tensor:
        options = {"rtol": TOLERANCE, "atol": TOLERANCE, "per_sample": (0,), "max_steps": 100_000}
        return odeint(self.field, self.z0, self.times, args=(self.rate,), method="dopri5", save="last", **options)

    def torchdiffeq(self) -> Tensor:
        from torchdiffeq import odeint as torchdiffeq_odeint

        found = torchdiffeq_odeint(
            lambda t, z: self.field(t, z, self.rate),
            self.z0,
            self.times,
            rtol=TOLERANCE,
            atol=TOLERANCE,
            method="dopri5",
        )
        assert isinstance(found, Tensor)
        return found[-1]

    def torchode(self) -> Tensor:
        import torchode

        library: Any = torchode
        term = library.ODETerm(lambda t, z: self.field(t[:, None], z, self.rate))
        controller = library.IntegralController(atol=TOLERANCE, rtol=TOLERANCE, term=term)
        solver = library.AutoDiffAdjoint(library.Dopri5(term=term), controller)
        problem = library.InitialValueProblem(y0=self.z0, t_eval=self.times.expand(SAMPLES, -1))
        return solver.solve(problem).ys[:, -1]


@torch.no_grad()
def measure(quick: bool) -> tuple[list[dict], list[Target]]:
    """Rows and targets of the three."""
    problem = Problem()
    calls: dict[str, Callable[[], Tensor]] = {
        "mvnet": problem.ours,
        "torchdiffeq": problem.torchdiffeq,
        "torchode": problem.torchode,
    }
    rows, found = [], {}
    for name, call in calls.items():
        problem.evaluations = 0
        error = problem.error(call())
        found[name] = {"evaluations a sample": problem.evaluations / SAMPLES, "error": error}
    milliseconds = fastest(calls, 1 if quick else 5)
    for name, row in found.items():
        rows.append({"solver": name, **row, "ms": milliseconds[name]})
    targets, ours = [], found["mvnet"]
    for peer in ("torchdiffeq", "torchode"):
        fewer = ours["evaluations a sample"] / found[peer]["evaluations a sample"]
        time = milliseconds["mvnet"] / milliseconds[peer]
        closer = ours["error"] / found[peer]["error"]
        targets.append(Target(f"evaluations over {peer}'s", fewer, "<= 0.25", fewer <= 0.25))
        targets.append(Target(f"error over {peer}'s", closer, "<= 1", closer <= 1))
        targets.append(Target(f"time over {peer}'s", time, "<= 1", time <= 1))
    return rows, targets
