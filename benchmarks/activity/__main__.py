"""Classes of motions.

usage: python -m benchmarks.activity [PART ...] [--quick] [--data NAMES] [--methods NAMES] [--splits N] [--json FILE|-]

Every part is a module of this folder that describes its data. They are read under MVNET_DATA.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from benchmarks.activity.setup import Setup
from benchmarks.harness import Benchmark, add_parts, measure_parts

PARTS = ("accuracy", "sensors", "unknown")
"""Modules of this folder; each has `measure(setup)`, which returns rows and targets."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_parts(parser, PARTS)
    parser.add_argument("--data", default="", help="names of sets with commas")
    parser.add_argument("--methods", default="", help="names with commas: mvnet, lie, and the peers")
    parser.add_argument("--splits", type=int, metavar="N", help="the first N of each set")


def main() -> None:
    bench = Benchmark("activity", __doc__, add_options=_add_options)
    if "MVNET_DATA" not in os.environ:
        sys.exit("MVNET_DATA: not set, expected the folder that holds motion")
    torch.set_num_threads(1)
    options = bench.options
    data, methods = (tuple(name for name in text.split(",") if name) for text in (options.data, options.methods))
    setup = Setup(Path(os.environ["MVNET_DATA"]), bench.quick, data, methods, options.splits)
    bench.report(*measure_parts("benchmarks.activity", options.parts or PARTS, setup))


if __name__ == "__main__":
    main()
