"""Vector fields z' = xi(t, z) . z (paper section 2.1): the input of integrators."""

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

__all__ = [
    "PRESERVED",
    "ActingField",
    "ConstrainedField",
    "EnergyField",
    "Field",
    "GradientField",
    "Part",
    "SplitField",
    "VectorField",
]
