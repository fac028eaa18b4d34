"""Classifiers of motions as functions of tensors: what `mvnet export RUN` makes programs of."""

from mvnet.models.activity.programs.base import ClassifierProgram
from mvnet.models.activity.programs.export import export_classifier, plain_classifier

__all__ = ["ClassifierProgram", "export_classifier", "plain_classifier"]
