"""Lipschitz constants: bounds of operator norms, and networks of a prescribed constant (paper 4.1.2 and 4.3.2)."""

from mvnet.invertible.lipschitz.bounds import (
    check_budget,
    frequency_bound,
    lipschitz_bound,
    mixed_bound,
    power_iteration,
)
from mvnet.invertible.lipschitz.layers import (
    CayleyLinear,
    Contraction,
    LipSwish,
    Normalised,
    Sandwich,
    contraction,
)

__all__ = [
    "CayleyLinear",
    "Contraction",
    "LipSwish",
    "Normalised",
    "Sandwich",
    "check_budget",
    "contraction",
    "frequency_bound",
    "lipschitz_bound",
    "mixed_bound",
    "power_iteration",
]
