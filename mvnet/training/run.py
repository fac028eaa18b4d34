"""One training loop for every network: seeded, resumable, on any device.

    for figures in run.steps(objective, batches): ...          one optimiser step each; `train` is the whole loop

A run may be kept in a folder, in which one process trains at a time: `checkpoint-STEP.safetensors` (weights, their
average, the best ones, optimiser) beside `checkpoint.json` (step, options, numbers) and `log.jsonl`. Batch k is a
function of the seed and k, so that a resumed run draws the batches of an uninterrupted one, and several processes
that train together (`mvnet.ranks`) those of one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mvnet import ranks
from mvnet.errors import MvnetError
from mvnet.manifolds.parameter import ManifoldParameter
from mvnet.optim.registry import build, parse_options
from mvnet.storage import FileLock, drop_progress, json_text, lock_file, recover, save_progress
from mvnet.training.monitor import Monitor
from mvnet.training.precision import lowered, precision_of
from mvnet.training.schedule import Schedule
from mvnet.training.state import convert_version_0_1, optimizer_state, restore_optimizer

Objective = Callable[[nn.Module, Any], tuple[Tensor, dict[str, float]]]
"""(network, batch) -> loss and the figures for the log."""

_IMPLIED = {
    "optimizer": "adamw",
    "decay": "cosine",
    "optimizer_options": "",
    "precision": "float32",
}  # options that older checkpoints do not hold


class Run:
    """State of a training run.

    Args:
        folder: created when missing; a run with a checkpoint in it is resumed. None writes no checkpoint.
        model: initialised network, on its device.
        schedule: options; the same as at the start when a run is resumed.
        monitor: a metric that ends the run or lowers its rate.
        name: stem of the checkpoint files.
        identity: further entries, as JSON, that must be the same when a run is resumed.
        may_change: keys of schedule and identity that may differ.
    Raises:
        MvnetError: an unknown optimiser, a checkpoint that is damaged or of another run, or a folder in which another
            process trains.
    """

    def __init__(
        self,
        folder: Path | None,
        model: nn.Module,
        schedule: Schedule,
        *,
        monitor: Monitor | None = None,
        name: str = "checkpoint",
        identity: dict[str, Any] | None = None,
        may_change: frozenset[str] = frozenset(),
    ):
        if schedule.batch % ranks.count():
            processes = ranks.count()
            raise MvnetError(f"batch: found {schedule.batch} over {processes} processes, expected a multiple of them")
        self.folder, self.model, self.schedule, self.monitor = folder, model, schedule, monitor
        self.name, self.may_change = name, may_change
        self.identity = json.loads(json_text({**asdict(schedule), **(identity or {})}))
        self.step, self.peak = 0, schedule.rate
        device, self._dtype = next(model.parameters()).device, precision_of(schedule.precision)
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._dtype is torch.float16)
        self.optimizer_options = options = parse_options(schedule.optimizer, schedule.optimizer_options)
        ranks.share_weights(model)
        self.optimizer = build(schedule.optimizer, model, schedule.rate, schedule.weight_decay, **options)
        if ranks.count() > 1 and getattr(self.optimizer, "reads_activations", False):
            name, processes = schedule.optimizer, ranks.count()
            raise MvnetError(
                f"optimizer: found {name} over {processes} processes, expected one that reads gradients only"
            )
        self._shares = [group["lr"] / schedule.rate for group in self.optimizer.param_groups]
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()} if schedule.average else {}
        self._manifolds = {k: p.manifold for k, p in model.named_parameters() if isinstance(p, ManifoldParameter)}
        self._lock = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder) if ranks.rank() == 0 else None
            try:
                if ranks.rank() == 0:
                    recover(folder)
                ranks.wait()
                if self.has_checkpoint(folder, name):
                    self._load(folder)
            except BaseException:
                self.close()
                raise

    @staticmethod
    def has_checkpoint(folder: Path, name: str = "checkpoint") -> bool:
        """Whether a folder holds a checkpoint.

        Args:
            folder: folder of the run.
            name: stem of the checkpoint files.
        Returns:
            True when `Run` would resume from it.
        """
        return (folder / f"{name}.json").is_file()

    @staticmethod
    def drop(folder: Path, name: str = "checkpoint") -> None:
        """Remove a checkpoint.

        Args:
            folder: folder of the run.
            name: stem of the checkpoint files.
        """
        drop_progress(folder, name)

    @property
    def finished(self) -> bool:
        """Whether the schedule or the monitor ends the run at this step."""
        return self.step >= self.schedule.steps or (self.monitor is not None and self.monitor.exhausted)

    def steps(self, objective: Objective, batches: Iterable[Any]) -> Iterator[dict[str, float]]:
        """Train until the run has finished.

        Args:
            objective: loss and figures of a batch.
            batches: those from the next step on.
        Yields:
            the figures of every step.
        """
        if self.finished:
            return
        self.model.train()
        source = iter(batches)
        try:
            for batch in source:
                figures = self.update(objective, batch)
                last = self.step == self.schedule.steps
                if self.monitor is not None and (last or self.step % self.monitor.every == 0):
                    self.peak = self.monitor.look(self.model, self.step, self.peak)
                if self.folder is not None and (self.finished or self.step % self.schedule.checkpoint_every == 0):
                    self.save(self.folder)
                yield figures
                if self.finished:
                    break
        finally:
            if close := getattr(source, "close", None):
                close()

    def update(self, objective: Objective, batch: Any) -> dict[str, float]:
        """Take one optimisation step; it is skipped when the gradient is not finite.

        Args:
            objective: loss and figures of a batch.
            batch: argument of the objective.
        Returns:
            the figures, "optimizer_ms", the milliseconds that the optimiser took (on a GPU those until its work is
            queued), the gradient norm before clipping, and "skipped", 1 or 0.
        """
        rate = self.schedule.rate_at(self.step, self.peak)
        for group, share in zip(self.optimizer.param_groups, self._shares):
            group["lr"] = share * rate
        self.optimizer.zero_grad(set_to_none=True)
        # batch -> loss -> gradient, of all processes, clipped -> step, unless it is not finite
        with lowered(self.model, self._dtype):
            loss, figures = objective(self.model, batch)
            self._scaler.scale(loss).backward()
        self._scaler.unscale_(self.optimizer)
        ranks.average_gradients(self.model.parameters())
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.schedule.clip)
        figures = ranks.average_figures(figures, norm.device)
        finite = bool(torch.isfinite(norm))
        begin = time.perf_counter()
        if finite:
            self.optimizer.step()
        self._scaler.update()
        figures["optimizer_ms"] = 1e3 * (time.perf_counter() - begin)
        self.step += 1
        if self.average:
            self._average_weights()
        return {**figures, "gradient_norm": float(norm), "skipped": float(not finite)}

    @torch.no_grad()
    def _average_weights(self) -> None:
        """Weights w -> average m:  m <- d m + (1 - d) w, on a manifold the point of the geodesic from m to w."""
        decay = min(self.schedule.average, self.step / (self.step + 10))
        for name, value in self.model.state_dict().items():
            average = self.average[name]
            if name in self._manifolds:
                average.copy_(self._manifolds[name].geodesic(average, value, 1 - decay))
            elif value.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    def finish(self) -> nn.Module:
        """The network in eval mode: with the best weights where the monitor keeps them, else the averaged ones."""
        kept = self.monitor.kept if self.monitor is not None else {}
        if kept or self.average:
            self.model.load_state_dict(kept or self.average)
        return self.model.eval()

    def close(self) -> None:
        """Let others train in the folder; may be called twice."""
        if self._lock is not None:
            self._lock.release(remove=True)

    # ---- checkpoints ----

    def save(self, folder: Path) -> None:
        """Write a checkpoint, from one of the processes that train together.

        Args:
            folder: folder of the run.
        """
        if ranks.rank() > 0:
            return
        tensors, numbers = optimizer_state(self.optimizer)
        tensors |= {f"model/{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average/{k}": v for k, v in self.average.items()}
        description: dict[str, Any] = {"step": self.step, "schedule": self.identity, "peak": self.peak}
        description["optimizer"] = numbers
        if self._scaler.is_enabled():
            description["scaler"] = self._scaler.state_dict()
        if self.monitor is not None:
            tensors |= {f"kept/{k}": v for k, v in self.monitor.kept.items()}
            description["monitor"] = self.monitor.numbers()
        save_progress(folder, self.name, self.step, tensors, description)

    def _load(self, folder: Path) -> None:
        device = next(self.model.parameters()).device
        with _reading(folder):
            description = self.read_description(json.loads((folder / f"{self.name}.json").read_text()))
            step, began = description["step"], {**_IMPLIED, **description["schedule"]}
            weights = folder / f"{self.name}-{description.get('file', step)}.safetensors"
            tensors = convert_version_0_1(load_file(weights, device=str(device)), step)
        now = {k: v for k, v in self.identity.items() if k not in self.may_change}
        if changed := [f"{k} {v} (was {began.get(k)})" for k, v in now.items() if v != began.get(k)]:
            found = ", ".join(changed)
            raise MvnetError(f"schedule: found {found}, expected what the run in {folder} began with, to resume it")

        def part(name: str) -> dict[str, Tensor]:
            return {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}

        try:
            self.model.load_state_dict(part("model"))
        except RuntimeError as error:
            raise MvnetError(
                f"output: found a run in {folder} that trains a network of another size, expected this one"
            ) from error
        self.step, self.peak = step, description.get("peak", self.peak)
        self.average = part("average")
        with _reading(folder):
            restore_optimizer(self.optimizer, tensors, description.get("optimizer", {}))
            if self._scaler.is_enabled():
                self._scaler.load_state_dict(description["scaler"])
            if self.monitor is not None:
                self.monitor.restore(description["monitor"], part("kept"))

    def read_description(self, description: dict[str, Any]) -> dict[str, Any]:
        """Convert the JSON of a checkpoint; subclasses convert older layouts.

        Args:
            description: content of the file.
        Returns:
            the entries that `save` writes.
        """
        return description


def _lock(folder: Path) -> FileLock:
    """The folder of a run, for one process at a time."""
    lock = lock_file(folder / ".training.lock")
    if lock is None:
        raise MvnetError(f"output: found another training that is running in {folder}, expected none")
    return lock


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Whatever a damaged checkpoint raises inside is one error of the user's."""
    try:
        yield
    except Exception as error:
        kind = type(error).__name__
        raise MvnetError(
            f"resume: found a checkpoint in {folder} that cannot be read ({kind}), expected a whole one"
        ) from error
