"""Matrix groups as manifolds: O(n), SO(n), SL(n), GL(n), Sp(2n), SE(n) and the affine group."""

from mvnet.manifolds.matrix_groups.group import MatrixGroup
from mvnet.manifolds.matrix_groups.kinds import KINDS

__all__ = ["KINDS", "MatrixGroup"]
