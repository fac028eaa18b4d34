"""Options of the commands that train a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[Path, typer.Option("--output", "-o", help="Run folder; an unfinished run in it is continued.")]
Steps = Annotated[int, typer.Option(min=1, help="Number of optimisation steps.")]
Batch = Annotated[int, typer.Option(min=1, help="Number of patches per step.")]
Patch = Annotated[int, typer.Option(min=1, help="Side of a patch in pixels or voxels.")]
Rate = Annotated[float, typer.Option(help="Peak learning rate.")]
Start = Annotated[str | None, typer.Option("--from", help="Shipped weights or checkpoint to start from.")]
Workers = Annotated[int, typer.Option(min=0, help="Number of processes that prepare patches.")]
Threads = Annotated[int, typer.Option(min=0, help="Number of CPU threads of the network (0: unchanged).")]
