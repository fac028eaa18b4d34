"""Integrators that stay on the manifold: a field gives an element of a Lie algebra, a step acts with it."""

from mvnet.integrators.actions import (
    CircleAction,
    Congruence,
    GroupAction,
    PlaneCongruence,
    RotationAction,
    Translation,
)
from mvnet.integrators.lie_group import METHODS, Method
from mvnet.integrators.odeint import odeint, step

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
