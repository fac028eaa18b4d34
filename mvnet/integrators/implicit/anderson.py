"""Anderson acceleration of the fixed-point iteration x <- x - r(x): no Jacobian, one evaluation an iteration."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.integrators.implicit.newton import Found, Function, rounding


@dataclass(frozen=True)
class Anderson:
    """x <- x + f - (dX + dF) gamma,   f = -r(x),   gamma = argmin |f - dF gamma|,  dX, dF the last differences.

    Source: Walker and Ni, SIAM J. Numer. Anal. 49 (2011) 1715.

    Args:
        tolerance: of the residual, relative to the unknowns and the state; None: four rounding units.
        iterations: largest number of them.
        memory: number of differences.
        dense: largest number of unknowns of a system whose Jacobian is formed for the gradient.
    """

    tolerance: float | None = None
    iterations: int = 400
    memory: int = 6
    dense: int = 128

    def find(self, function: Function, x: Tensor, size: float) -> Found:
        """Iterate from x; the best x of each system is kept.

        Args:
            function: the residual.
            x: first guess (N, n).
            size: of the state, what residuals are compared with beside the unknowns.
        Returns:
            the end of the iteration, converged or not.
        """
        tolerance = 4 * torch.finfo(x.dtype).eps if self.tolerance is None else self.tolerance
        floor, count, since = max(tolerance, rounding(x.dtype)), 0, 0
        best, least, f = x, torch.full_like(x[:, 0], torch.inf), -function(x)
        xs: list[Tensor] = []
        fs: list[Tensor] = []
        while True:
            better = f.abs().amax(1) < least
            best, least = torch.where(better[:, None], x, best), torch.where(better, f.abs().amax(1), least)
            scale = best.abs().amax(1) + size
            since = 0 if better.any() else since + 1
            reached, rounded = least <= tolerance * scale, least <= floor * scale
            if reached.all() or count == self.iterations or (since > self.memory and rounded.all()):
                return Found(best, least, tolerance * scale, reached | rounded & (since > self.memory), count)
            xs, fs = [*xs, x][-self.memory - 1 :], [*fs, f][-self.memory - 1 :]
            x = x + f - self._correction(xs, fs)
            f, count = -function(x), count + 1

    @staticmethod
    def _correction(xs: list[Tensor], fs: list[Tensor]) -> Tensor:
        """(dX + dF) gamma"""
        if len(xs) == 1:
            return torch.zeros_like(xs[0])
        dx, df = (torch.stack(v, -1).diff(dim=-1) for v in (xs, fs))
        # columns of length 1, and a ridge of rounding size: differences may be parallel
        length = df.norm(dim=1, keepdim=True).clamp(min=torch.finfo(df.dtype).tiny)
        unit = df / length
        ridge = 10 * torch.finfo(df.dtype).eps * torch.eye(df.shape[-1], dtype=df.dtype, device=df.device)
        gamma = torch.linalg.solve_ex(unit.mT @ unit + ridge, unit.mT @ fs[-1][..., None])[0]
        return ((dx + df) / length @ gamma)[..., 0]
