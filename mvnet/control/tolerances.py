"""How accurately to solve while training: the solver's tolerance from the optimiser's progress. Paper section 3.4.1.

A gradient g with error e serves a descent method as long as |e| <= kappa |g| with kappa < 1: then

    <g, grad E> >= (1 - kappa) |g|^2,    |g| >= |grad E| / (1 + kappa),

so gradient descent with steps below 2 (1 - kappa) / L, L the Lipschitz constant of grad E, converges to critical points
all the same. Far from them a coarse solution will do. The error of a gradient is taken to be the tolerance times a
sensitivity, which is measured now and then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from mvnet.errors import MvnetError

_FINER = 10.0  # the tolerance over that of the comparison
_CLOSER = 10.0  # a repeated solve is at least as much finer
_CAUTION = 2.0  # the tolerance is loosened to this fraction of what the sensitivity allows, and by at most this factor


class ToleranceControl:
    """Calls a closure with the loosest tolerance whose gradient is right to a relative error kappa.

    Every `check_every` calls the gradient is computed again at a tenth of the tolerance; the difference gives the
    sensitivity |e| / tolerance. In between the tolerance follows the norm of the gradient. An evaluation that turns out
    too coarse is repeated, finer. The order of the method is not used: error proportional to tolerance is what adaptive
    step sizes and the iterations of implicit methods aim at.

    With mini-batches errors below the noise do not matter: kappa near 1/2 suffices.

    Args:
        parameters: whose `.grad` the closure sets.
        start: first tolerance.
        smallest, largest: its bounds.
        kappa: in (0, 1).
        check_every: calls between comparisons.
    Raises:
        MvnetError: kappa outside (0, 1), tolerances that are not 0 < smallest <= start <= largest, or check_every < 1.
    Source: Carter, On the global convergence of trust region algorithms using inexact gradient information, SIAM J.
        Numer. Anal. 28 (1991); Conn, Gould, Toint, Trust-Region Methods (2000), section 8.4.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        start: float = 1e-2,
        *,
        smallest: float = 1e-10,
        largest: float = 1e-1,
        kappa: float = 0.1,
        check_every: int = 10,
    ):
        if not 0 < kappa < 1:
            raise MvnetError(f"kappa: found {kappa}, expected a number in (0, 1)")
        if not 0 < smallest <= start <= largest:
            raise MvnetError(f"start: found {start}, expected a tolerance in [{smallest}, {largest}]")
        if check_every < 1:
            raise MvnetError(f"check_every: found {check_every}, expected at least 1")
        self.parameters = list(parameters)
        self.tolerance, self.smallest, self.largest = start, smallest, largest
        self.kappa, self.check_every = kappa, check_every
        self.sensitivity = math.nan
        self.evaluations = 0
        self._calls = 0

    def __call__(self, closure: Callable[[float], Tensor]) -> Tensor:
        """Evaluate with a gradient that is accurate enough; call it where `closure()` stands otherwise.

        Args:
            closure: tolerance -> loss, with the gradients of the parameters set and earlier ones cleared, as the
                closures of `torch.optim` do.
        Returns:
            the loss at the finest tolerance that was used; `.grad` belongs to it.
        """
        check, self._calls = self._calls % self.check_every == 0, self._calls + 1
        loss, gradient = self._evaluate(closure, self.tolerance)
        used = self.tolerance
        while True:
            if check and used > self.smallest:
                finer = max(used / _FINER, self.smallest)
                loss, better = self._evaluate(closure, finer)
                self.sensitivity = float((gradient - better).norm()) / (used - finer)
                gradient, used, check = better, finer, False
            size = float(gradient.norm())
            error = 0.0 if math.isnan(self.sensitivity) else self.sensitivity * used
            if error <= self.kappa * size or used <= self.smallest:
                break
            used = max(min(self.kappa * size / self.sensitivity, used) / _CLOSER, self.smallest)
            loss, gradient = self._evaluate(closure, used)
        self._choose(size)
        return loss

    def _choose(self, size: float) -> None:
        """The next tolerance, from the norm of the gradient."""
        if math.isnan(self.sensitivity):
            return
        allowed = self.kappa * size / self.sensitivity / _CAUTION if self.sensitivity else self.largest
        self.tolerance = min(max(min(allowed, _CAUTION * self.tolerance), self.smallest), self.largest)

    def _evaluate(self, closure: Callable[[float], Tensor], tolerance: float) -> tuple[Tensor, Tensor]:
        self.evaluations += 1
        with torch.enable_grad():
            loss = closure(tolerance)
        slopes = [p.grad.detach().flatten() for p in self.parameters if p.grad is not None]
        return loss.detach(), torch.cat(slopes).clone()
