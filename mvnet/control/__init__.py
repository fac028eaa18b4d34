"""Training as optimal control: Pontryagin's principle, regularisers in time, learned steps. Paper section 3."""

from mvnet.control.limits import (
    DeepLimit,
    Minimum,
    deep_limit,
    l2_distance,
    prolong,
    proximal_minimum,
    rates,
    smooth_minimum,
)
from mvnet.control.msa import MSA, Iteration
from mvnet.control.pontryagin import PontryaginField, Trajectory, adjoint, hamiltonian, trajectory
from mvnet.control.regularisers import TotalVariation, h1, l1, l2, over_layers, prox_total_variation, total_variation
from mvnet.control.steps import RescaledField, SimplexSteps
from mvnet.control.tolerances import ToleranceControl

__all__ = [
    "MSA",
    "DeepLimit",
    "Iteration",
    "Minimum",
    "PontryaginField",
    "RescaledField",
    "SimplexSteps",
    "ToleranceControl",
    "TotalVariation",
    "Trajectory",
    "adjoint",
    "deep_limit",
    "h1",
    "hamiltonian",
    "l1",
    "l2",
    "l2_distance",
    "over_layers",
    "prolong",
    "prox_total_variation",
    "proximal_minimum",
    "rates",
    "smooth_minimum",
    "total_variation",
    "trajectory",
]
