"""Embedded Runge-Kutta pairs with a step size for every sample."""

from mvnet.integrators.adaptive.method import Adaptive, AdaptiveSolution, Statistics

__all__ = ["Adaptive", "AdaptiveSolution", "Statistics"]
