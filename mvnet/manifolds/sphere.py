"""The unit sphere of R^n (dimension n - 1) with the metric of R^n; distances are angles in radians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg.smooth import angle_over_sine, cos_sqrt, expand_points, safe_sqrt, sinc_sqrt
from mvnet.manifolds.base import Manifold


def _dot(u: Tensor, v: Tensor) -> Tensor:
    return (u * v).sum(-1, keepdim=True)


def _some_direction(x: Tensor) -> Tensor:
    """A unit vector orthogonal to x, from the coordinate axis that x is least aligned with; no gradient."""
    x = x.detach()
    axis = torch.nn.functional.one_hot(x.abs().argmin(-1), x.shape[-1]).to(x.dtype)
    return torch.nn.functional.normalize(axis - _dot(axis, x) * x, dim=-1)


@dataclass(frozen=True)
class Sphere(Manifold):
    """Unit vectors of R^n, shape (..., n), n >= 2; tangent vectors are orthogonal to x. Sphere(3) is S^2."""

    n: int = 3

    def __post_init__(self) -> None:
        if self.n < 2:
            raise MvnetError(f"n: found {self.n}, expected the dimension of the ambient space, at least 2")

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(n,)"""
        return (self.n,)

    @property
    def retraction_order(self) -> float:
        """2"""
        return 2

    @property
    def dim(self) -> int:
        """n - 1"""
        return self.n - 1

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """cos(|v|) x + sin(|v|) / |v| v, normalised so that rounding errors do not accumulate over many steps."""
        q = _dot(v, v)
        return self.project(cos_sqrt(q) * x + sinc_sqrt(q) * v)

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """a / sin(a) (y - cos(a) x), sin^2(a/2) = |x - y|^2 / 4; some vector of length pi if y = -x."""
        half = (x - y).square().sum(-1, keepdim=True) / 4
        u = y - x - _dot(x, y - x) * x
        opposite = half.detach() > 1 - 4 * torch.finfo(half.dtype).eps
        return torch.where(opposite, torch.pi * _some_direction(x), angle_over_sine(half) * u)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """2 atan2(|x - y|, |x + y|), accurate at 0 and pi"""
        minus, plus = ((x - y).square().sum(-1), (x + y).square().sum(-1))
        return 2 * torch.atan2(safe_sqrt(minus), safe_sqrt(plus))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """u . v"""
        return (u * v).sum(-1)

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """v - (y . v) / (1 + x . y) (x + y)"""
        opening = (1 + _dot(x, y)).clamp(min=torch.finfo(x.dtype).eps)
        return v - _dot(y, v) / opening * (x + y)

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """v - (x . v) x"""
        return v - _dot(x, v) * x

    def project(self, x: Tensor) -> Tensor:
        """x / |x|; an axis for x = 0"""
        size = safe_sqrt(_dot(x, x))
        return torch.where(size > 0, x / torch.where(size > 0, size, 1.0), _some_direction(torch.zeros_like(x)))

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """(x + v) / |x + v|, second order"""
        return self.project(x + v)

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """g - (x . g) x"""
        return self.to_tangent(x, g)

    def violation(self, x: Tensor) -> Tensor:
        """| |x| - 1 |"""
        return (torch.linalg.vector_norm(x, dim=-1) - 1).abs()

    def initial_mean(self, points: Tensor, weights: Tensor) -> Tensor:
        """The projected mean of the ambient vectors."""
        return self.project((expand_points(weights, 1) * points).sum(0))

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform."""
        drawn = torch.randn((*shape, self.n), generator=generator, dtype=dtype, device=generator.device)
        return self.project(drawn).to(device or generator.device)
