"""Linear invertible layers: mixing of channels, and scaling (paper section 4.1.3)."""

from mvnet.invertible.linear.layers import ActNorm, ChannelMix, EquivariantOrthogonal, Permutation, check_channels, mix
from mvnet.invertible.linear.matrices import LU, ORTHOGONAL, Orthogonal

__all__ = [
    "LU",
    "ORTHOGONAL",
    "ActNorm",
    "ChannelMix",
    "EquivariantOrthogonal",
    "Orthogonal",
    "Permutation",
    "check_channels",
    "mix",
]
