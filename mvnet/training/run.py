"""One training loop for every network: seeded, resumable, with a progress bar, on any device.

A run is a folder: `checkpoint.safetensors` (weights, averaged weights, optimizer state) beside `checkpoint.json` (step,
options) and `log.jsonl`. Batch k is a function of the seed and k, so that a resumed run sees what an uninterrupted one
would have seen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mvnet.errors import MvnetError
from mvnet.models.checkpoint import save_progress
from mvnet.runtime import denormals_flushed, freed_memory_kept

Objective = Callable[[nn.Module, Any], tuple[Tensor, dict[str, float]]]


@dataclass(frozen=True)
class Schedule:
    """Options of a run: AdamW with a linear warm-up and a cosine decay, averaged weights."""

    steps: int = 6000
    batch: int = 2
    rate: float = 2e-3
    warm_up: int = 200
    weight_decay: float = 1e-4
    clip: float = 1.0
    average: float = 0.999
    checkpoint_every: int = 250
    workers: int = 1
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        rising = min(1.0, (step + 1) / self.warm_up)
        return self.rate * rising * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / self.steps)))


class Run:
    """State of a training run in a folder.

    Args:
        folder: created when missing; an existing checkpoint in it is continued.
        model: initialised network, on its device.
        schedule: options; a resumed run must have been started with the same.
    """

    def __init__(self, folder: Path, model: nn.Module, schedule: Schedule):
        self.folder, self.model, self.schedule, self.step = folder, model, schedule, 0
        self.optimizer = torch.optim.AdamW(model.parameters(), schedule.rate, weight_decay=schedule.weight_decay)
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "checkpoint.json").is_file():
            self._load()

    def _load(self) -> None:
        description = json.loads((self.folder / "checkpoint.json").read_text())
        if description["schedule"] != asdict(self.schedule):
            before = description["schedule"]
            found = ", ".join(
                f"{k} {v} (was {before.get(k)})" for k, v in asdict(self.schedule).items() if v != before.get(k)
            )
            raise MvnetError(f"schedule: found {found}; the run in {self.folder} goes on with what it was started with")
        device = next(self.model.parameters()).device
        tensors = load_file(self.folder / f"checkpoint-{description['step']}.safetensors", device=str(device))
        self.step = description["step"]
        try:
            self.model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model/")})
        except RuntimeError as error:
            raise MvnetError(f"output: the run in {self.folder} trains a network of another size") from error
        self.average = {k[8:]: v for k, v in tensors.items() if k.startswith("average/")}
        for index, parameter in enumerate(self.optimizer.param_groups[0]["params"]):
            self.optimizer.state[parameter] = {
                "step": torch.tensor(float(self.step)),
                "exp_avg": tensors[f"mean/{index}"],
                "exp_avg_sq": tensors[f"square/{index}"],
            }

    def save(self) -> None:
        """Write the checkpoint."""
        tensors = {f"model/{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average/{k}": v for k, v in self.average.items()}
        for index, parameter in enumerate(self.optimizer.param_groups[0]["params"]):
            state = self.optimizer.state[parameter]
            tensors |= {f"mean/{index}": state["exp_avg"], f"square/{index}": state["exp_avg_sq"]}
        description = {"step": self.step, "schedule": asdict(self.schedule)}
        save_progress(self.folder, "checkpoint", self.step, tensors, description)

    def averaged_model(self) -> nn.Module:
        """The network with the averaged weights, in eval mode."""
        self.model.load_state_dict(self.average)
        return self.model.eval()

    def update(self, objective: Objective, batch: Any) -> dict[str, float]:
        """One optimisation step; a step whose gradient is not finite is skipped and counted."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate_at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss, figures = objective(self.model, batch)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.schedule.clip)
        finite = bool(torch.isfinite(norm))
        if finite:
            self.optimizer.step()
        self.step += 1
        decay = min(self.schedule.average, self.step / (self.step + 10))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)
        return {**figures, "gradient_norm": float(norm), "skipped": float(not finite)}


def batches(data: Dataset, schedule: Schedule, start: int) -> Iterator[Any]:
    """Batches start, start + 1, ... of a map-style data set, in order."""
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
    """Train to the end of the schedule; Ctrl-C leaves the last checkpoint, from which the same call goes on.

    Returns:
        the network with averaged weights, in eval mode.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    schedule, device = run.schedule, next(run.model.parameters()).device
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    run.model.train()
    smooth: dict[str, float] = {}
    with (
        freed_memory_kept(),
        denormals_flushed(),
        Progress(*columns, console=Console(stderr=True), disable=quiet) as progress,
        open(run.folder / "log.jsonl", "a") as log,
    ):
        task = progress.add_task(f"training on {device}", total=schedule.steps, completed=run.step)
        for batch in batches(data, schedule, run.step):
            figures = run.update(objective, batch)
            smooth = {k: 0.98 * smooth.get(k, v) + 0.02 * v for k, v in figures.items()}
            text = " ".join(f"{k} {v:.3f}" for k, v in smooth.items())
            progress.update(task, completed=run.step, description=f"training on {device}  {text}")
            if run.step % schedule.checkpoint_every == 0 or run.step == schedule.steps:
                run.save()
                log.write(json.dumps({"step": run.step, **smooth}) + "\n")
                log.flush()
    return run.averaged_model()
