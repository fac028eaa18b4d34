"""Options of a training run, and the learning rate of every step."""

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
"""name -> (fraction of the steps done -> learning rate over its peak)."""


@dataclass(frozen=True)
class Schedule:
    """Options of a run; a run can only be resumed with the options it was started with.

    Args:
        steps: number of optimiser steps.
        batch: number of examples in a step.
        rate: peak learning rate.
        warm_up: number of steps over which the rate grows linearly.
        weight_decay: as in `mvnet.optim.registry.build`.
        clip: largest gradient norm; larger gradients are scaled down.
        average: decay of the exponential moving average of the weights; 0 for none.
        checkpoint_every: number of steps between two checkpoints.
        workers: number of processes that prepare examples.
        seed: random seed of the data.
        optimizer: a name of `mvnet.optim.OPTIMIZERS`.
        decay: a name of `DECAYS`.
        optimizer_options: further options of the optimiser, "k=v,...".
        precision: of convolutions and linear maps, a name of `mvnet.training.precision.PRECISIONS`.
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
    optimizer_options: str = ""
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.decay not in DECAYS:
            raise MvnetError(f"decay: found {self.decay!r}, expected one of {', '.join(DECAYS)}")

    def rate_at(self, step: int, peak: float | None = None) -> float:
        """Learning rate of a step.

        Args:
            step: number of steps done before it.
            peak: peak learning rate; None is `rate`.
        Returns:
            peak * warm-up * decay.
        """
        rising = min(1.0, (step + 1) / max(self.warm_up, 1))
        return (self.rate if peak is None else peak) * rising * DECAYS[self.decay](step / self.steps)
