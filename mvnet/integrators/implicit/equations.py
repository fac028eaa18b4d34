"""Equations of a step: solved without a graph, differentiated by the implicit function theorem.

    r(x, w) = 0    =>    dx/dw = -(dr/dx)^-1 dr/dw

The gradient is one linear solve with the transposed Jacobian at the solution, whatever the number of iterations:
exact as far as the equation is solved, and of the memory of one evaluation of r. It can be taken once: a second
derivative raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.integrators.implicit.anderson import Anderson
from mvnet.integrators.implicit.newton import Found, Function, Newton, linearise

Solver = Newton | Anderson


def solve(
    residual: Callable[[Tensor], Tensor],
    *starts: Tensor,
    solver: Solver,
    size: Tensor,
    name: str,
    independent: bool = False,
) -> Tensor:
    """Solve r(x) = 0 for x.

    Where Newton's iteration fails from every start, Anderson's gets a try.

    Args:
        residual: r, of the shape of x; gradients flow to all that it closes over.
        starts: first guesses, all of the shape of x; in the order of their residuals.
        solver: the iteration.
        size: any tensor of the size of the state: what residuals are compared with beside x itself.
        name: what is solved, for messages.
        independent: whether x[i] of leading dims depends on r[i] alone: one system (n,) for each.
    Returns:
        x, of the shape of a start.
    Raises:
        MvnetError: r is not finite at any start, or no iteration converged.
    """
    shape, is_complex = starts[0].shape, starts[0].is_complex()
    width = shape[-1] * (2 if is_complex else 1) if independent else -1

    def flat(x: Tensor) -> Tensor:
        x = torch.view_as_real(x.resolve_conj()) if is_complex else x
        return x.reshape(-1, width) if independent else x.reshape(1, -1)

    def function(x: Tensor) -> Tensor:
        point = torch.view_as_complex(x.reshape(*shape, 2)) if is_complex else x.reshape(shape)
        return flat(residual(point))

    if starts[0].numel() == 0:
        return starts[0]
    with torch.no_grad():
        found = _find(
            function, [flat(start.detach()) for start in starts], solver, float(size.detach().abs().max()), name
        )
    x = attach(function, found.x, dense=solver.dense)
    return torch.view_as_complex(x.reshape(*shape, 2)) if is_complex else x.reshape(shape)


def attach(function: Function, x: Tensor, *, dense: int) -> Tensor:
    """Give a solution the gradient of the implicit function theorem.

    Args:
        function: N systems of n equations, zero at x.
        x: (N, n).
        dense: largest n for which the Jacobian of a single system is formed.
    Returns:
        x, with a graph where what the function closes over has one.
    """
    x = x.detach()
    if not torch.is_grad_enabled():
        return x
    r = function(x)
    return cast(Tensor, _Implicit.apply(r, x, function, dense)) if r.requires_grad else x


def _find(function: Function, starts: list[Tensor], solver: Solver, size: float, name: str) -> Found:
    norms = [function(start).norm() for start in starts]
    finite = sorted((float(norm), i) for i, norm in enumerate(norms) if norm.isfinite())
    if not finite:
        raise MvnetError(f"{name}: found values of the field that are not finite, expected numbers")
    attempts = [(solver, starts[i]) for _, i in finite]
    if isinstance(solver, Newton):
        attempts.append((Anderson(solver.tolerance), starts[finite[0][1]]))
    results = []
    for iteration, start in attempts:
        found = iteration.find(function, start, size)
        if found.converged.all():
            return found
        results.append(found)
    found = min(results, key=lambda found: float(found.residual.max()))
    i = int(torch.where(found.converged, -1.0, found.residual / found.bound).argmax())
    raise MvnetError(
        f"{name}: found a residual of {float(found.residual[i]):.1e} after {found.iterations} iterations, "
        f"expected at most {float(found.bound[i]):.1e}: take smaller steps or a larger tolerance"
    )


class _Implicit(torch.autograd.Function):
    """x as a function of the value r of the residual: dx = -J^-1 dr."""

    @staticmethod
    def forward(ctx: Any, r: Tensor, x: Tensor, function: Function, dense: int) -> Tensor:
        """x"""
        ctx.function, ctx.dense = function, dense
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        """-J^-T g"""
        if torch.is_grad_enabled():
            raise MvnetError("create_graph: found True, expected False: implicit steps have a first derivative only")
        (x,) = ctx.saved_tensors
        tolerance = 4 * torch.finfo(x.dtype).eps
        inverse = linearise(ctx.function, x, dense=ctx.dense, tolerance=tolerance, transposed=True)
        return -inverse(gradients[0]), None, None, None
