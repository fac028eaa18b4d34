"""A training from its first batch to its last, with a progress bar and a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import DataLoader, Dataset

from mvnet.errors import MvnetError
from mvnet.optim.registry import describe
from mvnet.runtime import flush_denormals, freed_memory_kept
from mvnet.storage import json_text
from mvnet.training.progress import training_bar
from mvnet.training.run import Objective, Run
from mvnet.training.schedule import Schedule


def batches_of(data: Dataset, schedule: Schedule, start: int) -> Iterator[Any]:
    """Batches start, start + 1, ... of a map-style data set, in order.

    Args:
        data: example i is a function of its seed and i.
        schedule: batch size, number of steps, workers.
        start: number of the first batch.
    Returns:
        iterator of collated batches.
    """
    order = range(start * schedule.batch, schedule.steps * schedule.batch)
    return iter(
        DataLoader(
            data,
            schedule.batch,
            sampler=order,
            num_workers=schedule.workers,
            prefetch_factor=4 if schedule.workers else None,
        )
    )


def train(run: Run, objective: Objective, data: Dataset, quiet: bool = False) -> nn.Module:
    """Train to the end of the schedule, with a progress bar on stderr and a log in the folder of the run.

    Ctrl-C leaves the last checkpoint, from which the same call resumes.

    Args:
        run: a run with a folder.
        objective: loss and figures of a batch.
        data: map-style; example i is a function of the seed and i.
        quiet: no bar.
    Returns:
        the network as `Run.finish` returns it.
    Raises:
        MvnetError: the run has no folder.
    """
    if run.folder is None:
        raise MvnetError("run: found a run without a folder, expected one with a folder")
    with closing(run):
        return _train(run, run.folder, objective, data, quiet)


def _train(run: Run, folder: Path, objective: Objective, data: Dataset, quiet: bool) -> nn.Module:
    schedule, device = run.schedule, next(run.model.parameters()).device
    smooth: dict[str, float] = {}
    with (
        freed_memory_kept(),
        flush_denormals(),
        training_bar(f"training on {device}", schedule.steps, run.step, quiet) as progress,
        open(folder / "log.jsonl", "a") as log,
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
    return run.finish()
