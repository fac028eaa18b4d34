"""Motion in the field: recordings that no network was trained on.

usage: python -m benchmarks.field_motion [PART ...] [--quick] [--model PATH] [--json FILE|-]

Every part is a module of this folder that describes its scene. Recordings are read under MVNET_DATA.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import mvnet
from benchmarks.harness import Benchmark, add_parts, measure_parts

PARTS = ("denoise",)
"""Modules of this folder; each has `measure(setup)`, which returns rows and targets."""


@dataclass(frozen=True)
class Setup:
    """quick: few and small. model: the denoiser to try. data: the folder that MVNET_DATA names. cache: keeps the scores
    of the peers; None for none.
    """

    quick: bool
    model: nn.Module
    data: Path
    cache: Path | None = None


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_parts(parser, PARTS)
    parser.add_argument("--model", metavar="PATH", default="motion", help="checkpoint to try, not the shipped one")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keeps the scores of the peers for the next model")


def main() -> None:
    bench = Benchmark("field_motion", __doc__, add_options=_add_options)
    if "MVNET_DATA" not in os.environ:
        sys.exit("MVNET_DATA: not set, expected the folder that holds motion")
    try:
        model, data = mvnet.load_model(bench.options.model), Path(os.environ["MVNET_DATA"])
    except ValueError as error:
        sys.exit(str(error))
    torch.set_num_threads(1)
    setup = Setup(bench.quick, model, data, bench.options.cache)
    bench.report(*measure_parts("benchmarks.field_motion", bench.options.parts or PARTS, setup))


if __name__ == "__main__":
    main()
