"""Integrators that stay on the manifold: a field takes values in a Lie algebra, a step acts by its group."""

from mvnet.integrators.base import Method, Step
from mvnet.integrators.implicit.anderson import Anderson
from mvnet.integrators.implicit.newton import Newton
from mvnet.integrators.methods import METHODS, get_method
from mvnet.integrators.odeint import odeint, step
from mvnet.integrators.stability import contractivity_radius, is_algebraically_stable, stability_matrix
from mvnet.manifolds.actions import CircleAction, Congruence, GroupAction, RotationAction, Translation

__all__ = [
    "METHODS",
    "Anderson",
    "CircleAction",
    "Congruence",
    "GroupAction",
    "Method",
    "Newton",
    "RotationAction",
    "Step",
    "Translation",
    "contractivity_radius",
    "get_method",
    "is_algebraically_stable",
    "odeint",
    "stability_matrix",
    "step",
]
