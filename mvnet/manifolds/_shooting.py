"""Logarithms by shooting, for manifolds whose geodesics have a closed form and whose logarithms have none. Private.

    v <- v + back( y - exp_x(v) )

`back` takes the difference at the end of the geodesic to its start, by a map that is nearly the inverse of the
differential J of v -> exp_x(v): the error shrinks by a factor |1 - back J| in a step, which grows with the curvature
and the square of the distance. Anderson's mixing of the last few steps speeds it up.

Derivatives come from the end alone (implicit function theorem): a change of exp_x(v) - y = 0 is made good by a change
of v, and the linear equation that gives it is solved by the same iteration, transposed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_MEMORY = 5  # steps that are mixed
_ITERATIONS = 200
_LONGEST = 1.0  # correction in one step, in the ambient norm


Map = Callable[[Tensor, Tensor], Tensor]
Land = Callable[[Tensor, Tensor], tuple[Tensor, Callable[[Tensor], Tensor]]]


def shoot(land: Land, tangent: Map, x: Tensor, y: Tensor, start: Tensor) -> Tensor:
    """The v with exp_x(v) = y.

    Args:
        land: (x, v) -> exp_x(v) and the map `back` from ambient vectors there to tangent vectors at x.
        tangent: (x, v) -> projection of v to the tangent space.
        x, y: points, one batch shape, a point being a matrix.
        start: first guess of v.
    Returns:
        v, with exact first derivatives in x and y; where the iteration does not converge, the best iterate.
    """
    with torch.no_grad():
        v = _solve(lambda v: _residual(land, tangent, x, y, v), start.detach().clone())
    if torch.is_grad_enabled() and (x.requires_grad or y.requires_grad):
        return _Implicit.apply(land, tangent, v, x, y)  # type: ignore[return-value]
    return v


def _residual(land: Land, tangent: Map, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """back(y - exp_x(v)) in the tangent space, and what v lacks to be in it."""
    z, back = land(x, v)
    return back(y - z) + (tangent(x, v) - v)


def _norm(v: Tensor) -> Tensor:
    return torch.linalg.vector_norm(v, dim=(-2, -1), keepdim=True)


def _solve(residual: Callable[[Tensor], Tensor], v: Tensor) -> Tensor:
    """The root of residual(v), by v <- v + residual(v) with Anderson's mixing, entry by entry of the batch."""
    eps = torch.finfo(v.dtype).eps
    best, best_size, since = v, torch.full_like(v[..., :1, :1], torch.inf), 0
    values: list[Tensor] = []
    residuals: list[Tensor] = []
    for _ in range(_ITERATIONS):
        r = residual(v)
        size = _norm(r)
        improved = size < 0.9 * best_size
        best, best_size = torch.where(size < best_size, v, best), torch.minimum(size, best_size)
        since = 0 if bool(improved.any()) else since + 1
        # rounding leaves no better one
        if bool((best_size <= 8 * eps * (1 + _norm(best))).all()) or since > 2 * _MEMORY:
            break
        values, residuals = [*values[-_MEMORY + 1 :], v], [*residuals[-_MEMORY + 1 :], r]
        v = v + r * (_LONGEST / size.clamp(min=_LONGEST)) if len(values) == 1 else _mix(values, residuals)
    return best


def _mix(values: list[Tensor], residuals: list[Tensor]) -> Tensor:
    """v + r - sum_k c_k (dv_k + dr_k), c minimising |r - sum_k c_k dr_k|."""
    v, r = values[-1], residuals[-1]
    steps = torch.stack([v - other for other in values[:-1]], -3).flatten(-2)
    changes = torch.stack([r - other for other in residuals[:-1]], -3).flatten(-2)  # (..., k, entries)
    scale = torch.linalg.vector_norm(changes, dim=-1, keepdim=True).clamp(min=torch.finfo(r.dtype).tiny ** 0.5)
    steps, changes = steps / scale, changes / scale
    gram = changes @ changes.mT
    gram = gram + 1e3 * torch.finfo(r.dtype).eps * torch.eye(gram.shape[-1], dtype=r.dtype, device=r.device)
    c = torch.linalg.solve(gram, changes @ r.flatten(-2).unsqueeze(-1))
    step = r.flatten(-2) - (c.mT @ (steps + changes)).squeeze(-2)
    step = step.unflatten(-1, r.shape[-2:])
    return v + step * (_LONGEST / _norm(step).clamp(min=_LONGEST))


class _Implicit(torch.autograd.Function):
    """v(x, y) with r(v, x, y) = 0, r the residual above, whose differential in v is -J', J' near 1.

    A cotangent c of v pulls back to m = J'^-T c on r, found by  m <- m + (c - J'^T m).
    """

    @staticmethod
    def forward(ctx, land: Land, tangent: Map, v: Tensor, x: Tensor, y: Tensor) -> Tensor:
        ctx.maps = land, tangent
        ctx.save_for_backward(v, x, y)
        return v.clone()

    @staticmethod
    def backward(ctx, cotangent: Tensor):  # type: ignore[override]
        if torch.is_grad_enabled():
            raise RuntimeError("this logarithm has first derivatives only; create_graph=True requires the second")
        v, x, y = (saved.detach().requires_grad_() for saved in ctx.saved_tensors)
        with torch.enable_grad():
            land, tangent = ctx.maps
            r = _residual(land, tangent, x, y, v)
        # m -> c - J'^T m
        m = _solve(lambda m: cotangent + torch.autograd.grad(r, v, m, retain_graph=True)[0], cotangent)
        return None, None, None, *torch.autograd.grad(r, (x, y), m, allow_unused=True)
