"""The denoiser of diffusion tensors, plain, with `--memory low`, and with a reversible trunk: bytes kept, time, peak.

The peak is the largest resident size of a process of its own that takes one training step, above that of the process
before the step.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import Benchmark, Target
from mvnet.apps.dti.train import NETWORKS
from mvnet.invertible import saved_bytes
from mvnet.linalg import sym3
from mvnet.models.dti.inputs import feature_planes
from mvnet.models.dti.network import DTIDenoiser
from mvnet.runtime import MEMORY

_MODES = [(network, memory) for network in ("equivariant", "reversible") for memory in MEMORY]
_BATCH = 4


def make(network: str, memory: str) -> DTIDenoiser:
    """An untrained network of `mvnet train dti --network`."""
    options: dict[str, Any] = NETWORKS[network]
    model = DTIDenoiser(**options, generator=torch.Generator().manual_seed(0)).train()
    model.memory = memory
    return model


def volumes(batch: int, side: int) -> tuple[Tensor, Tensor]:
    """Random tensors around typical tissue, and features."""
    random = torch.Generator().manual_seed(0)
    tensors = 0.75 * sym3.exp(0.3 * torch.randn(batch, 6, side, side, side, generator=random))
    features = feature_planes(torch.rand(side, side, side, generator=random) < 0.9)
    return tensors, features[None].repeat(batch, 1, 1, 1, 1)


def step(model: DTIDenoiser, inputs: tuple[Tensor, Tensor]) -> None:
    """Forward and backward of a simple loss."""
    out = model(*inputs)
    (out.tensors.square().mean() + out.log_error.square().mean()).backward()


def ratio_of_times(network: str, inputs: tuple[Tensor, Tensor], repeats: int) -> tuple[float, float]:
    """CPU milliseconds of a plain step, and low over plain: the smallest of several, which others disturb least."""
    models = [make(network, memory) for memory in MEMORY]
    times: list[list[float]] = []
    for _ in range(repeats + 1):
        pair = []
        for model in models:
            start = time.process_time()
            step(model, inputs)
            pair.append(1e3 * (time.process_time() - start))
        times.append(pair)
    plain, low = (min(column) for column in zip(*times[1:], strict=True))
    return plain, low / plain


def peak(network: str, memory: str, side: int) -> float:
    """MiB that a step on a patch of side^3 voxels adds to a process."""
    words = [sys.executable, "-m", __name__, network, memory, str(side)]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def measure(setup: Benchmark) -> tuple[list[dict[str, Any]], list[Target]]:
    """Bytes and time of a batch as in training, and the peak of one large patch."""
    side, large, repeats = (8, 16, 2) if setup.quick else (16, 48, 7)
    inputs = volumes(_BATCH, side)
    kept = {mode: saved_bytes(make(*mode), *inputs) for mode in _MODES}
    rows: list[dict[str, Any]] = [
        {
            "network": network,
            "memory": memory,
            "bytes a voxel": kept[network, memory] / (_BATCH * side**3),
            f"peak MiB at {large}^3": peak(network, memory, large),
        }
        for network, memory in _MODES
    ]
    targets = []
    for network, bound in (("equivariant", 1.3), ("reversible", 1.4)):
        share = kept[network, "low"] / kept[network, "plain"]
        targets.append(Target(f"bytes kept, {network}, low over plain", share, "<= 0.125", share <= 1 / 8))
        milliseconds, ratio = ratio_of_times(network, inputs, repeats)
        rows.append({f"step of {_BATCH} x {side}^3": network, "CPU ms": milliseconds, "low over plain": ratio})
        targets.append(Target(f"time of a step, {network}, low over plain", ratio, f"<= {bound}", ratio <= bound))
    return rows, targets


def main() -> None:
    """Print what one step adds to the peak of this process, MiB."""
    parser = argparse.ArgumentParser()
    parser.add_argument("network")
    parser.add_argument("memory")
    parser.add_argument("side", type=int)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = make(given.network, given.memory)
    step(model, volumes(1, 8))
    inputs = volumes(1, given.side)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step(model, inputs)
    print(json.dumps((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10))


if __name__ == "__main__":
    main()
