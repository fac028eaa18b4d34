"""Integrators: orders, cost of a step, gradients, memory, stiff batches, tensors; torchdiffeq, torchode, geoopt beside.

usage: python -m benchmarks.integrators [PART ...] [--quick] [--json FILE|-]

Every part is a module of this folder that describes what it measures. Times are of one thread, peers and ours in turn
in the same process. About five minutes on one core.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.harness import Benchmark, add_parts, measure_parts

PARTS = ("work_precision", "step", "gradients", "memory", "stiff_batch", "planes")
"""Modules of this folder; each has `measure(quick)`, which returns rows and targets."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_parts(parser, PARTS)


def main() -> None:
    bench = Benchmark("integrators", __doc__, add_options=_add_options)
    torch.set_num_threads(1)
    bench.report(*measure_parts("benchmarks.integrators", bench.options.parts or PARTS, bench.quick))


if __name__ == "__main__":
    main()
