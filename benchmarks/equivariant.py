"""Cost of equivariant convolutions beside plain ones: `python -m benchmarks.equivariant [--quick] [--json FILE|-]`.

GroupConv between regular fields and the torch convolution with the same number of channels, 3 taps, float32: forward in
evaluation, where the expanded kernel is kept, and a training step (forward, backward to weights and input, one SGD
update), where it is expanded every time. Medians in ms of 20 turns, each in turn, so that load hits all alike; on the
GPU too when there is one. The plain convolution runs with its weights in either memory layout; the ratio is to the
faster one, the median over turns. Ours are channels-last: a layer alone pays in its backward pass for turning its input
into that layout and back, a network pays once, so the target of training is that of four layers in a row. Last,
CircleConv on the planes of a complex field beside a real convolution of the same planes.
"""

from __future__ import annotations

import copy
import gc
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.harness import Benchmark, Target
from mvnet.equivariant import CircleConv, GroupConv, field_type, group

EVALUATION, TRAINING = 1.05, 1.2
DEPTH = 4
CASES = [
    ("2-D D4 64->64", "D4", 8, (16, 60, 60), GroupConv),
    ("3-D Oh 48->48", "Oh", 1, (1, 24, 24, 24), GroupConv),
    ("3-D Oh 96->96", "Oh", 2, (1, 24, 24, 24), GroupConv),
    ("complex D4 32->32", "D4", 4, (8, 128, 128), CircleConv),
]


def in_turns(runs: dict[str, Callable[[], Any]], turns: int, device: torch.device) -> dict[str, list[float]]:
    """Milliseconds of each callable in every turn; who goes first alternates. Two turns more to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    gc.collect()
    gc.disable()
    try:
        for turn in range(turns + 2):
            names = list(runs)
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                _wait(device)
                start = time.perf_counter()
                runs[name]()
                _wait(device)
                if turn > 1:
                    times[name].append((time.perf_counter() - start) * 1e3)
    finally:
        gc.enable()
    return times


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


def measure(name: str, plain: nn.Module, ours: nn.Module, inputs: tuple[Tensor, Tensor], turns: int):
    """Rows and targets on one input, given as plain and ours take it."""
    rows, targets = [], []
    layout = torch.channels_last if inputs[0].ndim == 4 else torch.channels_last_3d
    last = copy.deepcopy(plain)
    for parameter in last.parameters():
        if parameter.ndim > 1:
            parameter.data = parameter.data.contiguous(memory_format=layout)
    case = f"{name}, {inputs[0].device.type}"
    for what, make, depth, target in (
        ("evaluation", evaluation, 1, EVALUATION),
        ("training step", training, 1, None),
        (f"training step of {DEPTH}", training, DEPTH, TRAINING),
    ):
        layers = {"plain": plain, "channels-last": last, "ours": ours}
        runs = {k: make(repeated(layer, depth), inputs[k == "ours"]) for k, layer in layers.items()}
        times = in_turns(runs, turns, inputs[0].device)
        found = {k: statistics.median(v) for k, v in times.items()}
        faster = min(("plain", "channels-last"), key=found.__getitem__)
        ratio = statistics.median(a / b for a, b in zip(times["ours"], times[faster]))
        rows.append({"case": case, "what": what, **{f"{k} ms": v for k, v in found.items()}, "ratio": ratio})
        if target is not None:
            targets.append(
                Target(f"{case}, {what}: ours over the faster plain", ratio, f"<= {target}", ratio <= target)
            )
    return rows, targets


def repeated(layer: nn.Module, depth: int) -> nn.Module:
    """`depth` copies of a layer, one after the other."""
    return nn.Sequential(*(copy.deepcopy(layer) for _ in range(depth)))


def main() -> None:
    benchmark = Benchmark("equivariant", __doc__)
    turns = 5 if benchmark.quick else 20
    devices = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
    rows, targets = [], []
    for device in devices:
        draws = torch.Generator().manual_seed(0)
        for name, symbol, regular, (batch, *sizes), layer in CASES:
            fields = field_type(group(symbol), {"regular": regular})
            module = nn.Conv2d if len(sizes) == 2 else nn.Conv3d
            bias = layer is GroupConv
            plain = module(fields.channels, fields.channels, 3, padding=1, bias=bias).to(device)
            x = torch.randn(batch, fields.channels, *sizes, generator=draws).to(device)
            z = x if layer is GroupConv else x.unflatten(0, (2, -1))
            found = measure(name, plain, layer(fields, fields).to(device), (x, z), turns)
            rows += found[0]
            targets += found[1]
    benchmark.report(rows, targets)


if __name__ == "__main__":
    main()
