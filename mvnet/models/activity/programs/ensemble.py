"""An ensemble as a function of tensors: those of its two parts, one after the other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mvnet.models.activity.ensemble import MotionEnsemble
from mvnet.models.activity.programs.base import ClassifierProgram
from mvnet.models.activity.programs.kernels import KernelProgram
from mvnet.models.activity.programs.networks import BodyProgram


class EnsembleProgram(ClassifierProgram):
    """The mean of both parts.

    Args:
        classifier: fitted; its network is moved to the CPU.
    """

    def __init__(self, classifier: MotionEnsemble):
        super().__init__()
        self.kernels, self.network = KernelProgram(classifier.kernels), BodyProgram(classifier.network)
        self.inputs = {**self.kernels.inputs, **self.network.inputs}
        self.preparation = f"{self.kernels.preparation}, then {self.network.preparation}"
        rules = (classifier.kernels.novelty_, classifier.network.novelty_)
        self.learned = [k for k, rule in enumerate(rules) if rule is not None] or [0, 1]

    def prepare(self, sequence: np.ndarray) -> tuple[Tensor, ...]:
        """Curves of every view, then rotations and vectors."""
        return (*self.kernels.prepare(sequence), *self.network.prepare(sequence))

    def example(self) -> np.ndarray:
        """Positions or rotations."""
        return self.network.example()

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Both -> their mean; a part that has learned nothing of the unknown does not count there."""
        count = len(self.kernels.inputs)
        found = [self.kernels(*tensors[:count]), self.network(*tensors[count:])]
        known = torch.stack([found[k][1] for k in self.learned])
        return (found[0][0] + found[1][0]) / 2, known.mean(0)
