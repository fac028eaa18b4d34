"""Descent in the metric of a stochastic, damped, limited-memory BFGS approximation of the Hessian (paper 6.4.2).

    theta <- theta - h G^-1 g,     G the BFGS matrix of the last pairs  s = theta' - theta,  y = g' - g

is (60) with that matrix for G: it obeys the secant equation G s = y for the newest pair. For G to be a metric every
pair needs s^T y > 0, which neither a network nor noise grants. Powell's damping takes, between y and what the metric
expects of the step, r = G s, the first y' that has it:

    y' = phi y + (1 - phi) r,     s^T y' >= s^T r / 5

With a closure both gradients of a pair are of one batch, as the convergence proof asks for, and r = -h g. Without one
they are of different batches and their difference is mostly noise: averages over several steps then take the place of
single ones, r = s |y| / |s|, and only the direction of G^-1 g is trusted: the step has the root mean square h.

Source: paper 6.4.2, [117]; Nocedal (1980); Powell (1978); Wang, Ma, Goldfarb and Liu, Stochastic quasi-Newton methods
for nonconvex stochastic optimization (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.optim.base import StructuredOptimizer, at_least_single, evaluate, with_gradients

_LEAST_CURVATURE = 0.2  # of Powell's damping: s^T y' over s^T r
_ROUNDING = 1e3  # cosine of s and y over the precision, below which its sign cannot be relied on
_FIRST_STEP = 1e-3  # root mean square of the step that knows no curvature, for h = 1


class BFGS(StructuredOptimizer):
    """Stochastic damped limited-memory BFGS.

    Without a closure, `loss.backward(); step()`, every step has the root mean square `lr` over all parameters of its
    group, as pairs from different batches say nothing of its length. With `step(closure)` the closure is called before
    and after the step on the same batch, and steps are lr G^-1 g: `lr` = 1 is Newton's. The first one, which knows no
    curvature, is short.

    Args:
        params: parameters or groups; each group has a metric of its own.
        lr: step size h.
        memory: number of pairs.
        every: steps without a closure over which gradients and parameters are averaged for a pair.
        momentum: averaging factor of the gradients of steps without a closure.
        weight_decay: decoupled.
    Raises:
        MvnetError: a memory or a period below 1, or a momentum outside [0, 1).
    Source: see the module.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        *,
        memory: int = 10,
        every: int = 10,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ):
        for name, value in (("memory", memory), ("every", every)):
            if value < 1:
                raise MvnetError(f"{name}: found {value}, expected at least 1")
        if not 0 <= momentum < 1:
            raise MvnetError(f"momentum: found {momentum}, expected a number in [0, 1)")
        defaults = {"lr": lr, "memory": memory, "every": every, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take one step.

        Args:
            closure: computes the loss of one batch and its gradients anew; called twice.
        Returns:
            the loss before the step; None without a closure.
        Raises:
            MvnetError: a gradient that is sparse.
        """
        if closure is None:
            return super().step()
        loss = evaluate(closure)
        before = [self._gradients(group) for group in self.param_groups]
        steps = [self._newton_step(group, found) for group, found in zip(self.param_groups, before)]
        evaluate(closure)
        for group, old, (moved, first) in zip(self.param_groups, before, steps):
            # y of the same batch;  r = G s = -h g
            now = self._gradients(group)
            s = {p: x for p, x in moved.items() if p in now}
            y = {p: now[p] - old[p] for p in s}
            self._remember(group, s, y, None if first else {p: -group["lr"] * old[p] for p in s})
        return loss

    def advance(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """One step from the gradients of one batch."""
        g = {p: at_least_single(p.grad) for p in parameters if p.grad is not None}
        if not _finite(g.values()):
            return
        for p in parameters:
            entry = self.state[p]
            if "step" not in entry:
                entry["step"] = 0
                entry |= {name: torch.zeros_like(g[p]) for name in ("mean", "sum_g", "sum_theta")}
            entry["step"] += 1
            entry["mean"].lerp_(g[p], 1 - group["momentum"])
            entry["sum_g"].add_(g[p])
            entry["sum_theta"].add_(p)
        self._pair_of_averages(group, parameters)
        direction = self.direction(group, {p: self.state[p]["mean"] for p in parameters})
        _apply(group, direction, group["lr"] * _inverse_rms(direction))

    def direction(self, group: dict[str, Any], gradients: dict[nn.Parameter, Tensor]) -> dict[nn.Parameter, Tensor]:
        """G^-1 g, by the two-loop recursion on inner products.

        Args:
            group: one of `param_groups`.
            gradients: of some of its parameters; those of the others are taken for zero.
        Returns:
            of the same parameters; g itself where no pair is known.
        """
        known = [p for p in group["params"] if "s" in self.state[p]]
        if not known:
            return dict(gradients)
        m = len(self.state[known[0]]["s"])
        # all that the recursion needs of s_1 ... s_m, y_1 ... y_m, g are their inner products
        gram = torch.zeros(2 * m + 1, 2 * m + 1, dtype=torch.float64)
        for p in known:
            s, y = (self.state[p][name].flatten(1) for name in ("s", "y"))
            gram[:m, m:-1] += (s @ y.mT).cpu()
            gram[m:-1, m:-1] += (y @ y.mT).cpu()
            if p in gradients:
                gram[:m, -1] += (s @ gradients[p].flatten()).cpu()
                gram[m:-1, -1] += (y @ gradients[p].flatten()).cpu()
        weights = two_loop(gram)
        found = {p: float(weights[-1]) * g for p, g in gradients.items()}
        for p in known:
            if p in found:
                s, y = (self.state[p][name].flatten(1) for name in ("s", "y"))
                w = weights.to(s)
                found[p] += (w[:m] @ s + w[m:-1] @ y).view_as(found[p])
        return found

    # ---- pairs ----

    def _gradients(self, group: dict[str, Any]) -> dict[nn.Parameter, Tensor]:
        return {p: at_least_single(p.grad).clone() for p in with_gradients(group["params"]) if p.grad is not None}

    def _newton_step(
        self, group: dict[str, Any], g: dict[nn.Parameter, Tensor]
    ) -> tuple[dict[nn.Parameter, Tensor], bool]:
        """Step by lr G^-1 g; what the parameters moved by, and whether no metric is known yet."""
        first = not any("s" in self.state[p] for p in group["params"])
        if not g or not _finite(g.values()):
            return {}, first
        direction = self.direction(group, g)
        old = {p: p.detach().clone() for p in g}
        _apply(group, direction, group["lr"] * (_FIRST_STEP * _inverse_rms(direction) if first else 1.0))
        return {p: at_least_single(p.detach() - old[p]) for p in g}, first

    def _pair_of_averages(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Every few steps the averages since the last time, less those of the time before, are a pair."""
        every = group["every"]
        s, y = {}, {}
        for p in parameters:
            entry = self.state[p]
            if entry["step"] % every:
                continue
            theta, g = entry["sum_theta"] / every, entry["sum_g"] / every
            if "last_g" in entry:
                s[p], y[p] = theta - entry["last_theta"], g - entry["last_g"]
            entry |= {"last_theta": theta, "last_g": g}
            entry["sum_theta"].zero_()
            entry["sum_g"].zero_()
        self._remember(group, s, y, None)

    def _remember(
        self,
        group: dict[str, Any],
        s: dict[nn.Parameter, Tensor],
        y: dict[nn.Parameter, Tensor],
        r: dict[nn.Parameter, Tensor] | None,
    ) -> None:
        """Damp y and keep the pair in the place of the oldest; r is s |y| / |s| for None."""
        ss, sy, yy = _dot(s, s), _dot(s, y), _dot(y, y)
        if not (0 < ss < float("inf") and 0 < yy < float("inf")):
            return
        sr = 0.0 if r is None else _dot(s, r)
        if r is None or not sr > 0:
            r, sr = {p: (yy / ss) ** 0.5 * x for p, x in s.items()}, (yy * ss) ** 0.5
        phi = powell_factor(sy, sr)
        y = {p: y[p] if phi == 1 else phi * y[p] + (1 - phi) * r[p] for p in s}
        rounding = _ROUNDING * max(torch.finfo(x.dtype).eps for x in s.values())
        if not _dot(s, y) > rounding * (ss * _dot(y, y)) ** 0.5:
            return
        # parameters that have no part in a pair have zeros there: all of a group hold the same pairs
        count = max((len(self.state[p].get("s", ())) for p in group["params"]), default=0)
        for p in group["params"]:
            entry = self.state[p]
            if p not in s and "s" not in entry:
                continue
            for name, some in (("s", s), ("y", y)):
                new = some[p] if p in some else torch.zeros_like(entry[name][0])
                known = entry.get(name, new.new_zeros(count, *new.shape))
                entry[name] = torch.cat([known[max(0, count + 1 - group["memory"]) :], new[None]])


def powell_factor(sy: float, sr: float) -> float:
    """Powell's phi, with which y' = phi y + (1 - phi) r has s^T y' >= s^T r / 5.

    Args:
        sy: s^T y.
        sr: s^T r > 0.
    Returns:
        phi in (0, 1]; 1 where the pair is good as it is.
    Source: Powell, Algorithms for nonlinear constraints that use Lagrangian functions (1978).
    """
    return 1.0 if sy >= _LEAST_CURVATURE * sr else (1 - _LEAST_CURVATURE) * sr / (sr - sy)


def two_loop(gram: Tensor, scale: float | None = None) -> Tensor:
    """The two-loop recursion in terms of inner products.

    Args:
        gram: (2 m + 1, 2 m + 1), inner products of s_1 ... s_m, y_1 ... y_m (the newest last) and a vector g, in this
            order; the columns of s are not read.
        scale: of the identity that the inverse of the BFGS matrix begins with; s_m^T y_m / y_m^T y_m when None.
    Returns:
        (2 m + 1,): the coefficients of G^-1 g in these vectors.
    Source: Nocedal (1980); Chen, Wang and Zhou, Large-scale L-BFGS using MapReduce (2014), for inner products.
    """
    m = len(gram) // 2
    # inner products with s are rows; those of y with s are the transpose of those of s with y
    gram = torch.cat([torch.zeros_like(gram[:, :m]), gram[:, m:]], 1)
    gram[m : 2 * m, :m] = gram[:m, m : 2 * m].mT
    weights, alpha = torch.zeros_like(gram[0]), torch.zeros_like(gram[0, :m])
    weights[-1] = 1
    sy = gram.diagonal(m)[:m]
    for i in reversed(range(m)):
        # alpha = s^T q / s^T y,  q <- q - alpha y;  q has no part along any s
        alpha[i] = gram[i] @ weights / sy[i]
        weights[m + i] -= alpha[i]
    weights *= sy[m - 1] / gram[2 * m - 1, 2 * m - 1] if scale is None else scale
    for i in range(m):
        # r <- r + (alpha - y^T r / s^T y) s
        weights[i] += alpha[i] - gram[m + i] @ weights / sy[i]
    return weights


def _apply(group: dict[str, Any], direction: dict[nn.Parameter, Tensor], scale: float) -> None:
    for p, d in direction.items():
        p.mul_(1 - group["lr"] * group["weight_decay"]).sub_((scale * d).to(p.dtype))


def _inverse_rms(direction: dict[nn.Parameter, Tensor]) -> float:
    """One over the root mean square of all entries; 0 where that is zero or not finite."""
    square = _dot(direction, direction)
    return (sum(d.numel() for d in direction.values()) / square) ** 0.5 if 0 < square < float("inf") else 0.0


def _dot(a: dict[nn.Parameter, Tensor], b: dict[nn.Parameter, Tensor]) -> float:
    return sum(float((x * b[p]).sum(dtype=torch.float64)) for p, x in a.items())


def _finite(tensors: Any) -> bool:
    return all(bool(torch.isfinite(x).all()) for x in tensors)
