"""DTI in the field: small lesions, high SNR, other organs, other noise, several shells, scanners.

usage: python -m benchmarks.field_dti [--quick] [--only PART ...] [--model PATH] [--cache DIR] [--json FILE|-]

Every part is a module of this folder that describes its scene. Peers: those of `benchmarks.dti`, MRtrix `dwidenoise`
among them where it is installed. A part that needs a package that is not there says so and is left out; the Sherbrooke
slab is read under MVNET_DATA. About 20 minutes on one core, and more where the scanner's scans are not in the cache.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks.dti.ours import shipped_or
from benchmarks.field_dti.methods import Setup
from benchmarks.harness import Benchmark, measure_parts

PARTS = (
    "lesions",
    "brains",
    "organs",
    "water",
    "shells",
    "noise",
    "scanned",
    "fixed",
    "foreign",
    "preprocessing",
    "cohort",
)
"""Modules of this folder; each has `measure(setup)`, which returns rows and targets."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--model", metavar="PATH", help="checkpoint to try instead of the shipped one")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keeps the scans that take minutes to simulate")


def main() -> None:
    bench = Benchmark("field_dti", __doc__, add_options=_add_options)
    torch.set_num_threads(1)
    setup = Setup(bench.quick, shipped_or(bench.options.model), bench.options.cache)
    bench.report(*measure_parts("benchmarks.field_dti", bench.options.only, setup))


if __name__ == "__main__":
    main()
