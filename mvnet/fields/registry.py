"""FIELDS: name -> class. The tests hold every entry to what it says it preserves, and its bound to an estimate."""

from __future__ import annotations

from mvnet.fields.base import VectorField
from mvnet.fields.dissipative import DampedSkewField, TwoMatrixField
from mvnet.fields.divergence_free import PairwiseHamiltonianField, SkewPotentialField
from mvnet.fields.gradient_flow import GradientFlow
from mvnet.fields.hamiltonian import RidgeHamiltonian, SecondOrderHamiltonian, TwoLayerHamiltonian
from mvnet.fields.layer import LayerField
from mvnet.fields.on_manifolds import CircleGradientFlow, RotationGradientFlow, RotorField, SPDGradientFlow
from mvnet.fields.port_hamiltonian import PortHamiltonianField

FIELDS: dict[str, type[VectorField]] = {
    "layer": LayerField,
    "damped_skew": DampedSkewField,
    "two_matrix": TwoMatrixField,
    "gradient_flow": GradientFlow,
    "ridge_hamiltonian": RidgeHamiltonian,
    "two_layer_hamiltonian": TwoLayerHamiltonian,
    "second_order_hamiltonian": SecondOrderHamiltonian,
    "skew_potential": SkewPotentialField,
    "pairwise_hamiltonian": PairwiseHamiltonianField,
    "port_hamiltonian": PortHamiltonianField,
    "spd_gradient_flow": SPDGradientFlow,
    "circle_gradient_flow": CircleGradientFlow,
    "rotation_gradient_flow": RotationGradientFlow,
    "rotor": RotorField,
}
"""The first argument is the dimension of R^n, the size of a matrix, or a number of summands; `intervals`, `duration`,
`kind`, `sigma`, `scale` and `generator` are keywords of all of them."""
