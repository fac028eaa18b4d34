"""Symmetric positive-definite matrices: `SPD` on matrices of any size, `SPDField` on the planes of 3x3 ones.

`metrics` holds the two metrics, `_spectral` the matrix functions that they are made of.
"""

from mvnet.manifolds.spd._spectral import rectify
from mvnet.manifolds.spd.field import SPDField
from mvnet.manifolds.spd.matrices import SPD

__all__ = ["SPD", "SPDField", "rectify"]
