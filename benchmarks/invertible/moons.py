"""Two moons: log-likelihood of fresh points after equal CPU time, beside zuko, normflows and FrEIA."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Benchmark, Target
from mvnet.invertible import (
    Chain,
    ChannelMix,
    Channels,
    Continuous,
    Coupling,
    Flow,
    Residual,
    Spline,
    StandardNormal,
    VelocityNetwork,
    contraction,
)

NOISE, BATCH = 0.1, 256


def moons(count: int, generator: torch.Generator) -> Tensor:
    """Points of the two half circles with normal noise, (count, 2)."""
    angle = math.pi * torch.rand(count, generator=generator)
    upper = torch.rand(count, generator=generator) < 0.5
    x = torch.where(upper, angle.cos(), 1 - angle.cos())
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin())
    return torch.stack((x, y), 1) + NOISE * torch.randn(count, 2, generator=generator)


def truth(points: Tensor) -> float:
    """Mean log-density of points, by quadrature over the angle."""
    angle = (torch.arange(2000, dtype=torch.float64) + 0.5) * math.pi / 2000
    arcs = torch.cat((torch.stack((angle.cos(), angle.sin()), 1), torch.stack((1 - angle.cos(), 0.5 - angle.sin()), 1)))
    squares = torch.cdist(points.double(), arcs).square()
    log = torch.logsumexp(-squares / (2 * NOISE**2), 1) - math.log(len(arcs) * 2 * math.pi * NOISE**2)
    return float(log.mean())


Density = tuple[nn.Module, Callable[[Tensor], Tensor]]
"""A module, and the log-density of points."""


def _of(flow: Flow) -> Density:
    return flow, flow.log_prob


def spline_coupling(layers: int = 4, hidden: int = 64, bins: int = 16) -> Density:
    def network() -> nn.Module:
        parts = (nn.Linear(1, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        return nn.Sequential(*parts, nn.Linear(hidden, 3 * bins + 1))

    couplings = [Coupling(network(), Spline(bins, 4.0), Channels(swap=k % 2 == 1)) for k in range(layers)]
    return _of(Flow(StandardNormal(2), Chain(ChannelMix(2, "givens"), *couplings)))


def residual_flow(layers: int = 10, hidden: int = 32, c: float = 0.99) -> Density:
    blocks = [Residual(contraction(2, hidden, 2, c, "power"), contraction=c) for _ in range(layers)]
    return _of(Flow(StandardNormal(2), Chain(*blocks)))


def continuous_flow(hidden: int = 32, steps: int = 4) -> Density:
    return _of(Flow(StandardNormal(2), Continuous(VelocityNetwork((2,), hidden=hidden), (2,), steps=steps)))


def zuko_nsf() -> Density:
    import zuko

    flow = zuko.flows.NSF(2, bins=8, transforms=3, hidden_features=(64, 64))
    return flow, lambda x: flow().log_prob(x)


def normflows_spline() -> Density:
    import normflows

    flows: list[nn.Module] = []
    for k in range(4):
        flows += [normflows.flows.CoupledRationalQuadraticSpline(2, 2, 64, reverse_mask=k % 2 == 1)]
        flows += [normflows.flows.LULinearPermute(2)]
    model = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(2), flows)
    return model, model.log_prob


def normflows_residual(layers: int = 16, c: float = 0.9) -> Density:
    import normflows

    flows = []
    for _ in range(layers):
        network = normflows.nets.LipschitzMLP([2, 64, 64, 2], init_zeros=True, lipschitz_const=c)
        flows += [normflows.flows.Residual(network, reduce_memory=True), normflows.flows.ActNorm(2)]
    model = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(2), flows)
    return _NormflowsResidual(model), model.log_prob


class _NormflowsResidual(nn.Module):
    """Normalises its weights after every step, as its authors' training does."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def after_step(self) -> None:
        from normflows.utils import update_lipschitz

        update_lipschitz(self.model, 5)


def freia_affine() -> Density:
    import FrEIA.framework
    import FrEIA.modules

    def network(ins: int, outs: int) -> nn.Module:
        return nn.Sequential(nn.Linear(ins, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outs))

    model = FrEIA.framework.SequenceINN(2)
    for _ in range(8):
        model.append(FrEIA.modules.AllInOneBlock, subnet_constructor=network)

    def log_prob(x: Tensor) -> Tensor:
        z, change = model(x)
        return -z.square().sum(1) / 2 - math.log(2 * math.pi) + change  # pyright: ignore

    return model, log_prob


MODELS: dict[str, tuple[Callable[[], Density], float, float]] = {
    "spline coupling": (spline_coupling, 5e-3, 1.0),
    "zuko NSF": (zuko_nsf, 5e-3, 1.0),
    "normflows spline": (normflows_spline, 5e-3, 1.0),
    "FrEIA affine": (freia_affine, 5e-3, 1.0),
    "continuous flow": (continuous_flow, 5e-3, 1.0),
    "residual flow": (residual_flow, 1e-2, 15 / 8),
    "normflows residual": (normflows_residual, 3e-3, 60 / 8),
}
"""Model, learning rate, and its share of the CPU time: residual flows have 15 s of 8, their peer 60."""


def train(make: Callable[[], Density], rate: float, seconds: float) -> tuple[Any, Callable[[Tensor], Tensor], int]:
    """Adam with a rate that falls to zero along half a cosine, until the CPU time is spent; number of steps."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model, log_prob = make()
    log_prob(moons(BATCH, generator)).mean().backward()  # lazy set-up is not timed
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    after = getattr(model, "after_step", lambda: None)
    start, steps, share = time.process_time(), 0, 0.0
    while share < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 + math.cos(math.pi * share)) / 2
        loss = -log_prob(moons(BATCH, generator)).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        after()
        steps, share = steps + 1, (time.process_time() - start) / seconds
    return model.eval(), log_prob, steps


def measure(setup: Benchmark) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows of all models, and the targets of the spline coupling and of the residual flow."""
    seconds = 1.0 if setup.quick else 8.0
    points = moons(20_000, torch.Generator().manual_seed(2))
    rows: list[dict[str, Any]] = [{"two moons": "truth", "nats": truth(points), "steps": 0, "CPU s": 0.0}]
    found = {}
    for name, (make, rate, share) in MODELS.items():
        try:
            _, log_prob, steps = train(make, rate, share * seconds)
        except ModuleNotFoundError as error:
            print(f"{name}: left out, needs {error.name}")
            continue
        chunks = [log_prob(chunk).detach() for chunk in points.split(2000)]
        found[name] = float(torch.cat(chunks).mean())
        rows.append({"two moons": name, "nats": found[name], "steps": steps, "CPU s": share * seconds})
    targets = []
    ours = found["spline coupling"]
    for peer, margin in (("zuko NSF", -0.01), ("normflows spline", 0.0), ("FrEIA affine", 0.0)):
        if peer in found:
            gain = ours - found[peer]
            targets.append(
                Target(f"two moons, spline coupling above {peer}, nats", gain, f">= {margin}", gain >= margin)
            )
    if "normflows residual" in found:
        gain = found["residual flow"] - found["normflows residual"]
        targets.append(
            Target("two moons, residual flow above normflows' in a quarter of its time", gain, ">= 0", gain >= 0)
        )
    return rows, targets
