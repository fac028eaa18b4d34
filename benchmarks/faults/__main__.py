"""Trust: what damaged files do to the readers and the checkpoints, and kills to the writers.

usage: python -m benchmarks.faults [PART ...] [--quick] [--kind KIND [--seed SEED]] [--cases N] [--json FILE|-]

Every part is a module of this folder that describes what it measures.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.harness import Benchmark, add_parts, measure_parts

PARTS = ("fuzz", "kills")
"""Modules of this folder; each has `measure(setup)`, which returns rows and targets."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_parts(parser, PARTS)
    parser.add_argument("--kind", default="", help="damage inputs of this kind only")
    parser.add_argument("--seed", type=int, help="rebuild one case of the kind")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the damaged files of that case")
    parser.add_argument("--cases", type=int, default=0, help="cases of a kind, fewer where reading is slow")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at the same time")


def main() -> None:
    from benchmarks.faults.setup import Setup

    bench = Benchmark("faults", __doc__, add_options=_add_options)
    given = bench.options
    setup = Setup(bench.quick, given.kind, given.seed, given.cases, given.jobs, given.keep)
    parts = ("fuzz",) if given.kind else given.parts or PARTS
    bench.report(*measure_parts("benchmarks.faults", parts, setup))


if __name__ == "__main__":
    main()
