"""Integrators: one call for R^n and for Lie groups (paper sections 2.2 and 2.4.3).

A field takes values in a Lie algebra and a step acts by its group, by addition in R^n. `METHODS` has the methods with
what they preserve, `GRADIENTS` the ways to a gradient.
"""

from mvnet.integrators.adaptive import Adaptive, AdaptiveSolution, Statistics
from mvnet.integrators.base import Method, Step
from mvnet.integrators.explicit import RungeKutta
from mvnet.integrators.gradients import GRADIENTS
from mvnet.integrators.implicit.anderson import Anderson
from mvnet.integrators.implicit.newton import Newton
from mvnet.integrators.methods import METHODS, get_method
from mvnet.integrators.odeint import odeint, solve_adaptively, step
from mvnet.integrators.stability import contractivity_radius, is_algebraically_stable, stability_matrix
from mvnet.manifolds.actions import CircleAction, Congruence, GroupAction, RotationAction, Translation
from mvnet.manifolds.rigid_motions import RigidMotionAction

__all__ = [
    "GRADIENTS",
    "METHODS",
    "Adaptive",
    "AdaptiveSolution",
    "Anderson",
    "CircleAction",
    "Congruence",
    "GroupAction",
    "Method",
    "Newton",
    "RigidMotionAction",
    "RotationAction",
    "RungeKutta",
    "Statistics",
    "Step",
    "Translation",
    "contractivity_radius",
    "get_method",
    "is_algebraically_stable",
    "odeint",
    "solve_adaptively",
    "stability_matrix",
    "step",
]
