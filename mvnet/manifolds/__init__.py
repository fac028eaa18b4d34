"""Manifolds on which features evolve: Sym+(n), S^1, SO(3), spheres and their products (paper section 2.3).

Every class honours the contract of `base.Manifold`: exp, log, dist, inner, transport, project, to_tangent,
riemannian_gradient, retract, random_point, mean. Losses and solvers look them up by name in MANIFOLDS.
"""

from mvnet.manifolds.base import Manifold
from mvnet.manifolds.bridges import from_geomstats, to_pymanopt
from mvnet.manifolds.circle import Circle, wrap
from mvnet.manifolds.euclidean import Euclidean
from mvnet.manifolds.mean import KarcherResult, karcher_flow
from mvnet.manifolds.product import Power, Product
from mvnet.manifolds.rotations import Rotations
from mvnet.manifolds.spd import SPD
from mvnet.manifolds.sphere import Sphere

MANIFOLDS: dict[str, type[Manifold]] = {
    "circle": Circle,
    "euclidean": Euclidean,
    "rotations": Rotations,
    "spd": SPD,
    "sphere": Sphere,
}

__all__ = [
    "MANIFOLDS",
    "SPD",
    "Circle",
    "Euclidean",
    "KarcherResult",
    "Manifold",
    "Power",
    "Product",
    "Rotations",
    "Sphere",
    "from_geomstats",
    "karcher_flow",
    "to_pymanopt",
    "wrap",
]
