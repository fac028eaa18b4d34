"""Training of `LieMotionNetwork` on few sequences: augmentation, and an end chosen by an inner split of subjects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.linalg import so3
from mvnet.models.motion import LieMotionNetwork

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": lambda parameters, rate: torch.optim.AdamW(parameters, rate, weight_decay=0.05),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, 10 * rate, momentum=0.9, weight_decay=1e-3),
}


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


def train_motion_network(
    model: LieMotionNetwork,
    r: Tensor,
    labels: Tensor,
    groups: Tensor,
    schedule: MotionSchedule,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, float]:
    """Train in place on curves (n, frames, joints, 3, 3), labels (n,) and groups (n,), integers.

    The last group, in order, is kept to choose the epoch; with a single group every fifth sequence is.

    Returns:
        epoch and inner accuracy of the weights kept.
    Raises:
        ValueError: unknown optimizer, lengths that differ.
    """
    if schedule.optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer: found {schedule.optimizer!r}, expected one of {', '.join(OPTIMIZERS)}")
    if not len(r) == len(labels) == len(groups):
        raise ValueError(f"labels, groups: found {len(labels)} and {len(groups)}, expected {len(r)}")
    inner = groups == groups.max() if len(groups.unique()) > 1 else torch.arange(len(r)) % 5 == 0
    known = torch.nonzero(~inner).flatten()
    generator = torch.Generator().manual_seed(schedule.seed)
    optimizer = OPTIMIZERS[schedule.optimizer](model.parameters(), schedule.rate)
    best, kept = (-1.0, 0.0, 0), {k: v.clone() for k, v in model.state_dict().items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(schedule.seed)  # dropout
        for epoch in range(schedule.epochs):
            model.train()
            for index in known[torch.randperm(len(known), generator=generator)].split(schedule.batch):
                scores = model(augmented(r[index], schedule.warp, schedule.noise, generator))
                loss = torch.nn.functional.cross_entropy(scores, labels[index], label_smoothing=schedule.smoothing)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            model.eval()
            with torch.no_grad():
                scores = model(r[inner])
            accuracy = float((scores.argmax(-1) == labels[inner]).float().mean())
            likelihood = -float(torch.nn.functional.cross_entropy(scores, labels[inner]))
            if (accuracy, likelihood) > best[:2]:
                best, kept = (accuracy, likelihood, epoch), {k: v.clone() for k, v in model.state_dict().items()}
            progress(epoch + 1, schedule.epochs)
            if epoch - best[2] >= schedule.patience:
                break
    model.load_state_dict(kept)
    model.eval()
    return {"epoch": best[2] + 1, "inner_accuracy": best[0]}
