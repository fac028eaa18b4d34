"""Invertible layers: exactness, densities beside zuko, normflows and FrEIA, memory, and the open problems of 4.3.

usage: python -m benchmarks.invertible [--quick] [--json FILE|-]
"""

from __future__ import annotations

import torch

from benchmarks.harness import Benchmark, measure_parts

PARTS = ("layers", "memory", "memory_network", "moons", "open_problems")


def main() -> None:
    """Measure and report."""
    setup = Benchmark("invertible", __doc__)
    torch.set_num_threads(1)
    rows, targets = measure_parts("benchmarks.invertible", PARTS, setup)
    setup.report(rows, targets)


if __name__ == "__main__":
    main()
