"""Programs of classifiers of motions: `torch.export` of what they are as functions of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mvnet.errors import MvnetError
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.ensemble import MotionEnsemble
from mvnet.models.activity.lie.answers import Answers
from mvnet.models.activity.lie.classifier import BodyMotionClassifier
from mvnet.models.activity.lie_classifier import LieMotionClassifier
from mvnet.models.activity.programs.base import OUTPUTS, ClassifierProgram
from mvnet.models.activity.programs.ensemble import EnsembleProgram
from mvnet.models.activity.programs.kernels import KernelProgram
from mvnet.models.activity.programs.networks import BodyProgram, CurveProgram
from mvnet.models.exported import largest_difference, trace

PROGRAMS: dict[type, Callable[..., ClassifierProgram]] = {
    MotionClassifier: KernelProgram,
    BodyMotionClassifier: BodyProgram,
    LieMotionClassifier: CurveProgram,
    MotionEnsemble: EnsembleProgram,
}
"""By the class of the classifier."""


def plain_classifier(classifier: MotionClassifier | Answers) -> ClassifierProgram:
    """A classifier as a function of tensors.

    Args:
        classifier: fitted.
    Returns:
        the function.
    Raises:
        MvnetError: another class than those of `PROGRAMS`.
    """
    kind = PROGRAMS.get(type(classifier))
    if kind is None:
        names = ", ".join(kind.__name__ for kind in PROGRAMS)
        raise MvnetError(f"classifier: found a {type(classifier).__name__}, expected one of {names}")
    return kind(classifier)


def export_classifier(classifier: MotionClassifier | Answers) -> tuple[torch.export.ExportedProgram, dict[str, Any]]:
    """The program of a classifier, on the CPU, and what it takes and gives.

    Args:
        classifier: fitted.
    Returns:
        the program, and {"inputs", "outputs", "preparation", "difference"}: the last is the largest difference of its
        probabilities from those that the classifier gives for a small recording.
    Raises:
        MvnetError: as in `plain_classifier`.
    """
    plain = plain_classifier(classifier)
    recording = plain.example()
    tensors = plain.prepare(recording)
    program, found, _ = trace(plain, tensors)
    probabilities, known, _ = classifier.assess([recording])
    difference = largest_difference(found, (torch.from_numpy(probabilities), torch.from_numpy(known)))
    about = {"inputs": plain.inputs, "outputs": OUTPUTS, "preparation": plain.preparation, "difference": difference}
    return program, about
