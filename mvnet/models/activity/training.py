"""Training of `LieMotionNetwork` on few sequences: augmentation, and early stopping on held-out training subjects."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.runtime import seed_torch
from mvnet.training import Monitor, Run, Schedule

CHECKPOINT = "activity-checkpoint"
"""Name of the checkpoint files of an unfinished training."""
_WEIGHT_DECAY = {
    "adamw": 0.05,
    "muon": 0.05,
    "soap": 0.05,
    "sgd": 1e-3,
}  # 0 for others; strong where it is decoupled, as there are few sequences


@dataclass(frozen=True)
class MotionSchedule:
    """Options of a training run.

    Args:
        epochs: maximum number of epochs.
        batch: number of sequences in a step.
        rate: learning rate.
        optimizer: a name of `mvnet.optim.OPTIMIZERS`.
        patience: training stops after this number of epochs without a better inner accuracy.
        warp, noise: strength of `augment`.
        smoothing: label smoothing of the cross-entropy.
        seed: random seed of batches, augmentation and dropout.
        optimizer_options: further options of the optimiser, "k=v,...".
    """

    epochs: int = 45
    batch: int = 16
    rate: float = 2e-3
    optimizer: str = "adamw"
    patience: int = 25
    warp: float = 0.3
    noise: float = 0.05
    smoothing: float = 0.1
    seed: int = 0
    optimizer_options: str = ""


def augment(r: Tensor, warp: float, noise: float, generator: torch.Generator) -> Tensor:
    """Warp the time of curves, and rotate the axes of each joint slightly, constant in time.

    Time: t -> t + warp sin(pi t) a / pi with a uniform in [-1, 1], monotone for warp < 1;
    frames are selected, not interpolated.

    Args:
        r: (batch, frames, joints, 3, 3).
        warp: largest relative change of the speed.
        noise: standard deviation of the rotations, radians.
        generator: source of the random numbers, on the CPU.
    Returns:
        same shape.
    """
    batch, frames, joints = r.shape[:3]
    t = torch.linspace(0, 1, frames)
    a = 2 * torch.rand(batch, 1, generator=generator) - 1
    at = ((t + warp * torch.sin(torch.pi * t) * a / torch.pi) * (frames - 1)).round().long().clamp(0, frames - 1)
    picked = r[torch.arange(batch).unsqueeze(-1), at.to(r.device)]
    rotation = noise * torch.randn(batch, 1, joints, 3, generator=generator)
    return picked @ so3.exp(rotation.to(r))


class EpochRun(Run):
    """A run in epochs over training sequences.

    options: of the training.  steps_per_epoch: number of batches that an epoch has.
    """

    options: MotionSchedule
    steps_per_epoch: int

    @property
    def epoch(self) -> int:
        """Number of epochs done."""
        return self.step // self.steps_per_epoch

    def objective(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """Loss of a batch.

        Args:
            model: the network.
            batch: one of `batches`.
        Returns:
            the loss (), and figures.
        """
        raise NotImplementedError

    def batches(self) -> Iterator[Any]:
        """Batches from the first step of the next epoch on."""
        raise NotImplementedError

    def train_epochs(self, progress: Callable[[int, int], None]) -> None:
        """Train to the end, and let go of the folder.

        Args:
            progress: called as progress(done, total) at the start and after every epoch.
        """
        with closing(self):
            progress(self.epoch, self.options.epochs)
            for _ in self.steps(self.objective, self.batches()):
                if self.step % self.steps_per_epoch == 0:
                    progress(self.epoch, self.options.epochs)
            self.finish()


class MotionRun(EpochRun):
    """A run in epochs over the training sequences; arguments and errors as in `train_motion_network`."""

    def __init__(
        self,
        folder: Path | None,
        model: LieMotionNetwork,
        r: Tensor,
        labels: Tensor,
        groups: Tensor,
        options: MotionSchedule,
    ):
        if not len(r) == len(labels) == len(groups):
            raise MvnetError(f"labels, groups: found {len(labels)} and {len(groups)}, expected {len(r)}")
        inner = groups == groups.max() if len(groups.unique()) > 1 else torch.arange(len(r)) % 5 == 0
        if bool(inner.all()):
            raise MvnetError(f"r: found {len(r)} sequence, expected at least two, one of them to choose the epoch")
        self.r, self.labels, self.options = r, labels, options
        self.known, self.inner = torch.nonzero(~inner).flatten(), torch.nonzero(inner).flatten()
        self.steps_per_epoch = math.ceil(len(self.known) / options.batch)
        super().__init__(
            folder,
            model,
            self._schedule(),
            monitor=Monitor(self.score, every=self.steps_per_epoch, patience=options.patience, keep_best=True),
            name=CHECKPOINT,
            identity=self._identity(model),
            may_change=frozenset({"steps"}),
        )

    def _schedule(self) -> Schedule:
        options = self.options
        return Schedule(
            steps=options.epochs * self.steps_per_epoch,
            batch=options.batch,
            rate=options.rate,
            warm_up=1,
            weight_decay=_WEIGHT_DECAY.get(options.optimizer, 0.0),
            average=0.0,
            checkpoint_every=self.steps_per_epoch,
            seed=options.seed,
            optimizer=options.optimizer,
            optimizer_options=options.optimizer_options,
            decay="constant",
        )

    def _identity(self, model: LieMotionNetwork) -> dict[str, Any]:
        digest = hashlib.sha256(self.r.detach().cpu().contiguous().numpy().tobytes())
        digest.update(self.labels.cpu().numpy().tobytes())
        augmentation = {"warp": self.options.warp, "noise": self.options.noise, "smoothing": self.options.smoothing}
        return {**augmentation, "curves": digest.hexdigest(), **{f"network {k}": v for k, v in model.config.items()}}

    def score(self, model: nn.Module) -> tuple[float, float]:
        """Accuracy and log-likelihood on the held-out sequences.

        Args:
            model: in eval mode.
        Returns:
            both, larger is better.
        """
        with torch.no_grad():
            scores, truth = model(self.r[self.inner]), self.labels[self.inner]
        accuracy = float((scores.argmax(-1) == truth).float().mean())
        return accuracy, -float(cross_entropy(scores, truth))

    def objective(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy with smoothed labels.

        Args:
            model: the network.
            batch: curves and labels.
        Returns:
            loss (), and no figures.
        """
        curves, labels = batch
        return cross_entropy(model(curves), labels, label_smoothing=self.options.smoothing), {}

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches from the first step of the next epoch on; an epoch is a function of the seed and its number.

        Yields:
            curves (batch, frames, joints, 3, 3) and labels (batch,).
        """
        options = self.options
        for epoch in range(self.epoch, options.epochs):
            seed = 1_000_003 * options.seed + epoch
            generator = torch.Generator().manual_seed(seed)
            with seed_torch(seed, self.r.device):  # dropout
                for index in self.known[torch.randperm(len(self.known), generator=generator)].split(options.batch):
                    yield augment(self.r[index], options.warp, options.noise, generator), self.labels[index]

    def read_description(self, description: dict[str, Any]) -> dict[str, Any]:
        """Convert the card of version 0.1.0, which counts epochs."""
        if "epoch" not in description:
            return description
        epoch, best_epoch = description["epoch"], description["best_epoch"]
        return {
            "step": epoch * self.steps_per_epoch,
            "file": epoch,
            "schedule": {**self.identity, **description["same"]},
            "monitor": {
                "best": description["best"],
                "best_step": best_epoch * self.steps_per_epoch,
                "stale": epoch - best_epoch,
            },
        }


def train_motion_network(
    model: LieMotionNetwork,
    r: Tensor,
    labels: Tensor,
    groups: Tensor,
    schedule: MotionSchedule,
    progress: Callable[[int, int], None] = lambda done, total: None,
    folder: Path | None = None,
) -> dict[str, float]:
    """Train in place on curves of rotations.

    The group of the largest number is held out to choose the epoch; with a single group every fifth sequence is.

    Args:
        model: on the device of the curves.
        r: (n, frames, joints, 3, 3).
        labels: (n,) integers, on the same device.
        groups: (n,) integers, on the CPU.
        schedule: options.
        progress: called as progress(done, total) after every epoch.
        folder: where a checkpoint is written after every epoch; training resumes from one that exists.
    Returns:
        epoch and inner accuracy of the weights kept.
    Raises:
        MvnetError: unknown optimiser, lengths that differ, a single sequence, a checkpoint of another run.
    """
    run = MotionRun(folder, model, r, labels, groups, schedule)
    run.train_epochs(progress)
    monitor = run.monitor
    best = monitor.best[0] if monitor is not None else math.nan
    return {"epoch": monitor.best_step // run.steps_per_epoch if monitor is not None else 0, "inner_accuracy": best}
