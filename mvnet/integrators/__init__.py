"""Integrators that stay on the manifold: a field gives an element of a Lie algebra, a step acts with it."""

from mvnet.integrators.methods import METHODS, Method
from mvnet.integrators.odeint import odeint, step
from mvnet.manifolds.actions import (
    CircleAction,
    Congruence,
    GroupAction,
    PlaneCongruence,
    RotationAction,
    Translation,
)

__all__ = [
    "METHODS",
    "CircleAction",
    "Congruence",
    "GroupAction",
    "Method",
    "PlaneCongruence",
    "RotationAction",
    "Translation",
    "odeint",
    "step",
]
