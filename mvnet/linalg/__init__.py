"""Closed-form kernels on component planes; nothing above this room knows how they work (paper section 2.3).

sym3: symmetric 3x3 matrices.  affine_invariant: their geometry.  gl3: general 3x3 matrices.  so3: rotations.
"""

from mvnet.linalg import affine_invariant, gl3, so3, sym3

__all__ = ["affine_invariant", "gl3", "so3", "sym3"]
