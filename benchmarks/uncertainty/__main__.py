"""How sure is it: are intervals as wide as the errors, voxel by voxel and in means over regions?

usage: python -m benchmarks.uncertainty [PART ...] [--quick] [--model PATH] [--seed N] [--json FILE|-]

Every part is a module of this folder that describes what it measures; parts of DTI need MVNET_DATA, slices 30 to 41 of
its scan and simulated brains that no weight has seen.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Benchmark, add_parts, measure_parts

PARTS = ("dti", "dti_regions", "dti_likelihood", "dti_speed", "insar")
"""Modules of this folder; each has `measure(setup)`, which returns rows and targets."""


@dataclass(frozen=True)
class Setup:
    """What a part is told.

    root: folder of the data.
    model: denoiser with a posterior beside it, a name or a path.
    quick: whether inputs are small.
    seed: of the InSAR scenes.
    """

    root: Path
    model: str
    quick: bool
    seed: int = 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_parts(parser, PARTS)
    parser.add_argument("--model", default="dti", help="denoiser to try instead of the shipped one")
    parser.add_argument("--seed", type=int, default=0, help="of the surface and of the noise of the InSAR scenes")


def main() -> None:
    bench = Benchmark("uncertainty", __doc__, add_options=_add_options)
    parts = bench.options.parts or PARTS
    if "MVNET_DATA" not in os.environ and any(part != "insar" for part in parts):
        sys.exit("MVNET_DATA: not set, expected the folder that holds dti/invivo_sherbrooke_1p8mm")
    setup = Setup(Path(os.environ.get("MVNET_DATA", "")), bench.options.model, bench.quick, bench.options.seed)
    bench.report(*measure_parts("benchmarks.uncertainty", parts, setup))


if __name__ == "__main__":
    main()
