"""A validation metric: it ends the run, or lowers the learning rate, when it stagnates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

Score = tuple[float, ...]
"""Larger is better, the first entry first."""


@dataclass
class Monitor:
    """Evaluate the network at regular steps and record the best score.

    Args:
        evaluate: the score of the network, which is in eval mode.
        every: number of steps between two evaluations.
        patience: number of evaluations in a row without a better score that counts as stagnation.
        factor: the learning rate is then multiplied by this; None ends the run instead.
        keep_best: whether the run ends with the weights of the best score.
        tolerance: smallest relative improvement that counts, in the first entry of the score.
    """

    evaluate: Callable[[nn.Module], Score]
    every: int
    patience: int
    factor: float | None = None
    keep_best: bool = False
    tolerance: float = 0.0
    best: Score = ()
    best_step: int = 0
    stale: int = 0
    kept: dict[str, Tensor] = field(default_factory=dict)
    history: list[tuple[int, Score, float]] = field(default_factory=list)
    """(step, score, peak learning rate so far) of every evaluation since the run was started or resumed."""

    @property
    def exhausted(self) -> bool:
        """Whether the run is to end."""
        return self.factor is None and self.stale >= self.patience

    def look(self, model: nn.Module, step: int, peak: float) -> float:
        """Evaluate the network after a step.

        Args:
            model: evaluated in eval mode, then returned to its mode.
            step: number of steps done.
            peak: peak learning rate so far.
        Returns:
            the peak learning rate from here on.
        """
        was = model.training
        score = self.evaluate(model.eval())
        model.train(was)
        self.history.append((step, score, peak))
        if self._is_better(score):
            self.best, self.best_step, self.stale = score, step, 0
            if self.keep_best:
                self.kept = {k: v.detach().clone() for k, v in model.state_dict().items()}
        else:
            self.stale += 1
        if self.factor is not None and self.stale >= self.patience:
            self.stale = 0
            return peak * self.factor
        return peak

    def _is_better(self, score: Score) -> bool:
        if not self.best:
            return True
        least = self.best[0] + self.tolerance * abs(self.best[0])
        return score > (least, *self.best[1:]) if math.isfinite(least) else score > self.best

    def numbers(self) -> dict[str, Any]:
        """Entries of a checkpoint beside the best weights: best score, its step, evaluations since."""
        return {"best": list(self.best), "best_step": self.best_step, "stale": self.stale}

    def restore(self, numbers: dict[str, Any], kept: dict[str, Tensor]) -> None:
        """Continue from a checkpoint.

        Args:
            numbers: as `numbers` returned them.
            kept: the best weights, empty without `keep_best`.
        """
        best: Sequence[float] = numbers["best"]
        self.best, self.best_step, self.stale = tuple(best), numbers["best_step"], numbers["stale"]
        self.kept = kept
