"""Training of `LieMotionNetwork` on few sequences: augmentation, and an end chosen by an inner split of subjects.

What epoch k draws depends on the seed and k alone, so that a training continued from its checkpoint sees what an
uninterrupted one would have seen. A checkpoint is `activity-checkpoint-K.safetensors` (weights, the best
weights so far, optimizer state after K epochs) beside `activity-checkpoint.json` (K, schedule, digest of the curves).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.checkpoint import save_progress

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": lambda parameters, rate: torch.optim.AdamW(parameters, rate, weight_decay=0.05),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, 10 * rate, momentum=0.9, weight_decay=1e-3),
}
CHECKPOINT = "activity-checkpoint"


@dataclass(frozen=True)
class MotionSchedule:
    """epochs: at most. patience: epochs without a better inner accuracy before the end. noise: radians."""

    epochs: int = 100
    batch: int = 16
    rate: float = 2e-3
    optimizer: str = "adamw"
    patience: int = 25
    warp: float = 0.3
    noise: float = 0.05
    smoothing: float = 0.1
    seed: int = 0


def augmented(r: Tensor, warp: float, noise: float, generator: torch.Generator) -> Tensor:
    """Curves (batch, frames, joints, 3, 3) in another time, each joint's axes turned a little for the whole curve.

    Time: t -> t + warp sin(pi t) a / pi with a uniform in [-1, 1], monotone for warp < 1; frames are picked, not mixed.
    """
    batch, frames, joints = r.shape[:3]
    t = torch.linspace(0, 1, frames)
    a = 2 * torch.rand(batch, 1, generator=generator) - 1
    at = ((t + warp * torch.sin(torch.pi * t) * a / torch.pi) * (frames - 1)).round().long().clamp(0, frames - 1)
    picked = r[torch.arange(batch).unsqueeze(-1), at.to(r.device)]
    turn = noise * torch.randn(batch, 1, joints, 3, generator=generator)
    return picked @ so3.exp(turn.to(r))


class MotionTraining:
    """A training in progress; arguments and errors are those of `train_motion_network`."""

    def __init__(self, model: LieMotionNetwork, r: Tensor, labels: Tensor, groups: Tensor, schedule: MotionSchedule):
        if schedule.optimizer not in OPTIMIZERS:
            raise MvnetError(f"optimizer: found {schedule.optimizer!r}, expected one of {', '.join(OPTIMIZERS)}")
        if not len(r) == len(labels) == len(groups):
            raise MvnetError(f"labels, groups: found {len(labels)} and {len(groups)}, expected {len(r)}")
        inner = groups == groups.max() if len(groups.unique()) > 1 else torch.arange(len(r)) % 5 == 0
        if bool(inner.all()):
            raise MvnetError(f"r: found {len(r)} sequence, expected at least two, one of them to choose the epoch")
        self.model, self.schedule, self.r, self.labels = model, schedule, r, labels
        self.known, self.inner = torch.nonzero(~inner).flatten(), torch.nonzero(inner).flatten()
        self.optimizer = OPTIMIZERS[schedule.optimizer](model.parameters(), schedule.rate)
        self.epoch, self.best_epoch = 0, 0
        self.best = (-1.0, 0.0)  # inner accuracy, log-likelihood
        self.kept = {k: v.clone() for k, v in model.state_dict().items()}

    @property
    def finished(self) -> bool:
        return self.epoch >= self.schedule.epochs or self.epoch - self.best_epoch >= self.schedule.patience

    def run_epoch(self) -> None:
        """Every sequence once; the weights are kept if the inner ones are classified better than ever."""
        schedule, model = self.schedule, self.model
        seed = 1_000_003 * schedule.seed + self.epoch
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[self.r.device] if self.r.is_cuda else []):
            torch.manual_seed(seed)  # dropout
            model.train()
            for index in self.known[torch.randperm(len(self.known), generator=generator)].split(schedule.batch):
                scores = model(augmented(self.r[index], schedule.warp, schedule.noise, generator))
                loss = torch.nn.functional.cross_entropy(scores, self.labels[index], label_smoothing=schedule.smoothing)
                self.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                self.optimizer.step()
        model.eval()
        with torch.no_grad():
            scores, truth = model(self.r[self.inner]), self.labels[self.inner]
        accuracy = float((scores.argmax(-1) == truth).float().mean())
        likelihood = -float(torch.nn.functional.cross_entropy(scores, truth))
        self.epoch += 1
        if (accuracy, likelihood) > self.best:
            self.best, self.best_epoch = (accuracy, likelihood), self.epoch
            self.kept = {k: v.clone() for k, v in model.state_dict().items()}

    def finish(self) -> dict[str, float]:
        """The weights kept go into the model, in eval mode; their epoch and inner accuracy."""
        self.model.load_state_dict(self.kept)
        self.model.eval()
        return {"epoch": self.best_epoch, "inner_accuracy": self.best[0]}

    def _description(self) -> dict[str, Any]:
        """What a training that goes on must have in common with the one that was stopped."""
        digest = hashlib.sha256(self.r.detach().cpu().contiguous().numpy().tobytes())
        digest.update(self.labels.cpu().numpy().tobytes())
        same = {k: v for k, v in asdict(self.schedule).items() if k not in ("epochs", "patience")}
        return {**same, "curves": digest.hexdigest(), **{f"network {k}": v for k, v in self.model.config.items()}}

    @staticmethod
    def unfinished(folder: Path) -> bool:
        """Whether a checkpoint is there."""
        return (folder / f"{CHECKPOINT}.json").is_file()

    @staticmethod
    def drop(folder: Path) -> None:
        """Remove the checkpoint."""
        (folder / f"{CHECKPOINT}.json").unlink(missing_ok=True)
        for weights in folder.glob(f"{CHECKPOINT}-*.safetensors"):
            weights.unlink()

    def save(self, folder: Path) -> None:
        """Write the checkpoint."""
        folder.mkdir(exist_ok=True)
        tensors = {f"model/{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"kept/{k}": v for k, v in self.kept.items()}
        for index, entries in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": v for k, v in entries.items() if isinstance(v, Tensor)}
        text = {"epoch": self.epoch, "best_epoch": self.best_epoch, "best": self.best, "same": self._description()}
        save_progress(folder, CHECKPOINT, self.epoch, tensors, text)

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint. ValueError: it is damaged, or of other curves, another network or other options."""
        try:
            text = json.loads((folder / f"{CHECKPOINT}.json").read_text())
            tensors = load_file(folder / f"{CHECKPOINT}-{text['epoch']}.safetensors")
            before, now = text["same"], json.loads(json.dumps(self._description()))
            changed = sorted(k for k in {*before, *now} if before.get(k) != now.get(k))
        except Exception as error:
            raise MvnetError(f"resume: the checkpoint in {folder} cannot be read ({type(error).__name__})") from error
        if changed:
            found = "; ".join(f"{k} {now.get(k)}, was {before.get(k)}" for k in changed)
            raise MvnetError(f"resume: the training in {folder} began otherwise: found {found}")
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer/"):
                _, index, entry = name.split("/")
                state.setdefault(int(index), {})[entry] = value
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model/")})
        self.kept = {k[5:]: v.to(self.r.device) for k, v in tensors.items() if k.startswith("kept/")}
        self.epoch, self.best_epoch = text["epoch"], text["best_epoch"]
        self.best = (text["best"][0], text["best"][1])


def train_motion_network(
    model: LieMotionNetwork,
    r: Tensor,
    labels: Tensor,
    groups: Tensor,
    schedule: MotionSchedule,
    progress: Callable[[int, int], None] = lambda done, total: None,
    folder: Path | None = None,
) -> dict[str, float]:
    """Train in place on curves (n, frames, joints, 3, 3), labels (n,) and groups (n,), integers.

    The last group, in order, is kept to choose the epoch; with a single group every fifth sequence is.

    Args:
        model, r, labels: on one device; groups on the CPU.
        folder: where a checkpoint is written after every epoch; one that is there is continued.
    Returns:
        epoch and inner accuracy of the weights kept.
    Raises:
        ValueError: unknown optimizer, lengths that differ, a checkpoint of another training.
    """
    training = MotionTraining(model, r, labels, groups, schedule)
    if folder is not None and training.unfinished(folder):
        training.load(folder)
    while not training.finished:
        progress(training.epoch, schedule.epochs)
        training.run_epoch()
        if folder is not None:
            training.save(folder)
    progress(training.epoch, schedule.epochs)
    return training.finish()
