"""Newton's method for systems r(x) = 0 that are independent of each other, each with its own step length.

Systems of at most `dense` unknowns have their Jacobian formed, larger ones are solved by GMRES from products with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.integrators.implicit.krylov import gmres

Function = Callable[[Tensor], Tensor]
"""x (N, n) -> r (N, n): N systems of n unknowns."""


class Found(NamedTuple):
    """Where an iteration ended.

    Args:
        x: (N, n).
        residual: largest entry of each system's residual, (N,).
        bound: what it was asked to be below, (N,).
        converged: (N,).
        iterations: how many there were.
    """

    x: Tensor
    residual: Tensor
    bound: Tensor
    converged: Tensor
    iterations: int


def rounding(dtype: torch.dtype) -> float:
    """eps^(2/3), relative: a residual below it that no longer falls is taken for rounding.

    Args:
        dtype: of the unknowns.
    Returns:
        4e-11 in double precision, 2e-5 in single.
    """
    return torch.finfo(dtype).eps ** (2 / 3)


@dataclass(frozen=True)
class Newton:
    """x <- x + s dx,  J dx = -r(x);  s = 1, 1/2, 1/4, ... until |r| falls.

    J is the Jacobian at an earlier x as long as every |r| falls by the factor `reuse`.

    Args:
        tolerance: of the residual, relative to the unknowns and the state; None: four rounding units.
        iterations: largest number of them.
        dense: largest number of unknowns of a system whose Jacobian is formed.
        halvings: of s.
        reuse: 0: a new Jacobian in every iteration.
    """

    tolerance: float | None = None
    iterations: int = 200
    dense: int = 128
    halvings: int = 12
    reuse: float = 0.1

    def find(self, function: Function, x: Tensor, size: float) -> Found:
        """Iterate from x.

        Args:
            function: the residual.
            x: first guess (N, n).
            size: of the state, what residuals are compared with beside the unknowns.
        Returns:
            the end of the iteration, converged or not.
        """
        eps = torch.finfo(x.dtype).eps
        tolerance = 4 * eps if self.tolerance is None else self.tolerance
        floor = max(tolerance, rounding(x.dtype))
        r, count, fresh, inverse = function(x), 0, False, None
        stuck = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        while True:
            scale, worst = x.abs().amax(1) + size, r.abs().amax(1)
            reached = worst <= tolerance * scale
            active = ~(reached | stuck)
            if count == self.iterations or not active.any():
                return Found(x, worst, tolerance * scale, reached | stuck & (worst <= floor * scale), count)
            fresh = inverse is None
            inverse = inverse or linearise(function, x, dense=self.dense, tolerance=1e-4)
            before, rounded = r.norm(dim=1), worst <= floor * scale
            x, r, halted = self._descend(function, x, r, -inverse(r), active, rounded, self.halvings if fresh else 0)
            count += 1
            if fresh:
                stuck = stuck | halted
            if (active & (r.norm(dim=1) > self.reuse * before)).any():
                inverse = None

    @staticmethod
    def _descend(
        function: Function, x: Tensor, r: Tensor, dx: Tensor, pending: Tensor, rounded: Tensor, halvings: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x and r after the step, and which systems found none: at once where what is left is rounding."""
        s, halted = 1.0, torch.zeros_like(pending)
        for _ in range(halvings + 1):
            trial = torch.where(pending[:, None], x + s * dx, x)
            value = function(trial)
            better = pending & (value.norm(dim=1) < r.norm(dim=1))
            x, r = (torch.where(better[:, None], new, old) for new, old in ((trial, x), (value, r)))
            pending = pending & ~better
            halted, pending, s = halted | pending & rounded, pending & ~rounded, s / 2
            if not pending.any():
                break
        return x, r, halted | pending


NEWTON = Newton()
"""As methods use it, unless told otherwise."""


def linearise(function: Function, x: Tensor, *, dense: int, tolerance: float, transposed: bool = False) -> Function:
    """b -> J^-1 b, or J^-T b, with J the Jacobian of the function at x.

    Args:
        function: N systems of n unknowns.
        x: (N, n).
        dense: largest n for which J is formed; with several systems it always is.
        tolerance: of the residual of GMRES, relative to b.
        transposed: whether the system is that of the transposed Jacobian.
    Returns:
        a function of b (N, n); its values are not finite where J is singular.
    """
    if len(x) == 1 and x.shape[1] > dense:
        product = _products(function, x, transposed)
        return lambda b: gmres(lambda v: product(v[None])[0], b[0], tolerance=tolerance)[0][None]
    j = jacobian(function, x)
    factors, pivots, _ = torch.linalg.lu_factor_ex(j.mT if transposed else j)
    return lambda b: torch.linalg.lu_solve(factors, pivots, b[..., None])[..., 0]


def jacobian(function: Function, x: Tensor) -> Tensor:
    """dr_i / dx_j of every system.

    Args:
        function: N systems of n unknowns.
        x: (N, n).
    Returns:
        (N, n, n), without a graph.
    """
    count, n = x.shape
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        r = function(at)
        rows = torch.eye(n, dtype=x.dtype, device=x.device)[:, None].expand(n, count, n)
        try:
            (j,) = torch.autograd.grad(r, at, rows, is_grads_batched=True, retain_graph=True)
        except RuntimeError:  # an operation of the field that cannot be batched
            j = torch.stack([torch.autograd.grad(r, at, row, retain_graph=True)[0] for row in rows])
    return j.transpose(0, 1).detach()


def _products(function: Function, x: Tensor, transposed: bool) -> Function:
    """v -> J^T v, or v -> J v as the derivative of u -> J^T u, which is linear."""
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        r = function(at)
        if transposed:
            return lambda v: torch.autograd.grad(r, at, v, retain_graph=True)[0]
        u = torch.zeros_like(r, requires_grad=True)
        (pulled,) = torch.autograd.grad(r, at, u, create_graph=True)
    return lambda v: torch.autograd.grad(pulled, u, v, retain_graph=True)[0]
