"""The contract of every manifold (paper section 2.3).

Conventions:

- A batch of points is one tensor of shape (..., *point_shape); a batch of tangent vectors has the same
  shape, in ambient form (the derivative of a curve of points). Leading dims broadcast.
- `exp(x, v)`, `log(x, y)`, `inner(x, u, v)`, `transport(x, y, v)`: the base point comes first.
- `dist` is in the unit of the metric: radians on the circle, sphere and rotations; log units on SPD matrices.
- dtype and device follow the input. Random methods take a `torch.Generator`; nothing reads the global state.

To add a manifold: one file with a subclass, one line in `__init__.py`, one line in tests/manifolds/cases.py.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg.smooth import expand_points, point_sum, safe_sqrt
from mvnet.manifolds.mean import frechet_mean
from mvnet.manifolds.motion import Motion


class Manifold(Motion, ABC):
    """A Riemannian manifold whose points are tensors of shape point_shape."""

    # ---- every manifold implements these ----

    @property
    @abstractmethod
    def point_shape(self) -> tuple[int, ...]:
        """Shape of one point, e.g. (3, 3) for SPD(3) and () for an angle."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Dimension of the tangent spaces."""

    @abstractmethod
    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Point reached at time 1 by the geodesic from x with velocity v.

        Args:
            x, v: points and tangent vectors at them, shape (..., *point_shape).
        Returns:
            points, same shape.
        """

    @abstractmethod
    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Velocity at x of the shortest geodesic that reaches y at time 1: exp(x, log(x, y)) = y.

        Args:
            x, y: points, shape (..., *point_shape).
        Returns:
            tangent vectors at x, same shape.
        """

    @abstractmethod
    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Riemannian metric <u, v>_x.

        Args:
            x, u, v: points and tangent vectors at them, shape (..., *point_shape).
        Returns:
            shape (...).
        """

    @abstractmethod
    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport from the tangent space at x to that at y, along the shortest geodesic.

        Args:
            x, y, v: points, and tangent vectors at x, shape (..., *point_shape).
        Returns:
            tangent vectors at y, same shape.
        """

    @abstractmethod
    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """Ambient-orthogonal projection to the tangent space at x.

        Args:
            x, v: points and ambient vectors, shape (..., *point_shape).
        Returns:
            tangent vectors at x, same shape.
        """

    @abstractmethod
    def project(self, x: Tensor) -> Tensor:
        """A nearest point of the manifold in the ambient (Frobenius) distance.

        Args:
            x: ambient points, shape (..., *point_shape).
        Returns:
            points, same shape.
        """

    @abstractmethod
    def violation(self, x: Tensor) -> Tensor:
        """Constraint residual, dimensionless: 0 on the manifold, inf where projection cannot repair it.

        Args:
            x: ambient points, shape (..., *point_shape).
        Returns:
            shape (...).
        """

    @abstractmethod
    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Random points.

        Args:
            shape: shape of the batch.
            generator: source of the random numbers.
            dtype, device: torch's default, and the device of the generator, when None.
        Returns:
            shape (*shape, *point_shape).
        """

    # ---- defaults; a subclass overrides those for which it has a closed form ----

    @property
    def point_ndim(self) -> int:
        """Number of trailing dims that hold one point."""
        return len(self.point_shape)

    @property
    def expected_shape(self) -> str:
        """The shape of a batch of points in the words of error messages, e.g. "(..., 3, 3)"."""
        return f"({', '.join(['...', *map(str, self.point_shape)])})"

    def batch_shape(self, x: Tensor) -> tuple[int, ...] | None:
        """Shape of x without the dims of a point.

        Args:
            x: any tensor.
        Returns:
            (...); None where x does not have the shape of points.
        """
        start = x.ndim - self.point_ndim
        return tuple(x.shape[:start]) if start >= 0 and tuple(x.shape[start:]) == self.point_shape else None

    def expand(self, scalars: Tensor) -> Tensor:
        """Reshape numbers so that they multiply points.

        Args:
            scalars: shape (...), one for each point.
        Returns:
            shape (..., 1, ..., 1).
        """
        return expand_points(scalars, self.point_ndim)

    def point_like(self, x: Tensor) -> Tensor:
        """One fixed point of the manifold, in the dtype and on the device of a batch.

        Args:
            x: points, shape (..., *point_shape).
        Returns:
            a shape that broadcasts with x.
        """
        return self.random_point((), generator=torch.Generator().manual_seed(0), dtype=x.dtype, device=x.device)

    def norm(self, x: Tensor, v: Tensor) -> Tensor:
        """|v|_x = sqrt(<v, v>_x); its gradient at v = 0 is 0, not nan.

        Args:
            x, v: points and tangent vectors at them, shape (..., *point_shape).
        Returns:
            shape (...).
        """
        return safe_sqrt(self.inner(x, v, v).clamp(min=0))

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Geodesic distance |log(x, y)|_x; its gradient at x = y is 0, not nan.

        Args:
            x, y: points, shape (..., *point_shape).
        Returns:
            shape (...), in the unit of the metric.
        """
        return self.norm(x, self.log(x, y))

    def squared_dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Squared geodesic distance, smooth at x = y.

        Args:
            x, y: points, shape (..., *point_shape).
        Returns:
            shape (...).
        """
        v = self.log(x, y)
        return self.inner(x, v, v)

    def geodesic(self, x: Tensor, y: Tensor, t: Tensor | float) -> Tensor:
        """Point exp(x, t log(x, y)).

        Args:
            x, y: points, shape (..., *point_shape).
            t: a number, or a tensor that broadcasts with (...).
        Returns:
            points, same shape.
        """
        return self.exp(x, (self.expand(t) if isinstance(t, Tensor) else t) * self.log(x, y))

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """Tangent vector r with <r, v>_x = sum(g * v) for every tangent v.

        Args:
            x, g: points and the ambient gradient that autograd gives, shape (..., *point_shape).
        Returns:
            tangent vectors at x, same shape.
        """
        basis = self.tangent_basis(x)
        at = x.unsqueeze(-self.point_ndim - 1)
        pairs = basis.unsqueeze(-self.point_ndim - 1), basis.unsqueeze(-self.point_ndim - 2)
        gram = self.inner(at.unsqueeze(-self.point_ndim - 1), *pairs)
        slopes = point_sum(g.unsqueeze(-self.point_ndim - 1) * basis, self.point_ndim)
        coefficients = torch.linalg.solve(gram, slopes.unsqueeze(-1)).squeeze(-1)
        return (expand_points(coefficients, self.point_ndim) * basis).sum(-self.point_ndim - 1)

    def tangent_basis(self, x: Tensor) -> Tensor:
        """Ambient-orthonormal basis of the tangent space; carries no gradient.

        Args:
            x: points, shape (..., *point_shape).
        Returns:
            shape (..., dim, *point_shape).
        """
        size = math.prod(self.point_shape)
        with torch.no_grad():
            ambient = torch.eye(size, dtype=x.dtype, device=x.device).reshape(size, *self.point_shape)
            projector = self.to_tangent(x.unsqueeze(x.ndim - self.point_ndim), ambient)
            projector = projector.reshape(*projector.shape[: x.ndim - self.point_ndim], size, size)
            vectors = torch.linalg.eigh(projector)[1][..., -self.dim :]
        return vectors.mT.reshape(*vectors.shape[:-2], self.dim, *self.point_shape)

    def random_tangent(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        """Random tangent vectors: a standard normal ambient vector, projected.

        Args:
            x: points, shape (..., *point_shape).
            generator: source of the random numbers.
        Returns:
            same shape.
        """
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=generator.device)
        return self.to_tangent(x, noise.to(x.device))

    def initial_mean(self, points: Tensor, weights: Tensor) -> Tensor:
        """Initial value of the iteration for the mean.

        Args:
            points, weights: shapes (N, ..., *point_shape) and (N, ...); the sum of the weights over dim 0 is 1.
        Returns:
            shape (..., *point_shape).
        """
        return points[0]

    def mean(self, points: Tensor, weights: Tensor | None = None, axis: int = -1) -> Tensor:
        """Weighted Frechet mean: the minimiser over m of sum_i w_i dist(m, x_i)^2.

        Args:
            points: shape (..., *point_shape).
            weights: >= 0, broadcasts with the batch shape (...); normalised to sum 1 along the axis. None: equal.
            axis: dim of the (broadcast) batch shape that is averaged; negative counts from its end.
        Returns:
            shape of the batch without that axis, then point_shape; first derivatives in points and weights are exact.
        """
        return frechet_mean(self, points, weights, axis)

    def check_point(self, x: Tensor, name: str = "x", atol: float | None = None) -> None:
        """Raise an error that names the argument unless every entry of x is a point of this manifold.

        Args:
            x: any tensor.
            name: name of the argument.
            atol: bound on `violation`; default 1e3 rounding units of the dtype.
        Raises:
            MvnetError: wrong shape or dtype, or points off the manifold.
        """
        if self.batch_shape(x) is None:
            raise MvnetError(f"{name}: found shape {tuple(x.shape)}, expected {self.expected_shape} on {self}")
        if not x.is_floating_point():
            raise MvnetError(f"{name}: found dtype {x.dtype}, expected a real floating dtype")
        atol = 1e3 * torch.finfo(x.dtype).eps if atol is None else atol
        violation = self.violation(x)
        bad = ~(violation <= atol)  # so that nan counts as bad
        if bad.any():
            raise MvnetError(
                f"{name}: found {int(bad.sum())} of {bad.numel()} points off {self}, constraint violation "
                f"{violation[bad].max().item():.3g}, expected at most {atol:.3g}"
            )
