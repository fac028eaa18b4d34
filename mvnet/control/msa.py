"""Training by Pontryagin's principle: the method of successive approximations and its extended form.

One iteration: states forwards (31), costates backwards (32), then for each layer its own small problem (33), all of
them at once. The extended form holds the new slopes near the old ones, as these problems know the old states only:

    min_theta  sum_k h_k mean_n [ <p, f> + rho/2 |f - v|^2 + rho/2 |(d_z f)^T p - q|^2 ] + R(theta)

with f = f(t_k, z_k, theta), p = p_{k+1}, and v = f, q = (d_z f)^T p at the old parameters. p(T) = L', so it is a
minimum. With no rho or a fixed one the iteration oscillates: here rho adapts, and what raises the loss is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mvnet.control.pontryagin import adjoint, trajectory
from mvnet.errors import MvnetError

_GOOD, _POOR = 0.8, 0.4  # decrease of the loss over the predicted one: above, rho is halved; below, doubled
_SMALLEST_RHO = 1e-3


class Iteration(NamedTuple):
    """loss: L + R after the iteration; accepted: whether it changed the parameters; rho: the weight that it used."""

    loss: float
    accepted: bool
    rho: float


class MSA:
    """Method of successive approximations for z_{k+1} = z_k + h_k f(t_k, z_k, theta).

    With the safeguard the loss does not rise. rho follows the ratio of the decrease of the loss to the decrease of
    <p, f>, which predicts it to first order, as the radius of a trust region does. L-BFGS keeps its curvature from one
    iteration to the next, since at the old parameters the small problems have the gradient of the loss, and forgets it
    after a refused step. Few inner iterations are better than many: the model is right near the old states only.

    Args:
        field: f, a module that takes one time for each sample, such as the fields of `mvnet.fields`.
        times: t_0, ..., t_K.
        rho: of the extended form, at first. 0, without the safeguard, is the basic method (33).
        safeguard: refuse steps that raise the loss, and adapt rho.
        hold_costates: keep the term with q, as published; without it each iteration is cheaper.
        inner: L-BFGS iterations on (33).
        regulariser: R of the field's parameters, a function without arguments, or None.
    Raises:
        MvnetError: rho negative, inner below 1, or a field without parameters.
    Source: paper (31)-(33); Li, Chen, Tai, E, Maximum principle based algorithms for deep learning, JMLR 18 (2018).
    """

    def __init__(
        self,
        field: nn.Module,
        times: Tensor,
        *,
        rho: float = 1.0,
        safeguard: bool = True,
        hold_costates: bool = True,
        inner: int = 3,
        regulariser: Callable[[], Tensor] | None = None,
    ):
        if not rho >= 0:
            raise MvnetError(f"rho: found {rho}, expected a number that is not negative")
        if inner < 1:
            raise MvnetError(f"inner: found {inner}, expected at least 1")
        self.parameters = [p for p in field.parameters() if p.requires_grad]
        if not self.parameters:
            raise MvnetError("field: found no parameters that require gradients, expected some to train")
        self.field, self.times, self.rho = field, times.detach(), rho
        self.safeguard, self.hold_costates, self.regulariser = safeguard, hold_costates, regulariser
        self._inner = inner
        self._optimizer = self._forget()

    def step(self, x: Tensor, loss: Callable[[Tensor], Tensor]) -> Iteration:
        """One iteration; with other samples each time it is the mini-batch form.

        Args:
            x: states at t_0, shape (N, ..., d).
            loss: of the states at the end, a mean over the samples.
        Returns:
            what became of it; `loss` is that of these samples.
        Raises:
            MvnetError: the loss is not finite at the present parameters.
        """
        rho, old = self.rho, [p.detach().clone() for p in self.parameters]
        path = trajectory(self.field, x, self.times, loss, inputs=())
        before = float(path.loss) + self._penalty()
        if not math.isfinite(before):
            raise MvnetError(f"loss: found {before}, expected a finite number")
        predicted = self._minimise(path.states[:-1], path.costates[1:])
        after = self.evaluate(x, loss)
        if not self.safeguard:
            self._optimizer = self._forget()
            return Iteration(after, True, rho)
        accepted = after <= before
        if not accepted:
            self._restore(old)
            self._optimizer = self._forget()
        if not accepted or before - after < _POOR * predicted:
            self.rho = max(2 * rho, _SMALLEST_RHO)
        elif before - after > _GOOD * predicted:
            self.rho = max(rho / 2, _SMALLEST_RHO)
        return Iteration(after if accepted else before, accepted, rho)

    @torch.no_grad()
    def evaluate(self, x: Tensor, loss: Callable[[Tensor], Tensor]) -> float:
        """L + R at the present parameters.

        Args:
            x: states at t_0.
            loss: of the states at the end.
        Returns:
            the value.
        """
        z = x
        for k in range(len(self.times) - 1):
            z = z + (self.times[k + 1] - self.times[k]) * self.field(self.times[k], z)
        return float(loss(z)) + self._penalty()

    def _minimise(self, states: Tensor, costates: Tensor) -> float:
        """A few L-BFGS iterations on the sum of the layers' problems; the decrease that H + R predicts for the loss."""
        # shape: one time and step for each layer, over states (K, N, ..., d)
        layers = (-1, *(1,) * (states.ndim - 1))
        t, h = self.times[:-1].reshape(layers), self.times.diff().reshape(layers)
        samples = states[0, ..., 0].numel()
        p = costates * samples  # of each sample: the loss is a mean
        v = self.field(t, states).detach()
        q = adjoint(self.field, t, states, p).detach() if self.hold_costates else None

        def objective() -> Tensor:
            f = self.field(t, states)
            terms = p * f
            if self.rho:
                terms = terms + self.rho / 2 * (f - v).square()
            if self.rho and q is not None:
                terms = terms + self.rho / 2 * (adjoint(self.field, t, states, p) - q).square()
            value = (h * terms).sum() / samples
            return value if self.regulariser is None else value + self.regulariser()

        def closure() -> Tensor:
            self._optimizer.zero_grad()
            value = objective()
            value.backward()
            return value

        penalty = self._penalty()
        self._optimizer.step(closure)
        with torch.no_grad():
            change = float((h * costates * (v - self.field(t, states))).sum())
        return change + penalty - self._penalty()

    def _forget(self) -> torch.optim.LBFGS:
        return torch.optim.LBFGS(self.parameters, max_iter=self._inner)

    @torch.no_grad()
    def _penalty(self) -> float:
        return 0.0 if self.regulariser is None else float(self.regulariser())

    @torch.no_grad()
    def _restore(self, old: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, old, strict=True):
            parameter.copy_(value)
