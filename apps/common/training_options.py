"""Options of the commands that train a network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from mvnet.apps.common.errors import UserError
from mvnet.optim.registry import OPTIMIZERS, default_rate, parse_options
from mvnet.runtime import MEMORY


def check_rate(rate: float | None) -> float | None:
    """The learning rate as given; a usage error when it is not a positive number."""
    if rate is not None and not (math.isfinite(rate) and rate > 0):
        raise typer.BadParameter(f"found {rate}, expected a positive number")
    return rate


def check_memory(memory: str | None) -> str | None:
    """How much is kept for the backward pass, as given; a usage error for an unknown name."""
    if memory not in (None, *MEMORY):
        raise typer.BadParameter(f"found {memory!r}, expected one of {', '.join(MEMORY)}")
    return memory


def optimizer_options(training: str, optimizer: str | None, options: str | None, rate: float | None) -> dict[str, Any]:
    """The options of a schedule that say how it descends, with the optimiser's own rate where none is given.

    Args:
        training: one of `mvnet.optim.registry.TRAININGS`.
        optimizer: a name of `OPTIMIZERS`; "adamw" when None.
        options: "k=v,..."; none when None.
        rate: learning rate.
    Raises:
        MvnetError: an unknown optimiser or option.
    """
    optimizer, options = optimizer or "adamw", options or ""
    if optimizer not in OPTIMIZERS:
        raise UserError(f"--optimizer: found {optimizer!r}, expected one of {', '.join(OPTIMIZERS)}")
    chosen = default_rate(optimizer, training) if rate is None else rate
    parse_options(optimizer, options)
    return {"optimizer": optimizer, "optimizer_options": options, "rate": chosen}


def list_optimizers() -> str:
    """The optimisers with one line each, for --help."""
    return "Optimisers:\n\n" + "\n\n".join(f"{name}: {entry.help}" for name, entry in OPTIMIZERS.items())


Output = Annotated[Path, typer.Option("--output", "-o", help="Run folder; an unfinished run in it is continued.")]
Steps = Annotated[int, typer.Option(min=1, help="Number of optimisation steps.")]
Batch = Annotated[int, typer.Option(min=1, help="Number of patches per step.")]
Patch = Annotated[int, typer.Option(min=1, help="Side of a patch in pixels or voxels.")]
Optimizer = Annotated[str, typer.Option(help="Optimiser; `mvnet optimizers` lists them.")]
OptimizerOptions = Annotated[str, typer.Option(help="Further options of the optimiser, k=v,...")]
Rate = Annotated[
    float | None, typer.Option(callback=check_rate, help="Peak learning rate (default: that of the optimiser).")
]
Memory = Annotated[
    str,
    typer.Option(callback=check_memory, help="plain, or low: less memory for more time, states are computed twice."),
]
Precision = Annotated[
    str, typer.Option(help="Of convolutions: float32, bf16 or fp16; what is computed on manifolds stays in float32.")
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Also write the figures of the log as event files in OUTPUT/tensorboard.")
]
Start = Annotated[str | None, typer.Option("--from", help="Shipped weights or checkpoint to start from.")]
Workers = Annotated[int, typer.Option(min=0, help="Number of processes that prepare patches.")]
Threads = Annotated[int, typer.Option(min=0, help="Number of CPU threads of the network (0: unchanged).")]
