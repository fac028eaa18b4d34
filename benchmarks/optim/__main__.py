"""Optimisers (paper section 6): laws, costs against peers, and real trainings.

usage: python -m benchmarks.optim [--quick] [--only PART ...] [--runs FILE] [--long] [--json FILE|-]

The trainings take about an hour and a half on one core; FILE keeps each as soon as it ends, and what is in it is not
run again. --long adds trainings of 1,000 steps and more, which take hours.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.harness import Benchmark

PARTS = ("kernels", "riemannian", "natural", "kfac", "hamiltonian", "wasserstein", "trainings")
"""Modules of this folder; each has `measure(quick)`, which returns rows and targets."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=Path, metavar="FILE", help="keeps the trainings that have ended")
    parser.add_argument("--long", action="store_true", help="trainings of 1,000 steps and more too")


def main() -> None:
    bench = Benchmark("optim", __doc__, add_options=_add_options)
    torch.set_num_threads(1)
    rows, targets = [], []
    for part in bench.options.only:
        print(f"{part} ...", file=sys.stderr, flush=True)
        module = import_module(f"benchmarks.optim.{part}")
        more = {"file": bench.options.runs, "long": bench.options.long} if part == "trainings" else {}
        its_rows, its_targets = module.measure(bench.quick, **more)
        rows += its_rows
        targets += its_targets
    bench.report(rows, targets)


if __name__ == "__main__":
    main()
