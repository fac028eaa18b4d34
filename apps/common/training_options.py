"""Options of the commands that train a network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer


def check_rate(rate: float | None) -> float | None:
    """The learning rate as given; a usage error when it is negative or not finite."""
    if rate is not None and not (math.isfinite(rate) and rate >= 0):
        raise typer.BadParameter(f"found {rate}, expected a number of at least 0")
    return rate


Output = Annotated[Path, typer.Option("--output", "-o", help="Run folder; an unfinished run in it is continued.")]
Steps = Annotated[int, typer.Option(min=1, help="Number of optimisation steps.")]
Batch = Annotated[int, typer.Option(min=1, help="Number of patches per step.")]
Patch = Annotated[int, typer.Option(min=1, help="Side of a patch in pixels or voxels.")]
Optimizer = Annotated[str, typer.Option(help="Optimiser: adamw, adam or sgd.")]
Rate = Annotated[float, typer.Option(callback=check_rate, help="Peak learning rate.")]
Start = Annotated[str | None, typer.Option("--from", help="Shipped weights or checkpoint to start from.")]
Workers = Annotated[int, typer.Option(min=0, help="Number of processes that prepare patches.")]
Threads = Annotated[int, typer.Option(min=0, help="Number of CPU threads of the network (0: unchanged).")]
