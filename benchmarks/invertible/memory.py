"""Reversible couplings of equivariant convolutions against plain autograd and checkpointing: bytes, gradient, time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from benchmarks.harness import Benchmark, Target
from mvnet.equivariant import GroupConv, field_type, group
from mvnet.invertible import Chain, Channels, Coupling, Reversible, saved_bytes

FIELDS = {"trivial": 6, "vector": 2, "sym2": 3}  # 30 channels a stream


class Branch(nn.Module):
    """An equivariant convolution, a smooth activation of its invariants, and a bound of its norm."""

    def __init__(self) -> None:
        super().__init__()
        fields = field_type(group("Oh"), FIELDS)
        self.conv = GroupConv(fields, fields, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        # x s(|x|^2): one gate for all channels of a point
        return h * torch.rsqrt(1 + h.square().mean(1, keepdim=True))


class Checkpointed(nn.Module):
    """The branch, recomputed in backward."""

    def __init__(self, branch: nn.Module):
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.branch, x, use_reentrant=False)  # pyright: ignore


def trunk(depth: int, wrap: Callable[[nn.Module], nn.Module] = lambda branch: branch) -> Chain:
    torch.manual_seed(0)
    return Chain(*(Coupling(wrap(Branch()), None, Channels(swap=k % 2 == 1)) for k in range(depth)))


def gradients(model: nn.Module, x: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(model(x)[0].square().sum(), [x, *model.parameters()]))


def step_time(model: nn.Module, x: Tensor, repeats: int) -> float:
    """CPU milliseconds of forward and backward, the median."""
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        model(x)[0].square().sum().backward()
        times.append(1e3 * (time.process_time() - start))
    return statistics.median(times[1:])


def measure(setup: Benchmark) -> tuple[list[dict[str, Any]], list[Target]]:
    """Bytes kept at depths 4, 16 and 64, errors of gradients, and the time of a step."""
    side, deep, repeats = (8, 16, 2) if setup.quick else (16, 64, 5)
    generator = torch.Generator().manual_seed(0)
    channels = 2 * field_type(group("Oh"), FIELDS).channels
    x = torch.randn(1, channels, side, side, side, generator=generator).requires_grad_()
    rows, kept = [], {}
    for depth in (4, 16, deep):
        model = trunk(depth)
        plain, low = saved_bytes(model, x), saved_bytes(Reversible(model), x)
        each = saved_bytes(trunk(depth, Checkpointed), x)
        kept[depth] = low
        rows.append(
            {"depth": depth, "MiB plain": plain / 2**20, "checkpoints": each / 2**20, "reversible": low / 2**20}
        )
    targets = [
        Target("bytes kept at the largest depth over those at 4", kept[deep] / kept[4], "1", kept[deep] == kept[4])
    ]
    small = x[..., :6, :6, :6].detach()
    for dtype, bound in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        model = trunk(32).to(dtype)
        leaf = small.to(dtype).requires_grad_()
        pairs = zip(gradients(model, leaf), gradients(Reversible(model), leaf), strict=True)
        error = max(float((a - b).norm() / a.norm().clamp(min=1e-30)) for a, b in pairs)
        targets.append(Target(f"gradient of 32 reversible layers, {dtype}", error, f"< {bound}", error < bound))
    depth = 8
    model, each = trunk(depth), trunk(depth, Checkpointed)
    times = {"plain": 0.0, "checkpoints": 0.0, "reversible": 0.0}
    for name, module in (("plain", model), ("checkpoints", each), ("reversible", Reversible(model))):
        times[name] = step_time(module, x, repeats)
        rows.append({f"step of {depth} layers, {side}^3": name, "CPU ms": times[name]})
    for peer, bound in (("plain", 1.4), ("checkpoints", 1.05)):
        ratio = times["reversible"] / times[peer]
        targets.append(Target(f"time of a reversible step over {peer}", ratio, f"<= {bound}", ratio <= bound))
    return rows, targets
