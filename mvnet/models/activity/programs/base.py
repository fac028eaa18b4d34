"""What a classifier is as a function of tensors, and how it tells the unknown there.

p(known | u) of `novelty`, with the same u = (largest score, its lead, -log d, -log d_c).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from mvnet.models.activity.novelty import CLUES, FAR, LARGEST_LEAD, TINY, Novelty

OUTPUTS = {"probabilities": "(1, classes)", "known": "(1,) probability that the motion is of one of the classes"}


class ClassifierProgram(nn.Module, ABC):
    """One recording, prepared -> probabilities of the classes (1, classes), and that it is of one of them (1,).

    Attributes:
        inputs: name of every tensor that goes in, and what it is.
        preparation: function of this package that makes them of a recording.
    """

    inputs: dict[str, str]
    preparation: str

    @abstractmethod
    def prepare(self, sequence: np.ndarray) -> tuple[Tensor, ...]:
        """The tensors that go in.

        Args:
            sequence: a recording of the kind that the classifier was trained on.
        Returns:
            in the order of `inputs`.
        """

    @abstractmethod
    def example(self) -> np.ndarray:
        """A small recording.

        Returns:
            of the kind that the classifier was trained on.
        """

    @abstractmethod
    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """Both probabilities, float64.

        Args:
            tensors: as `prepare` makes them.
        Returns:
            (1, classes) and (1,).
        """


class KnownProbability(nn.Module):
    """A fitted rule that tells the unknown.

    Args:
        rule: None where nothing was learned, and all is known.
        labels: (n,) classes of the training motions, columns of the scores.
    """

    weights: Tensor
    labels: Tensor

    def __init__(self, rule: Novelty | None, labels: Tensor):
        super().__init__()
        self.rule = rule
        self.register_buffer(
            "weights", torch.tensor((0.0,) * CLUES if rule is None else rule.weights, dtype=torch.float64)
        )
        self.register_buffer("labels", labels.clone())

    def forward(self, scores: Tensor, distance: Tensor) -> Tensor:
        """p(known | u).

        Args:
            scores: (1, classes), float64.
            distance: (1, n) to training motions, float64.
        Returns:
            (1,), in [0, 1].
        """
        if self.rule is None:
            return torch.ones_like(scores[:, 0])
        largest = scores.topk(2, 1).values
        lead = (largest[:, 0] - largest[:, 1]).clamp_max(LARGEST_LEAD)
        same = self.labels == scores.argmax(1, keepdim=True)
        nearest = torch.stack((distance.amin(1), torch.where(same, distance, torch.inf).amin(1)), 1)
        nearest = torch.where(nearest < torch.inf, nearest, FAR)
        u = torch.cat((largest[:, :1], lead[:, None], -(nearest + TINY).log()), 1)
        return torch.sigmoid(u @ self.weights + self.rule.offset)
