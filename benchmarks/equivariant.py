"""Cost of equivariant convolutions beside plain ones: `python -m benchmarks.equivariant [--quick] [--json FILE|-]`.

GroupConv between regular fields and the torch convolution with the same number of channels, 3 taps, float32: forward in
evaluation, where the expanded kernel is kept, and a training step (forward, backward to weights and input, one SGD
update), where it is expanded every time. Medians in ms of 20 turns each, in turns, so that load hits both alike; on the
GPU too when there is one. Below, the same for complex fields: CircleConv beside a plain real convolution that runs on
the real and then on the imaginary part.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks._harness import Bar, Benchmark
from mvnet.equivariant import CircleConv, GroupConv, field_type, group

EVALUATION, TRAINING = 1.05, 1.2
CASES = [
    ("2-D D4 64->64", "D4", 8, (16, 60, 60)),
    ("3-D Oh 48->48", "Oh", 1, (1, 24, 24, 24)),
    ("3-D Oh 96->96", "Oh", 2, (1, 24, 24, 24)),
]


def medians(runs: dict[str, Callable[[], Any]], turns: int, device: torch.device) -> dict[str, float]:
    """Median milliseconds of each callable; who goes first alternates. Two turns more to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    gc.collect()
    gc.disable()
    try:
        for turn in range(turns + 2):
            order = list(runs) if turn % 2 else list(reversed(runs))
            for name in order:
                _wait(device)
                start = time.perf_counter()
                runs[name]()
                _wait(device)
                if turn > 1:
                    times[name].append((time.perf_counter() - start) * 1e3)
    finally:
        gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def evaluation(model: nn.Module, x: Tensor) -> Callable[[], Any]:
    """A forward pass without gradients."""
    model.eval()

    def run() -> None:
        with torch.no_grad():
            model(x)

    return run


def training(model: nn.Module, x: Tensor) -> Callable[[], Any]:
    """Forward, backward to the weights and to the input, as within a network, and an update."""
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), 1e-6)
    x = x.clone().requires_grad_()

    def run() -> None:
        optimiser.zero_grad()
        x.grad = None
        model(x).abs().mean().backward()
        optimiser.step()

    return run


class PlainComplex(nn.Module):
    """One real convolution, run on the real and then on the imaginary part."""

    def __init__(self, conv: nn.Module):
        super().__init__()
        self.conv = conv

    def forward(self, z: Tensor) -> Tensor:
        return torch.complex(self.conv(z.real), self.conv(z.imag))


def measure(name: str, layers: tuple[nn.Module, nn.Module], x: Tensor, turns: int) -> tuple[list[dict], list[Bar]]:
    """Rows and bars of (plain, ours) on one input."""
    rows, bars = [], []
    for what, make, bar in (("evaluation", evaluation, EVALUATION), ("training step", training, TRAINING)):
        plain, ours = (make(layer, x) for layer in layers)
        found = medians({"plain": plain, "ours": ours}, turns, x.device)
        ratio = found["ours"] / found["plain"]
        case = f"{name}, {x.device.type}"
        columns = {"plain ms": found["plain"], "ours ms": found["ours"], "ratio": ratio}
        rows.append({"case": case, "what": what, **columns})
        bars.append(Bar(f"{case}, {what}: ours over plain", ratio, f"<= {bar}", ratio <= bar))
    return rows, bars


def main() -> None:
    benchmark = Benchmark("equivariant", __doc__)
    turns = 5 if benchmark.quick else 20
    devices = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
    rows, bars = [], []
    for device in devices:
        draws = torch.Generator().manual_seed(0)
        for name, symbol, regular, (batch, *sizes) in CASES:
            fields = field_type(group(symbol), {"regular": regular})
            channels = fields.channels
            module = nn.Conv2d if len(sizes) == 2 else nn.Conv3d
            plain, ours = module(channels, channels, 3, padding=1).to(device), GroupConv(fields, fields).to(device)
            x = torch.randn(batch, channels, *sizes, generator=draws).to(device)
            found = measure(name, (plain, ours), x, turns)
            rows += found[0]
            bars += found[1]
        fields = field_type(group("D4"), {"regular": 4})
        plain = PlainComplex(nn.Conv2d(32, 32, 3, padding=1, bias=False)).to(device)
        x = torch.randn(4, 2, 32, 128, 128, generator=draws).to(device)
        z = torch.complex(x[:, 0], x[:, 1])
        found = measure("complex D4 32->32", (plain, CircleConv(fields, fields).to(device)), z, turns)
        rows += found[0]
        bars += found[1]
    benchmark.report(rows, bars)


if __name__ == "__main__":
    main()
