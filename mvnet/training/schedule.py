"""Options of a training, and the learning rate of every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from mvnet.errors import MvnetError

DECAYS: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)),
    "linear": lambda done: 1 - done,
    "constant": lambda done: 1.0,
}
"""name -> share of the rate that is left when a share of the steps is done."""


@dataclass(frozen=True)
class Schedule:
    """Options of a run; those of a run that is resumed must be what it was started with.

    Args:
        steps: of the optimiser.
        batch: examples in a step.
        rate: peak learning rate.
        warm_up: steps over which it grows linearly.
        weight_decay: of the optimiser.
        clip: largest norm of a gradient; longer ones are scaled.
        average: of the averaged weights, the share kept at every step; 0 for no averaging.
        checkpoint_every: steps between two checkpoints.
        workers: processes that prepare examples.
        seed: of the data.
        optimizer: a name of `mvnet.optim.OPTIMIZERS`.
        decay: a name of `DECAYS`.
    """

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
    optimizer: str = "adamw"
    decay: str = "cosine"

    def __post_init__(self) -> None:
        if self.decay not in DECAYS:
            raise MvnetError(f"decay: found {self.decay!r}, expected one of {', '.join(DECAYS)}")

    def rate_at(self, step: int, peak: float | None = None) -> float:
        """Learning rate of a step; peak: None is that of the schedule."""
        rising = min(1.0, (step + 1) / max(self.warm_up, 1))
        return (self.rate if peak is None else peak) * rising * DECAYS[self.decay](step / self.steps)
