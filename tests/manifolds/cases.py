"""The manifolds that the battery of laws runs over: one line each. A new manifold adds its line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mvnet.linalg.smooth import expand_points
from mvnet.manifolds import (
    SPD,
    Circle,
    Euclidean,
    Grassmann,
    Manifold,
    MatrixGroup,
    Power,
    Product,
    Rotations,
    SPDField,
    Sphere,
    Stiefel,
)


@dataclass(frozen=True)
class Case:
    manifold: Manifold
    special: list = field(
        default_factory=list
    )  # points where naive derivatives are nan: identity, repeated eigenvalues
    same: Callable[[Tensor], Tensor] = lambda x: x  # equal for two representatives of one point, and smooth
    closed: bool = True  # a logarithm in closed form: means cost little
    symmetric: bool = True  # a symmetric space: reflections in points are isometries


_PRODUCT = Product(SPD(3), Circle(), Sphere(3), Rotations())

CASES = [
    Case(Euclidean(), [0.0]),
    Case(Euclidean((2, 3)), [torch.zeros(2, 3).tolist()]),
    Case(Circle(), [0.0, 3.0]),
    Case(Sphere(2), [[1.0, 0.0]]),
    Case(Sphere(3), [[0.0, 0.0, 1.0]]),
    Case(Sphere(6), [[1.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
    Case(Rotations(), [torch.eye(3).tolist(), torch.diag(torch.tensor([1.0, -1.0, -1.0])).tolist()]),
    Case(SPD(3), [torch.eye(3).tolist(), torch.diag(torch.tensor([1.0, 1.0, 2.0])).tolist()]),
    Case(SPD(3, "log-euclidean"), [torch.eye(3).tolist(), torch.diag(torch.tensor([1.0, 2.0, 2.0])).tolist()]),
    Case(SPD(1), [[[1.0]]]),
    Case(SPD(2), [torch.eye(2).tolist(), (3 * torch.eye(2)).tolist()]),
    Case(SPD(4), [torch.eye(4).tolist(), torch.diag(torch.tensor([1.0, 1.0, 2.0, 2.0])).tolist()]),
    Case(
        SPD(4, "log-euclidean"),
        [torch.eye(4).tolist(), torch.diag(torch.tensor([1.0, 1.0, 1.0, 2.0])).tolist()],
    ),
    Case(SPDField(-1), [[1.0, 1, 1, 0, 0, 0], [1.0, 1, 2, 0, 0, 0]]),
    Case(Stiefel(4, 2), [torch.eye(4, 2).tolist()], closed=False, symmetric=False),
    Case(Grassmann(4, 2), [torch.eye(4, 2).tolist()], same=lambda x: x @ x.mT),
    Case(MatrixGroup("GL", 2), [torch.eye(2).tolist()], closed=False, symmetric=False),
    Case(MatrixGroup("SE", 3), [torch.eye(4).tolist()]),
    Case(Power(Circle(), 3), [[0.0, 0.0, 0.0]]),
    Case(Power(Rotations(), 2), [torch.eye(3).expand(2, 3, 3).tolist()]),
    Case(_PRODUCT, [[1.0, 0, 0, 0, 1, 0, 0, 0, 1, 0.0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1]]),
]

IDS = [str(case.manifold) for case in CASES]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nearby(manifold: Manifold, x: Tensor, g: torch.Generator, radius: float = 1.0) -> Tensor:
    """exp(x, v) with v a random tangent of norm radius: well inside every injectivity radius."""
    return manifold.exp(x, unit_tangent(manifold, x, g, radius))


def unit_tangent(manifold: Manifold, x: Tensor, g: torch.Generator, length: float = 1.0) -> Tensor:
    v = manifold.random_tangent(x, generator=g)
    return v * expand_points(length / manifold.norm(x, v), manifold.point_ndim)


def special_points(case: Case, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(case.special, dtype=dtype)


def chart(manifold: Manifold, x: Tensor, a: Tensor) -> Tensor:
    """exp(x, sum_k a_k B_k), coordinates a (..., dim): derivatives are then taken along the manifold."""
    v = (expand_points(a, manifold.point_ndim) * manifold.tangent_basis(x)).sum(-manifold.point_ndim - 1)
    return manifold.exp(x, v)
