"""The open problems of paper section 4.3 as one table: what an inverse and what a Lipschitz bound cost, and give.

4.3.1: milliseconds and evaluations for one inverse of a trained density, with the log-likelihood that each reaches in
equal time. 4.3.2: milliseconds of a bound of the same convolution, and how far above its norm it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Benchmark, Target
from benchmarks.invertible.moons import BATCH, Density, moons, spline_coupling, train
from mvnet.invertible import (
    Chain,
    ChannelMix,
    Continuous,
    Coupling,
    Flow,
    Invertible,
    Normalised,
    Residual,
    Sandwich,
    StandardNormal,
    VelocityNetwork,
    contraction,
    frequency_bound,
    knots,
    mixed_bound,
    power_iteration,
    rational_quadratic,
    rational_quadratic_inverse,
)
from mvnet.invertible.base import Mapped


class Elementwise(Invertible):
    """One learned spline for each number: with orthogonal mixing between, every output depends on every input."""

    def __init__(self, features: int, bins: int = 16):
        super().__init__()
        self.raw = nn.Parameter(torch.zeros(features, 3 * bins + 1))

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        y, change = rational_quadratic(x, knots(self.raw, 4.0))
        return y, change.sum(1)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        x, change = rational_quadratic_inverse(z, knots(self.raw, 4.0))
        return x, change.sum(1)


def orthogonal_and_elementwise(layers: int = 12) -> Density:
    parts = [part for _ in range(layers) for part in (ChannelMix(2, "givens"), Elementwise(2))]
    flow = Flow(StandardNormal(2), Chain(*parts))
    return flow, flow.log_prob


def residual(kind: str, method: str = "anderson") -> Callable[[], Density]:
    def make() -> Density:
        blocks = [Residual(contraction(2, 32, 2, 0.9, kind), 0.9, method=method, tolerance=1e-5) for _ in range(8)]
        flow = Flow(StandardNormal(2), Chain(*blocks))
        return flow, flow.log_prob

    return make


def continuous(method: str, steps: int = 8) -> Callable[[], Density]:
    """A flow on its grid: one way and back differ by the error of the integrator, or, where its step is symmetric in
    time, by that of the solver."""

    def make() -> Density:
        flow = Flow(StandardNormal(2), Continuous(VelocityNetwork((2,), hidden=32), (2,), steps=steps, method=method))
        return flow, flow.log_prob

    return make


INVERSES: dict[str, Callable[[], Density]] = {
    "spline coupling": spline_coupling,
    "residual, Banach, power iteration": residual("power", "banach"),
    "residual, Anderson, power iteration": residual("power"),
    "residual, Anderson, mixed norms": residual("mixed"),
    "residual, Anderson, sandwich layers": residual("sandwich"),
    "orthogonal + elementwise": orthogonal_and_elementwise,
    "continuous, rkmk4 steps": continuous("rkmk4"),
    "continuous, time-symmetric (implicit midpoint) steps": continuous("implicit_midpoint"),
}


def evaluations_of(chain: Invertible, z: Tensor) -> int:
    """Network evaluations of one inverse."""
    count = [0]
    networks = [m.network for m in chain.modules() if isinstance(m, Coupling | Residual)]
    networks += [m.field for m in chain.modules() if isinstance(m, Continuous)]
    hooks = [n.register_forward_hook(lambda *_: count.__setitem__(0, count[0] + 1)) for n in networks]
    with torch.no_grad():
        chain.inverse(z)
    for hook in hooks:
        hook.remove()
    return count[0]


def milliseconds(function: Callable[[], object], repeats: int) -> float:
    """CPU time of one call, the first left out."""
    function()
    start = time.process_time()
    for _ in range(repeats):
        function()
    return 1e3 * (time.process_time() - start) / repeats


def measure(setup: Benchmark) -> tuple[list[dict[str, Any]], list[Target]]:
    """The two halves of the table; nothing is asked of it."""
    seconds, repeats = (0.5, 2) if setup.quick else (8.0, 20)
    points = moons(4000, torch.Generator().manual_seed(2))
    rows: list[dict[str, Any]] = []
    z = torch.randn(BATCH, 2, generator=torch.Generator().manual_seed(3))
    for name, make in INVERSES.items():
        flow, log_prob, _ = train(make, 5e-3, seconds)
        nats = float(log_prob(points).detach().mean())
        chain = flow.chain
        with torch.no_grad():
            x = chain.inverse(z)[0]
            error = float((chain(x)[0] - z).abs().max())
            cost = milliseconds(lambda c=chain: c.inverse(z), repeats)
        row = {"inverse (4.3.1)": name, "ms": cost, "evaluations": evaluations_of(chain, z)}
        rows.append({**row, "error": error, "nats": nats})
    kernel = torch.randn(32, 32, 3, 3, generator=torch.Generator().manual_seed(4)) / 17
    sizes = (32, 32)
    norm, warm = power_iteration(kernel, sizes, iterations=300)
    ways: dict[str, tuple[Callable[[], Tensor], str]] = {
        "power iteration, one warm step": (lambda: power_iteration(kernel, sizes, warm)[0], "below"),
        "power iteration, 50 steps": (lambda: power_iteration(kernel, sizes, iterations=50)[0], "below"),
        "frequencies": (lambda: frequency_bound(kernel), "above"),
        "mixed norms": (lambda: mixed_bound(kernel), "above"),
    }
    for name, (function, side) in ways.items():
        ratio = float(function() / norm)
        rows.append(
            {"Lipschitz bound (4.3.2)": name, "ms": milliseconds(function, repeats), "of norm": ratio, "side": side}
        )
    x, sandwich = torch.randn(256, 64), Sandwich(64, 64)
    plain = Normalised(nn.Linear(64, 64), 1.0, "power").train()
    for name, module in (("by construction: sandwich layer", sandwich), ("normalised layer, power iteration", plain)):
        rows.append({"one layer of 64, forward": name, "ms": milliseconds(lambda m=module: m(x), repeats)})
    return rows, []
