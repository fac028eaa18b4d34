"""InSAR in the field: noise as products have it, a quality that is zero where there is nothing, real scenes.

usage: python -m benchmarks.field_insar [PART ...] [--quick] [--model PATH] [--cache DIR] [--json FILE|-]

Every part is a module of this folder that describes its scene. Ours is `mvnet.denoise_insar` on arrays, one model that
is told nothing but what it measures itself. Peers are those of `benchmarks.insar` but for BM3D, which takes white noise
for granted, half a minute an image, and was never the best here; each gets the parameter with the lowest error on
another draw of the same noise. Real scenes are read under MVNET_DATA. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

import mvnet
from benchmarks.field_insar.methods import Setup
from benchmarks.harness import Benchmark, add_parts, measure_parts

PARTS = ("correlated", "steep", "null", "water", "calibration", "real", "sparse", "products")
"""Modules of this folder; each has `measure(setup)`, which returns rows and targets."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_parts(parser, PARTS)
    parser.add_argument("--model", metavar="PATH", default="insar", help="checkpoint to try instead of the shipped one")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keeps the scores of the peers for the next model")


def main() -> None:
    bench = Benchmark("field_insar", __doc__, add_options=_add_options)
    torch.set_num_threads(1)
    try:
        setup = Setup(bench.quick, mvnet.load_model(bench.options.model), bench.options.cache)
    except ValueError as error:
        sys.exit(str(error))
    bench.report(*measure_parts("benchmarks.field_insar", bench.options.parts or PARTS, setup))


if __name__ == "__main__":
    main()
