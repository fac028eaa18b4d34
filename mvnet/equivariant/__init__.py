"""Networks that commute with symmetries (paper section 5)."""

from mvnet.equivariant.conv import GroupConv, export
from mvnet.equivariant.groups import GROUPS, Group, group, voxel_group
from mvnet.equivariant.representations import (
    FieldType,
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
)

__all__ = [
    "GROUPS",
    "FieldType",
    "Group",
    "GroupConv",
    "Matrix",
    "Points",
    "PseudoVector",
    "Quotient",
    "Regular",
    "Representation",
    "Sign",
    "Sym2",
    "Trivial",
    "Vector",
    "export",
    "group",
    "voxel_group",
]
