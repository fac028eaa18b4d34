"""Options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="Device to compute on: auto, cpu, cuda, cuda:1, ...")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Suppress output except errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object to stdout.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Random seed.")]
Report = Annotated[bool, typer.Option("--report/--no-report", help="Write an HTML page with before and after.")]
Checkpoint = Annotated[
    Path | None, typer.Option("--checkpoint", "--model", help="Checkpoint to use instead of the shipped weights.")
]
Bval = Annotated[Path | None, typer.Option(help="b-values of the DWI in s/mm^2, FSL text file.")]
Bvec = Annotated[Path | None, typer.Option(help="b-vectors of the DWI, FSL text file.")]
