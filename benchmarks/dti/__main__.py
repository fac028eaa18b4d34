"""`python -m benchmarks.dti`: see `accuracy.py`, and `scan_time.py` for --scan-time."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.dti import accuracy, scan_time, speed
from benchmarks.dti.ours import shipped_or
from benchmarks.harness import Benchmark


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scan-time", action="store_true", help=(scan_time.__doc__ or "").splitlines()[0])
    parser.add_argument("--model", metavar="PATH", help="checkpoint to try instead of the shipped one")
    parser.add_argument("--no-speed", action="store_true", help="leave the whole scan out")


def main() -> None:
    benchmark = Benchmark("dti", accuracy.__doc__, add_options=_add_options)
    if "MVNET_DATA" not in os.environ:
        sys.exit("MVNET_DATA: not set, expected the folder that holds dti/invivo_sherbrooke_1p8mm")
    root, options = Path(os.environ["MVNET_DATA"]), benchmark.options
    model = shipped_or(options.model)
    if options.scan_time:
        return benchmark.report(*scan_time.measure(model, root, benchmark.quick))
    rows = accuracy.quality(model, root, benchmark.quick)
    targets = accuracy.targets_of(rows)
    if not (benchmark.quick or options.no_speed):
        timed, limits = speed.measure(root, options.model)
        rows, targets = rows + timed, targets + limits
    benchmark.report(rows, targets)


if __name__ == "__main__":
    main()
