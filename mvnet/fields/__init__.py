"""Vector fields z' = xi(t, z) . z (paper section 2.1): the input of integrators.

`FIELDS` names the learned families; a field whose energy or parts are known says so by its protocol (`EnergyField`,
`SplitField`, `ConstrainedField`), and what its flow preserves by `preserves`.
"""

from mvnet.fields.activations import ACTIVATIONS, Activation
from mvnet.fields.base import (
    PRESERVED,
    ActingField,
    ConstrainedField,
    EnergyField,
    Field,
    GradientField,
    Part,
    SplitField,
    VectorField,
)
from mvnet.fields.bounds import largest_growth
from mvnet.fields.dissipative import DampedSkewField, TwoMatrixField
from mvnet.fields.divergence_free import PairwiseHamiltonianField, SkewPotentialField
from mvnet.fields.energy import EnergyVectorField
from mvnet.fields.estimate import estimate_one_sided
from mvnet.fields.extended import ExtendedHamiltonian
from mvnet.fields.gradient_flow import GradientFlow
from mvnet.fields.hamiltonian import (
    HamiltonianField,
    RidgeHamiltonian,
    SecondOrderHamiltonian,
    SeparableHamiltonian,
    TwoLayerHamiltonian,
)
from mvnet.fields.in_time import TimeGrid
from mvnet.fields.layer import LayerField
from mvnet.fields.on_manifolds import CircleGradientFlow, RotationGradientFlow, RotorField, SPDGradientFlow
from mvnet.fields.port_hamiltonian import PortHamiltonianField
from mvnet.fields.potentials import Potential, QuadraticPotential, RidgePotential
from mvnet.fields.registry import FIELDS

__all__ = [
    "ACTIVATIONS",
    "FIELDS",
    "PRESERVED",
    "ActingField",
    "Activation",
    "CircleGradientFlow",
    "ConstrainedField",
    "DampedSkewField",
    "EnergyField",
    "EnergyVectorField",
    "ExtendedHamiltonian",
    "Field",
    "GradientField",
    "GradientFlow",
    "HamiltonianField",
    "LayerField",
    "PairwiseHamiltonianField",
    "Part",
    "PortHamiltonianField",
    "Potential",
    "QuadraticPotential",
    "RidgeHamiltonian",
    "RidgePotential",
    "RotationGradientFlow",
    "RotorField",
    "SPDGradientFlow",
    "SecondOrderHamiltonian",
    "SeparableHamiltonian",
    "SkewPotentialField",
    "SplitField",
    "TimeGrid",
    "TwoLayerHamiltonian",
    "TwoMatrixField",
    "VectorField",
    "estimate_one_sided",
    "largest_growth",
]
