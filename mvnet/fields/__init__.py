"""Vector fields z' = xi(t, z) . z (paper section 2.1): the input of integrators."""

from mvnet.fields.activations import ACTIVATIONS, Activation
from mvnet.fields.base import (
    PRESERVED,
    ActingField,
    ConstrainedField,
    EnergyField,
    Field,
    Part,
    SplitField,
    VectorField,
)
from mvnet.fields.in_time import TimeGrid
from mvnet.fields.layer import LayerField

__all__ = [
    "ACTIVATIONS",
    "PRESERVED",
    "ActingField",
    "Activation",
    "ConstrainedField",
    "EnergyField",
    "Field",
    "LayerField",
    "Part",
    "SplitField",
    "TimeGrid",
    "VectorField",
]
