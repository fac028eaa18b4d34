"""Weighted Frechet mean (Riemannian centre of mass) on any manifold, batched and differentiable.

    m = argmin_m  F(m) = sum_i w_i dist(m, x_i)^2 / 2,        -grad F(m) = sum_i w_i log_m(x_i)

The iteration is the Karcher flow m <- exp_m(s v), v = -grad F(m), whose step s is 1 at first and afterwards
the Barzilai-Borwein secant estimate of the inverse Hessian of F along v, so that widely spread points do not
make it diverge.
Source: Karcher (1977); Pennec, Fillard and Ayache (2006), section 3.3; Iannazzo and Porcelli (2018) for the
step.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg.smooth import expand_points

_STEP_RANGE = (0.05, 1.9)  # below 2, every step decreases F where the curvature is >= 0 (there Hess F <= 1)
_PATIENCE = 10  # iterations near rounding level without a smaller gradient, after which the iteration stops


class MeanSpace(Protocol):
    """The methods of `mvnet.manifolds.Manifold` that a mean needs, for points in the trailing dims."""

    @property
    def point_shape(self) -> tuple[int, ...]:
        """Shape of one point."""
        ...

    @property
    def point_ndim(self) -> int:
        """Number of dims of one point."""
        ...

    @property
    def expected_shape(self) -> str:
        """Shape of a batch of points in the words of error messages."""
        ...

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """Point reached from x with velocity v."""
        ...

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Velocity at x that reaches y."""
        ...

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Parallel transport of v from x to y."""
        ...

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """Metric <u, v>_x."""
        ...

    def norm(self, x: Tensor, v: Tensor) -> Tensor:
        """Norm |v|_x."""
        ...

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """Geodesic distance."""
        ...

    def tangent_basis(self, x: Tensor) -> Tensor:
        """Ambient-orthonormal basis of the tangent space, (..., dim, *point_shape)."""
        ...

    def initial_mean(self, points: Tensor, weights: Tensor) -> Tensor:
        """Initial value of the iteration."""
        ...


class KarcherResult(NamedTuple):
    """Outcome of the iteration."""

    mean: Tensor  # (..., *point_shape)
    gradient_norm: Tensor  # (...), Riemannian norm of sum_i w_i log_m(x_i) at the mean, sum w = 1
    iterations: int  # steps taken by the slowest entry of the batch


def prepare(manifold: MeanSpace, points: Tensor, weights: Tensor | None, axis: int) -> tuple[Tensor, Tensor]:
    """Move the averaged axis to the front and normalise the weights.

    Args:
        manifold: where the points lie.
        points: shape (..., *point_shape).
        weights: >= 0, broadcasts with the batch shape (...); None: equal.
        axis: dim of the (broadcast) batch shape that is averaged.
    Returns:
        points (N, ..., *point_shape) and weights (N, ...) of sum 1 along dim 0.
    Raises:
        MvnetError: shapes that do not fit, an axis out of range, an empty axis, negative weights or weights
            of sum 0.
    """
    ndim = manifold.point_ndim
    batch, found = points.shape[: points.ndim - ndim], tuple(points.shape)
    if len(found) < ndim or found[len(found) - ndim :] != manifold.point_shape:
        raise MvnetError(f"points: found shape {found}, expected (..., {', '.join(map(str, manifold.point_shape))})")
    if weights is None:
        weights = points.new_ones((1,) * len(batch))
    try:
        shape = torch.broadcast_shapes(batch, weights.shape)
    except RuntimeError:
        raise MvnetError(
            f"weights: found shape {tuple(weights.shape)}, expected one that broadcasts with {tuple(batch)}"
        ) from None
    if not -len(shape) <= axis < len(shape):
        raise MvnetError(f"axis: found {axis}, expected one of the {len(shape)} batch dims of shape {tuple(shape)}")
    axis %= len(shape)
    if shape[axis] == 0:
        raise MvnetError(f"points: found 0 points along axis {axis}, expected at least 1")
    points = points.broadcast_to(shape + manifold.point_shape).movedim(axis, 0)
    weights = weights.to(points.dtype).broadcast_to(shape).movedim(axis, 0)
    total = weights.sum(0, keepdim=True)
    if (weights < 0).any() or not (total > 0).all():
        raise MvnetError(
            f"weights: found minimum {weights.min().item():.3g}, smallest sum {total.min().item():.3g}, "
            "expected weights >= 0 of positive sum"
        )
    return points, weights / total


def default_tolerance(dtype: torch.dtype) -> float:
    """Gradient norm at which the iteration stops.

    Args:
        dtype: dtype of the points.
    Returns:
        1e-10 in float64, 1e-5 in float32 and below.
    """
    return 1e-10 if dtype == torch.float64 else 1e-5


@torch.no_grad()
def karcher_flow(
    manifold: MeanSpace,
    points: Tensor,
    weights: Tensor | None = None,
    axis: int = -1,
    *,
    tol: float | None = None,
    max_iterations: int = 100,
    initial: Tensor | None = None,
) -> KarcherResult:
    """Run the iteration above. The result carries no gradient.

    Args:
        manifold: where the points lie.
        points, weights, axis: as in `Manifold.mean`.
        tol: stop when every gradient norm of the batch is at most this (default: `default_tolerance`).
        max_iterations: stop after this number of steps in any case.
        initial: first iterate, in the shape of the mean (default: the manifold's `initial_mean`).
    Returns:
        the iterate of smallest gradient norm of every entry of the batch, that norm, and the number of steps.
    Raises:
        MvnetError: as in `prepare`.
    """
    points, weights = prepare(manifold, points, weights, axis)
    tol = default_tolerance(points.dtype) if tol is None else tol
    rounding = torch.finfo(points.dtype).eps ** 0.5
    ndim = manifold.point_ndim
    spread = expand_points(weights, ndim)
    m = manifold.initial_mean(points, weights) if initial is None else initial

    def descent(m: Tensor) -> tuple[Tensor, Tensor]:
        v = (spread * manifold.log(m, points)).sum(0)
        return v, manifold.norm(m, v)

    # m -> v = -grad F(m), |v|
    v, size = descent(m)
    step = torch.ones_like(size)
    best, best_size, since_best, iterations = m, size, 0, 0
    while iterations < max_iterations and since_best < _PATIENCE and bool((size > tol).any()):
        # m, v -> exp_m(s v), with s = 0 for the entries that have converged
        moving = step * (size > tol)
        new = manifold.exp(m, expand_points(moving, ndim) * v)
        # v at m -> v at the new point; the new point -> v_new, |v_new|
        carried = manifold.transport(m, new, v)
        v, new_size = descent(new)
        # Barzilai-Borwein step: secant along v,  s <- s <v, v> / <v, v - v_new>, all at the new point
        change = manifold.inner(new, carried, carried - v)
        secant = moving * size.square() / torch.where(change > 0, change, 1.0)
        step = torch.where((change > 0) & (moving > 0), secant.clamp(*_STEP_RANGE), 1.0)
        m, size, iterations = new, new_size, iterations + 1
        # iterates -> the one of smallest gradient, entry by entry
        improved = size < best_size
        progress = (improved & (best_size > tol)) | (best_size > rounding)
        since_best = 0 if bool(progress.any()) else since_best + 1
        best = torch.where(expand_points(improved, ndim), m, best)
        best_size = torch.where(improved, size, best_size)
    return KarcherResult(best, best_size, iterations)


def frechet_mean(manifold: MeanSpace, points: Tensor, weights: Tensor | None = None, axis: int = -1) -> Tensor:
    """The limit of the Karcher flow with exact first derivatives; the default of `Manifold.mean`.

    Warns (RuntimeWarning) if the gradient stays above the square root of the rounding unit, relative to the
    points' spread.

    Args:
        manifold: where the points lie.
        points, weights, axis: as in `Manifold.mean`.
    Returns:
        shape of the batch without that axis, then point_shape.
    Raises:
        MvnetError: as in `prepare`.
    """
    points, weights = prepare(manifold, points, weights, axis)
    result = karcher_flow(manifold, points, weights, 0)
    rounding = torch.finfo(points.dtype).eps ** 0.5
    unsolved = ~(result.gradient_norm <= rounding)
    if unsolved.any():  # seldom, so that the spread costs nothing else
        unsolved &= ~(result.gradient_norm <= rounding * manifold.dist(result.mean, points.detach()).amax(0))
    if unsolved.any():
        warnings.warn(
            f"Frechet mean on {manifold}: gradient norm {result.gradient_norm.max().item():.2g} left after "
            f"{result.iterations} iterations in {int(unsolved.sum())} of {unsolved.numel()} means; "
            "the points may be too far apart",
            RuntimeWarning,
            stacklevel=3,
        )
    if torch.is_grad_enabled() and (points.requires_grad or weights.requires_grad):
        return _Implicit.apply(manifold, result.mean, points, weights)  # type: ignore[return-value]
    return result.mean


class _Implicit(torch.autograd.Function):
    """Derivatives of the root m(x, w) of G(m, x, w) = sum_i w_i log_m(x_i) = 0 by the implicit function theorem.

    In a basis B of the tangent space, ambient-orthonormal, a step B a of m changes G by  B J a + dG,  where
    J_kl = B_k . D_m G [B_l]. Hence  dm = -B J^-1 B^T dG,  and a cotangent c of m pulls back to  u = -B J^-T
    B^T c  on G.
    """

    @staticmethod
    def forward(ctx, manifold: MeanSpace, m: Tensor, points: Tensor, weights: Tensor) -> Tensor:
        ctx.manifold = manifold
        ctx.save_for_backward(m, points, weights)
        return m.clone()

    @staticmethod
    def backward(ctx, cotangent: Tensor):  # type: ignore[override]
        if torch.is_grad_enabled():
            raise RuntimeError("the Frechet mean has first derivatives only; create_graph=True requires the second")
        manifold: MeanSpace = ctx.manifold
        m, points, weights = (saved.detach().requires_grad_() for saved in ctx.saved_tensors)
        place = -manifold.point_ndim - 1  # dim of the basis index
        flat = lambda b: b.reshape(*b.shape[: b.ndim - manifold.point_ndim], -1)  # noqa: E731
        # m -> G(m), once more, with its graph
        with torch.enable_grad():
            g = (expand_points(weights, manifold.point_ndim) * manifold.log(m, points)).sum(0)
        # B_k -> D_m G^T [B_k] -> J_kl = D_m G^T [B_k] . B_l
        basis = manifold.tangent_basis(m.detach())  # (..., dim, *point)
        rows = [torch.autograd.grad(g, m, b, retain_graph=True)[0] for b in basis.unbind(place)]
        b = flat(basis)  # (..., dim, size)
        jacobian = torch.stack([flat(row) for row in rows], -2) @ b.mT
        # c -> B^T c -> J^-T B^T c -> u = -B J^-T B^T c
        solved = torch.linalg.solve(jacobian.mT, b @ flat(cotangent).unsqueeze(-1))
        u = -(b.mT @ solved).squeeze(-1).reshape(g.shape)
        # u -> D_x G^T [u], D_w G^T [u]
        return None, None, *torch.autograd.grad(g, (points, weights), u)
