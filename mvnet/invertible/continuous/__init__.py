"""Continuous flows on R^n and on manifolds (paper section 4.2.3)."""

from mvnet.invertible.continuous.action import ProductAction
from mvnet.invertible.continuous.flow import Continuous, VelocityNetwork
from mvnet.invertible.continuous.matching import Uniform, matching_loss, velocity

__all__ = ["Continuous", "ProductAction", "Uniform", "VelocityNetwork", "matching_loss", "velocity"]
