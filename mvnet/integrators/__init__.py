"""Integrators that stay on the manifold: a field takes values in a Lie algebra, a step acts by its group."""

from mvnet.integrators.base import Method, Step
from mvnet.integrators.methods import METHODS, get_method
from mvnet.integrators.odeint import odeint, step
from mvnet.manifolds.actions import CircleAction, Congruence, GroupAction, RotationAction, Translation
from mvnet.manifolds.rigid_motions import RigidMotionAction

__all__ = [
    "METHODS",
    "CircleAction",
    "Congruence",
    "GroupAction",
    "Method",
    "RigidMotionAction",
    "RotationAction",
    "Step",
    "Translation",
    "get_method",
    "odeint",
    "step",
]
