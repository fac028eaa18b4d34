"""Networks that commute with symmetries (paper section 5)."""

from mvnet.equivariant.circle import CircleConv, CircleGate, ModulusReLU
from mvnet.equivariant.conv import GroupConv, export
from mvnet.equivariant.field_type import FieldType, field_type, permutation_type
from mvnet.equivariant.groups import GROUPS, Group, group, voxel_group
from mvnet.equivariant.harmonics import Harmonic, HarmonicConv, Ring
from mvnet.equivariant.measure import EquivarianceError, equivariance_error
from mvnet.equivariant.nonlinearity import Gated, NormNonlinearity, Pointwise
from mvnet.equivariant.norm import FieldAffine, FieldNorm, rms_squash
from mvnet.equivariant.pooling import BlockPool, HaarPool, Kronecker
from mvnet.equivariant.representations import (
    REPRESENTATIONS,
    Internal,
    Matrix,
    Points,
    PseudoVector,
    Quotient,
    Regular,
    Representation,
    Sign,
    Sym2,
    Trivial,
    Vector,
    WaveVector,
)
from mvnet.equivariant.tensor_product import TensorProduct

__all__ = [
    "GROUPS",
    "REPRESENTATIONS",
    "BlockPool",
    "CircleConv",
    "CircleGate",
    "EquivarianceError",
    "FieldAffine",
    "FieldNorm",
    "FieldType",
    "Gated",
    "Group",
    "GroupConv",
    "HaarPool",
    "Harmonic",
    "HarmonicConv",
    "Internal",
    "Kronecker",
    "Matrix",
    "ModulusReLU",
    "NormNonlinearity",
    "Points",
    "Pointwise",
    "PseudoVector",
    "Quotient",
    "Regular",
    "Representation",
    "Ring",
    "Sign",
    "Sym2",
    "TensorProduct",
    "Trivial",
    "Vector",
    "WaveVector",
    "equivariance_error",
    "export",
    "field_type",
    "group",
    "permutation_type",
    "rms_squash",
    "voxel_group",
]
