"""Training as optimal control of a flow: regularisers in time, learned time steps. Paper section 3."""

from mvnet.control.regularisers import h1, over_layers
from mvnet.control.steps import SimplexSteps

__all__ = ["SimplexSteps", "h1", "over_layers"]
