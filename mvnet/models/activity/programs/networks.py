"""Both networks of motions as functions of tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mvnet.models.activity.lie.classifier import BodyMotionClassifier
from mvnet.models.activity.lie.witness import usual_distance
from mvnet.models.activity.lie_classifier import LieMotionClassifier, small_input
from mvnet.models.activity.programs.base import ClassifierProgram, KnownProbability


class BodyProgram(ClassifierProgram):
    """All streams, averaged, the sharpness of their probabilities, and what tells the unknown.

    Args:
        classifier: trained; its network is moved to the CPU.
    """

    preparation = "mvnet.models.activity.lie.curves.BodyCurves"
    usual: Tensor

    def __init__(self, classifier: BodyMotionClassifier):
        super().__init__()
        self.network, self.curves = classifier.network.cpu().eval(), classifier.curves
        self.sharpness = classifier.sharpness_
        self.known = KnownProbability(classifier.novelty_, self.network.reference_labels)
        self.register_buffer("usual", usual_distance(self.network.reference).view(-1, 1, 1))
        frames, joints, vectors = (getattr(self.curves, name) for name in ("frames", "joints", "vectors"))
        self.inputs = {"rotations": f"(1, {frames}, {joints}, 3, 3) in the frame of the body, {self.curves.frame}"}
        if vectors:
            self.inputs["vectors"] = f"(1, {frames}, {vectors}) joints about the centre of the body, and its path"

    def prepare(self, sequence: np.ndarray) -> tuple[Tensor, ...]:
        """Rotations and, of positions, vectors."""
        return self.curves([sequence])[: len(self.inputs)]

    def example(self) -> np.ndarray:
        """Positions or rotations."""
        return self.curves.example()

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """R, v -> embeddings -> scores, distances -> probabilities."""
        r = tensors[0]
        v = tensors[1] if len(tensors) > 1 else r.new_zeros(*r.shape[:2], 0)
        embedded = self.network.embed(r, v)
        scores = self.network.scores(embedded).double()
        # |e - e_n| over the usual distance, averaged over the streams
        away = torch.linalg.vector_norm(embedded[:, :, None] - self.network.reference[:, None], dim=-1)
        distance = (away / self.usual).mean(0).double()
        return (self.sharpness * scores).softmax(1), self.known(scores, distance)


class CurveProgram(ClassifierProgram):
    """The network of version 0.1.0.

    Args:
        classifier: trained; its network is moved to the CPU.
    """

    preparation = "mvnet.models.activity.rotation_curves.CurveMaker"

    def __init__(self, classifier: LieMotionClassifier):
        super().__init__()
        self.network, self.curves = classifier.network.cpu().eval(), classifier.curves
        self.inputs = {"rotations": f"(1, {self.curves.frames}, {self.curves.joints}, 3, 3)"}

    def prepare(self, sequence: np.ndarray) -> tuple[Tensor, ...]:
        """Rotations."""
        return (self.curves([sequence]),)

    def example(self) -> np.ndarray:
        """Positions or rotations."""
        return small_input(self.curves)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        """R -> scores -> probabilities; nothing was learned about the unknown."""
        probabilities = self.network(tensors[0]).softmax(1).double()
        return probabilities, torch.ones_like(probabilities[:, 0])
