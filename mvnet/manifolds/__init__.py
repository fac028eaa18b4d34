"""Manifolds on which features evolve: Sym+(n), S^1, SO(3), spheres and their products (paper section 2.3).

Every class implements `base.Manifold`: exp, log, dist, inner, transport, project, to_tangent, riemannian_gradient,
retract, random_point, mean. `SPDField` is `SPD(3)` in the layout of fields.
"""

from mvnet.manifolds.actions import CircleAction, Congruence, GroupAction, RotationAction, Translation
from mvnet.manifolds.base import Manifold
from mvnet.manifolds.bridges import from_geomstats, to_pymanopt
from mvnet.manifolds.circle import Circle, wrap
from mvnet.manifolds.euclidean import Euclidean
from mvnet.manifolds.grassmann import Grassmann
from mvnet.manifolds.matrix_groups import MatrixGroup
from mvnet.manifolds.mean import KarcherResult, karcher_flow
from mvnet.manifolds.motion import evolve
from mvnet.manifolds.parameter import ManifoldParameter
from mvnet.manifolds.product import Power, Product
from mvnet.manifolds.rigid_motions import RigidMotionAction
from mvnet.manifolds.rotations import Rotations
from mvnet.manifolds.spd import SPD, SPDField
from mvnet.manifolds.sphere import Sphere
from mvnet.manifolds.stiefel import Stiefel

__all__ = [
    "SPD",
    "Circle",
    "CircleAction",
    "Congruence",
    "Euclidean",
    "Grassmann",
    "GroupAction",
    "KarcherResult",
    "Manifold",
    "ManifoldParameter",
    "MatrixGroup",
    "Power",
    "Product",
    "RigidMotionAction",
    "RotationAction",
    "Rotations",
    "SPDField",
    "Sphere",
    "Stiefel",
    "Translation",
    "evolve",
    "from_geomstats",
    "karcher_flow",
    "to_pymanopt",
    "wrap",
]
