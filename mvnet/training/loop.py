"""A training from its first batch to its last, with a progress bar and a log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from mvnet import ranks
from mvnet.errors import MvnetError
from mvnet.optim.registry import describe
from mvnet.runtime import flush_denormals, freed_memory_kept
from mvnet.storage import json_text
from mvnet.training.progress import training_bar
from mvnet.training.run import Objective, Run
from mvnet.training.schedule import Schedule


def batches_of(data: Dataset, schedule: Schedule, start: int) -> Iterator[Any]:
    """Batches start, start + 1, ... of a map-style data set, in order; of each, every W-th example on one of W ranks.

    Args:
        data: example i is a function of its seed and i.
        schedule: batch size, number of steps, workers.
        start: number of the first batch.
    Returns:
        iterator of collated batches.
    """
    ours, rank = schedule.batch // ranks.count(), ranks.rank()
    order = range(start * schedule.batch + rank, schedule.steps * schedule.batch, ranks.count())
    return iter(
        DataLoader(
            data,
            ours,
            sampler=order,
            num_workers=schedule.workers,
            prefetch_factor=4 if schedule.workers else None,
        )
    )


def train(
    run: Run,
    objective: Objective,
    data: Dataset,
    quiet: bool = False,
    watch: Callable[[int, Mapping[str, float]], object] | None = None,
) -> nn.Module:
    """Train to the end of the schedule, with a progress bar on stderr and a log in the folder of the run.

    Ctrl-C leaves the last checkpoint, from which the same call resumes.

    Args:
        run: a run with a folder.
        objective: loss and figures of a batch.
        data: map-style; example i is a function of the seed and i.
        quiet: no bar.
        watch: called as watch(step, figures) with what goes to the log, in the process that writes it.
    Returns:
        the network as `Run.finish` returns it.
    Raises:
        MvnetError: the run has no folder.
    """
    if run.folder is None:
        raise MvnetError("run: found a run without a folder, expected one with a folder")
    with closing(run):
        return _train(run, run.folder, objective, data, quiet, watch or _nobody)


def _train(
    run: Run,
    folder: Path,
    objective: Objective,
    data: Dataset,
    quiet: bool,
    watch: Callable[[int, Mapping[str, float]], object],
) -> nn.Module:
    schedule, device = run.schedule, next(run.model.parameters()).device
    smooth: dict[str, float] = {}
    with (
        freed_memory_kept(),
        flush_denormals(),
        training_bar(f"training on {_place(device)}", schedule.steps, run.step, quiet or ranks.rank() > 0) as progress,
        open(folder / "log.jsonl" if ranks.rank() == 0 else os.devnull, "a") as log,
    ):
        table = describe(run.model, schedule.optimizer, **run.optimizer_options)
        about: dict[str, Any] = {"optimizer": schedule.optimizer, "parameters": table}
        for figures in run.steps(objective, batches_of(data, schedule, run.step)):
            smooth = {k: 0.98 * smooth.get(k, v) + 0.02 * v for k, v in figures.items()}
            progress(run.step, " ".join(f"{k} {v:.3f}" for k, v in smooth.items()))
            if run.step % schedule.checkpoint_every == 0 or run.finished:
                log.write(json_text({"step": run.step, **smooth, **about}) + "\n")
                log.flush()
                about = {}
                if ranks.rank() == 0:
                    watch(run.step, smooth)
    return run.finish()


def _nobody(step: int, figures: Mapping[str, float]) -> None:
    pass


def _place(device: torch.device) -> str:
    """The device, and how many processes train, for the progress bar."""
    return str(device) if ranks.count() == 1 else f"{ranks.count()} x {device.type}"
