"""Deep limits: the same training problem on finer and finer grids of time, and the rates at which it converges.

    e_K = | min E^(K) - min E^(2K) |,    d_K = | theta^(K) - theta^(2K) |_{L2(0, T)},    rate = log2(e_K / e_2K)

Theorem 3.3 proves convergence for (40), without a rate; section 3.4.3 asks for rates and for other topologies. Both are
measured here: minima from L-BFGS for smooth regularisers, from accelerated proximal gradients for total variation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.optim.proximal import Proximal

Objective = Callable[[Sequence[Tensor]], Tensor]


class Minimum(NamedTuple):
    """value: of the objective; theta: parameters (K, ...); residual: norm of the (proximal) gradient at theta."""

    value: float
    theta: list[Tensor]
    residual: float


@dataclass(frozen=True)
class DeepLimit:
    """Minima on nested grids.

    Args:
        counts: numbers of layers K, each a multiple of the one before.
        minima: for each.
        duration: T.
    """

    counts: tuple[int, ...]
    minima: tuple[Minimum, ...]
    duration: float

    @property
    def value_differences(self) -> list[float]:
        """e_K, one fewer than the grids."""
        return [abs(fine.value - coarse.value) for coarse, fine in pairwise(self.minima)]

    @property
    def parameter_differences(self) -> list[float]:
        """d_K, likewise."""
        return [float(l2_distance(coarse.theta, fine.theta, self.duration)) for coarse, fine in pairwise(self.minima)]

    @property
    def value_rates(self) -> list[float]:
        """Observed orders of the values in T / K, two fewer than the grids."""
        return rates(self.counts, self.value_differences)

    @property
    def parameter_rates(self) -> list[float]:
        """Observed orders of the parameters, likewise."""
        return rates(self.counts, self.parameter_differences)


def deep_limit(
    minimise: Callable[[Sequence[Tensor]], Minimum],
    start: Sequence[Tensor],
    counts: Sequence[int],
    duration: float = 1.0,
) -> DeepLimit:
    """Minimise on every grid, each time from the minimum on the coarser one.

    Args:
        minimise: from parameters (K, ...) to a minimum near them, for any K: `smooth_minimum` or `proximal_minimum` of
            an objective.
        start: parameters (K, ...) for the first grid.
        counts: numbers of layers, each a multiple of the one before.
        duration: T.
    Returns:
        the minima and their rates.
    Raises:
        MvnetError: counts that are not nested, or a start that does not fit to the first.
    """
    if not counts or any(fine % coarse or fine <= coarse for coarse, fine in pairwise(counts)):
        raise MvnetError(f"counts: found {list(counts)}, expected multiples, each of the one before")
    if any(len(x) != counts[0] for x in start):
        raise MvnetError(f"start: found {[len(x) for x in start]} layers, expected {counts[0]}")
    minima = [minimise(start)]
    for coarse, fine in pairwise(counts):
        minima.append(minimise([prolong(x, fine // coarse, smooth=True) for x in minima[-1].theta]))
    return DeepLimit(tuple(counts), tuple(minima), duration)


def prolong(theta: Tensor, factor: int = 2, *, smooth: bool = False) -> Tensor:
    """Parameters on a grid that is finer by a factor.

    Args:
        theta: (K, ...), constant on K intervals.
        factor: new intervals for each old one.
        smooth: join the values at the left ends by lines, and sample these: near in H1. If false, the function of time
            stays what it is.
    Returns:
        (factor K, ...).
    Raises:
        MvnetError: factor below 1.
    """
    if factor < 1:
        raise MvnetError(f"factor: found {factor}, expected at least 1")
    if not smooth:
        return theta.repeat_interleave(factor, 0)
    # theta_k + (i / factor) (theta_{k+1} - theta_k), constant after the last left end
    change = torch.cat([theta.diff(dim=0), torch.zeros_like(theta[:1])])
    part = torch.arange(factor, dtype=theta.dtype, device=theta.device) / factor
    lines = theta.unsqueeze(1) + part.reshape(-1, *(1,) * (theta.ndim - 1)) * change.unsqueeze(1)
    return lines.flatten(0, 1)


def l2_distance(coarse: Sequence[Tensor], fine: Sequence[Tensor], duration: float = 1.0) -> Tensor:
    """| theta - theta' |_{L2(0, T)} of functions that are constant on nested grids.

    Args:
        coarse: parameters (K, ...).
        fine: the same on a grid finer by a whole factor.
        duration: T.
    Returns:
        a scalar.
    Source: the topology of paper Theorem 3.3.
    """
    pairs = [(prolong(x, len(y) // len(x)) - y).square().sum() / len(y) for x, y in zip(coarse, fine, strict=True)]
    return (duration * torch.stack(pairs).sum()).sqrt()


def rates(counts: Sequence[int], differences: Sequence[float]) -> list[float]:
    """Observed orders log(d_i / d_{i+1}) / log(K_{i+1} / K_i) of successive differences.

    Args:
        counts: numbers of layers.
        differences: one fewer, none of them 0.
    Returns:
        two fewer than the counts.
    """
    steps = [fine / coarse for coarse, fine in pairwise(counts)]
    return [math.log(a / b) / math.log(s) for (a, b), s in zip(pairwise(differences), steps, strict=False)]


def smooth_minimum(
    objective: Objective, theta: Sequence[Tensor], *, iterations: int = 500, tolerance: float = 1e-9
) -> Minimum:
    """L-BFGS with a strong Wolfe line search, in variables in which the H1 norm in time is Euclidean.

        u_0 = theta_0,    u_k = K^(1/2) (theta_k - theta_{k-1})

    In theta itself the condition number of (40) grows as K^2, and the iterations with it.

    Args:
        objective: E of parameters (K, ...).
        theta: where to start.
        iterations: at most.
        tolerance: largest entry of the gradient in u at which to stop.
    Returns:
        a minimum; its residual is the norm of the gradient in u.
    """
    root = len(theta[0]) ** 0.5
    points = [torch.cat([x[:1], root * x.diff(dim=0)]).detach().requires_grad_() for x in theta]

    def parameters() -> list[Tensor]:
        return [torch.cat([u[:1], u[1:] / root]).cumsum(0) for u in points]

    optimizer = torch.optim.LBFGS(
        points,
        max_iter=iterations,
        max_eval=4 * iterations,
        tolerance_grad=tolerance,
        tolerance_change=0.0,
        history_size=40,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = objective(parameters())
        value.backward()
        return value

    optimizer.step(closure)
    with torch.enable_grad():
        value = closure()
    residual = torch.stack([u.grad.norm() for u in points if u.grad is not None]).norm()
    return Minimum(float(value.detach()), [x.detach() for x in parameters()], float(residual))


def proximal_minimum(
    objective: Objective,
    theta: Sequence[Tensor],
    proximal: Proximal,
    penalty: Callable[[Sequence[Tensor]], Tensor],
    *,
    iterations: int = 2000,
    tolerance: float = 1e-9,
) -> Minimum:
    """Accelerated proximal gradients with backtracking and restarts, for E + R with R not smooth.

        z = prox_{t R}(y - t grad E(y)),    E(z) <= E(y) + <grad E(y), z - y> + |z - y|^2 / (2 t)

    Args:
        objective: the smooth part E of parameters (K, ...).
        theta: where to start.
        proximal: (x, t) -> prox_{t R}(x), for each parameter by itself: `TotalVariation`, `mvnet.optim.L1`.
        penalty: R.
        iterations: at most.
        tolerance: norm of (y - z) / t at which to stop.
    Returns:
        a minimum; its value is E + R.
    Source: Beck, Teboulle, SIAM J. Imaging Sci. 2 (2009); O'Donoghue, Candes, Found. Comput. Math. 15 (2015).
    """
    x = [v.detach().clone() for v in theta]
    y, momentum, t, residual = x, 1.0, 1.0, math.inf
    with torch.no_grad():
        best = float(objective(x) + penalty(x))
    for _ in range(iterations):
        value, slopes = _slopes(objective, y)
        while True:
            z = [proximal(v - t * g, t) for v, g in zip(y, slopes, strict=True)]
            moves = [b - a for a, b in zip(y, z, strict=True)]
            square, along = (
                float(sum((m * n).sum() for m, n in zip(moves, other, strict=True))) for other in (moves, slopes)
            )
            with torch.no_grad():
                smooth = float(objective(z))
            if smooth <= value + along + square / (2 * t) + 1e-15 * abs(value) or t < 1e-12:
                break
            t /= 2
        residual = math.sqrt(square) / t
        total = smooth + float(penalty(z))
        if total > best and momentum > 1:  # the momentum led uphill: again from the last point, without it
            y, momentum = x, 1.0
            continue
        after = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        y = [b + (momentum - 1) / after * (b - a) for a, b in zip(x, z, strict=True)]
        x, best, momentum, t = z, min(best, total), after, 1.1 * t
        if residual <= tolerance:
            break
    return Minimum(best, x, residual)


def _slopes(objective: Objective, point: Sequence[Tensor]) -> tuple[float, tuple[Tensor, ...]]:
    leaves = [x.detach().requires_grad_() for x in point]
    with torch.enable_grad():
        value = objective(leaves)
        return float(value.detach()), torch.autograd.grad(value, leaves)
