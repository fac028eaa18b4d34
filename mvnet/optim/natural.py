"""Natural gradient descent (paper (60)) with the damping of Levenberg and Marquardt.

    theta <- theta + h d,     (G + lambda) d = -grad E,     G = J^T H J

with the Fisher information H of the outputs, or the Hessian of the loss there (the extended Gauss-Newton method). For a
squared error both are Gauss-Newton [97]; for other losses see `mvnet.optim.curvature.losses` [99]. G is never the
empirical Fisher matrix unless that is asked for by its name.

The system is solved in whichever form is smallest:

    primal   G of P x P, for few parameters
    dual     d = -J^T (H J J^T + lambda)^-1 dl/df   of M x M, for few outputs (Woodbury's identity)
    cg       conjugate gradients on products v -> G v, for the rest

lambda follows the ratio of what the loss fell by and what its quadratic model fell by (Nielsen's rule): a step with a
ratio that is not positive is taken back, and lambda grows.

Source: paper 6.2.2, (60); [89], [97], [99]; Levenberg (1944); Marquardt (1963); Nielsen, Damping parameter in
Marquardt's method (1999).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim.base import StructuredOptimizer
from mvnet.optim.curvature.losses import Metric, OutputLoss, find_loss
from mvnet.optim.curvature.products import GaussNewton, sample_rows
from mvnet.optim.curvature.systems import Solve, solve_dual, solve_iteratively, solve_primal

Solver = Literal["auto", "primal", "dual", "cg"]
Closure = Callable[[], tuple[Tensor, Tensor]]

_LARGEST_SYSTEM, _LARGEST_JACOBIAN = 1024, 2**26  # of "auto": rows of a system, entries of J
_TRIALS = 16  # of a step, each with a larger damping
_LEAST_RATIO = 1e-4  # of a step that is kept
_LEAST_DAMPING = 1e-15  # relative to the curvature along the gradient


class NaturalGradient(StructuredOptimizer):
    """Steps that do not depend on how a network is parametrised, to first order.

    It needs the outputs of the network and not just a gradient: `step` takes a closure that returns the outputs and
    the targets, and the optimiser knows the loss.

        optimizer = NaturalGradient.for_model(net, loss="squared")
        for _ in range(30):
            optimizer.step(lambda: (net(x), y))

    The closure is called again, without gradients, for every step that is tried; it must give the same batch.

    Args:
        params: parameters, or groups that differ in "lr" alone.
        lr: step size h; 1 is Gauss-Newton's.
        loss: a name of `mvnet.optim.curvature.losses.LOSSES`, or a loss.
        metric: "fisher", "hessian" or "empirical"; None takes the Fisher information where the loss is a likelihood,
            else its Hessian.
        damping: lambda over the curvature g^T G g / g^T g along the gradient; of the first step where it adapts.
        adapt: follow the ratio test; otherwise every step is taken as it is.
        solver: "primal", "dual", "cg", or "auto" for the one that suits the sizes.
        iterations, tolerance: of conjugate gradients.
        weight_decay: factor c of c |theta|^2 / 2, which is added to the loss.
        model: the network, whose Jacobian is then computed sample by sample where it allows that.
    Raises:
        MvnetError: an unknown loss, metric or solver.

    After a step `state` of the first parameter holds "damping", "ratio" and "trials".
    """

    extra = ("loss", "metric", "solver", "model", "_by_sample")

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        *,
        loss: str | OutputLoss = "squared",
        metric: Metric | None = None,
        damping: float = 1e-3,
        adapt: bool = True,
        solver: Solver = "auto",
        iterations: int = 50,
        tolerance: float = 1e-4,
        weight_decay: float = 0.0,
        model: nn.Module | None = None,
    ):
        self.loss = find_loss(loss)
        if metric is None:
            metric = "hessian" if type(self.loss).fisher is OutputLoss.fisher else "fisher"
        self.metric = self.loss.metric(metric)
        if solver not in ("auto", "primal", "dual", "cg"):
            raise MvnetError(f"solver: found {solver!r}, expected auto, primal, dual or cg")
        if not damping >= 0:
            raise MvnetError(f"damping: found {damping}, expected a number >= 0")
        self.solver, self.model = solver, model
        self._by_sample = model is not None
        super().__init__(
            params,
            {
                "lr": lr,
                "damping": damping,
                "adapt": adapt,
                "iterations": iterations,
                "tolerance": tolerance,
                "weight_decay": weight_decay,
            },
        )

    @classmethod
    def for_model(cls, model: nn.Module, lr: float = 1.0, weight_decay: float = 0.0, **options: Any) -> Self:
        """The optimiser of a network's parameters.

        Args:
            model: the network.
            lr, weight_decay: as of the class.
            **options: further arguments of the class.
        Returns:
            the optimiser.
        """
        return cls(model.parameters(), lr, weight_decay=weight_decay, model=model, **options)

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        """Take one step; none where the loss or its gradient is not finite, or no trial lowers the loss.

        Args:
            closure: () -> outputs (N, ...) of the network and targets of the loss.
        Returns:
            the loss before the step, without weight decay.
        """
        group = self.param_groups[0]
        parameters = [p for g in self.param_groups for p in g["params"] if p.requires_grad and p.numel()]
        calls: list[tuple[tuple, dict, Tensor]] = []
        hook = self._record(calls)
        try:
            with torch.enable_grad():
                outputs, targets = closure()
        finally:
            hook()
        fixed = outputs.detach()
        if not parameters:
            return self.loss.value(fixed, targets)
        value, residual = self.loss.value(fixed, targets), self.loss.gradient(fixed, targets)
        point = GaussNewton(outputs, parameters, lambda v: self.metric(fixed, targets, v))
        decay, theta = group["weight_decay"], _flatten(parameters, point.dtype)
        gradient = point.transpose(residual).add_(theta, alpha=decay)
        size = torch.dot(gradient, gradient)
        if not (torch.isfinite(value) and torch.isfinite(size) and size > 0):
            return value
        curvature = float(torch.dot(gradient, point(gradient)) / size)
        solve = self._system(point, residual, gradient, decay, theta, calls)
        if group["adapt"]:
            self._search(closure, point, value, gradient, solve, curvature)
        else:
            _write(parameters, theta + self._scaled(parameters, solve(group["damping"] * abs(curvature))))
        return value

    # ---- Levenberg and Marquardt ----

    def _search(
        self, closure: Closure, point: GaussNewton, value: Tensor, gradient: Tensor, solve: Solve, curvature: float
    ) -> None:
        """Try steps until one lowers the loss; lambda moves on."""
        group, parameters = self.param_groups[0], point.parameters
        decay, theta = group["weight_decay"], _flatten(parameters, point.dtype)
        entry = self.state[parameters[0]]
        scale = abs(curvature) or 1.0
        least, growth = _LEAST_DAMPING * scale, 2.0
        damping = max(entry.get("damping", group["damping"] * scale), least)
        kept: list[Tensor] = []
        before = float(value + decay / 2 * theta.square().sum())
        for trial in range(1, _TRIALS + 1):
            # d -> s = h d -> E(theta) - E(theta + s) over -(g^T s + s^T G s / 2)
            s = self._scaled(parameters, solve(damping))
            expected = -float(torch.dot(gradient, s) + (torch.dot(s, point(s)) + decay * torch.dot(s, s)) / 2)
            with _elsewhere(parameters, theta + s, kept):
                found = self.loss.value(*closure()) + decay / 2 * (theta + s).square().sum()
            ratio = (before - float(found)) / expected if expected > 0 else float("-inf")
            better = ratio > _LEAST_RATIO
            if better:
                _write(parameters, theta + s)
                damping = max(damping * max(1 / 3, 1 - (2 * ratio - 1) ** 3), least)
            else:
                damping, growth = damping * growth, 2 * growth
            entry.update(damping=damping, ratio=ratio, trials=trial)
            if better:
                break

    def _scaled(self, parameters: list[Tensor], direction: Tensor) -> Tensor:
        """h d, with the step size of each group."""
        rates = {id(p): g["lr"] for g in self.param_groups for p in g["params"]}
        parts = direction.split([p.numel() for p in parameters])
        return torch.cat([part * rates[id(p)] for part, p in zip(parts, parameters)])

    # ---- the system ----

    def _system(
        self,
        point: GaussNewton,
        residual: Tensor,
        gradient: Tensor,
        decay: float,
        theta: Tensor,
        calls: list[tuple[tuple, dict, Tensor]],
    ) -> Solve:
        """lambda -> d with (G + decay + lambda) d = -gradient."""
        count, size = residual.numel(), len(gradient)
        solver = self.solver
        if solver == "auto":
            small = min(count, size) <= _LARGEST_SYSTEM and count * size <= _LARGEST_JACOBIAN
            solver = ("dual" if count <= size else "primal") if small else "cg"
        if solver == "cg":
            group = self.param_groups[0]
            return solve_iteratively(point, gradient, decay, group["iterations"], group["tolerance"])
        rows = self._rows(point, residual, calls)
        if solver == "primal":
            rows = point.columns() if rows is None else rows
            return solve_primal(point, rows, gradient, decay)
        return solve_dual(point, point.rows() if rows is None else rows, residual, decay, theta)

    # ---- the Jacobian sample by sample ----

    def _record(self, calls: list[tuple[tuple, dict, Tensor]]) -> Callable[[], None]:
        """Keep what the network is called with until the function returned is called."""
        if not self._by_sample or self.model is None:
            return lambda: None
        handle = self.model.register_forward_hook(
            lambda module, inputs, named, output: calls.append((inputs, named, output)), with_kwargs=True
        )
        return handle.remove

    def _rows(self, point: GaussNewton, residual: Tensor, calls: list[tuple[tuple, dict, Tensor]]) -> Tensor | None:
        """J from single samples; None where the network or the closure does more than that."""
        if len(calls) != 1 or calls[0][2] is not point.outputs or calls[0][1] or self.model is None:
            return None
        try:
            rows = sample_rows(self.model, point.parameters, calls[0][0])
        except (RuntimeError, ValueError, KeyError, AttributeError):
            self._by_sample = False  # it has layers that cannot be vectorised
            return None
        # J^T u of both ways: samples may act on each other
        whole, single = point.transpose(residual), rows.T @ residual.flatten().to(rows.dtype)
        near = torch.finfo(point.outputs.dtype).eps ** 0.5
        self._by_sample = bool((whole - single).norm() <= near * whole.norm())
        return rows if self._by_sample else None


def _flatten(parameters: list[Tensor], dtype: torch.dtype) -> Tensor:
    return torch.cat([p.detach().flatten().to(dtype) for p in parameters])


def _write(parameters: list[Tensor], theta: Tensor) -> None:
    for p, part in zip(parameters, theta.split([p.numel() for p in parameters])):
        p.copy_(part.view_as(p))


@contextmanager
def _elsewhere(parameters: list[Tensor], theta: Tensor, kept: list[Tensor]) -> Iterator[None]:
    """Other values in memory of their own, so that the graph of the present ones can still be used afterwards.

    That memory is kept until the step ends: layers tell by its address that a weight has changed.
    """
    present = [p.data for p in parameters]
    try:
        for p, part in zip(parameters, theta.split([p.numel() for p in parameters])):
            p.data = part.view_as(p).to(p.dtype, copy=True)
            kept.append(p.data)
        yield
    finally:
        for p, data in zip(parameters, present):
            p.data = data
