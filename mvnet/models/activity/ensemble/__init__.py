"""The classifier of kernels and the network of body motions together, where training motions left out ask for it."""

from mvnet.models.activity.ensemble.choice import BOTH, Choice, Fit, choose
from mvnet.models.activity.ensemble.classifier import MotionEnsemble
from mvnet.models.activity.ensemble.files import load_ensemble, save_ensemble

__all__ = ["BOTH", "Choice", "Fit", "MotionEnsemble", "choose", "load_ensemble", "save_ensemble"]
