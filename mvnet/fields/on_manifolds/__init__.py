"""Gradient and Hamiltonian flows on manifolds (paper section 2.4.3), as values in the Lie algebra of an action."""

from mvnet.fields.on_manifolds.circle import CircleGradientFlow
from mvnet.fields.on_manifolds.convex import CONVEX
from mvnet.fields.on_manifolds.rotations import RotationGradientFlow, RotorField
from mvnet.fields.on_manifolds.spd import SPDGradientFlow

__all__ = ["CONVEX", "CircleGradientFlow", "RotationGradientFlow", "RotorField", "SPDGradientFlow"]
