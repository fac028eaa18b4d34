"""Explicit Runge-Kutta methods in R^n, with little work beside the field.

    k_i = f(t + c_i h, z + h sum_j a_ij k_j),        z_1 = z + h sum_i b_i k_i

The step size is a number unless it requires a gradient, so that a term is one fused operation z + (h a_ij) k_j; slopes
of equal weight are added first, which saves products in the backward pass. The times of all stages are made at once.
Source: paper section 2.2; Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I (1993), section II.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from mvnet.fields.base import ActingField, Field
from mvnet.integrators.base import Step
from mvnet.integrators.tableaus import Tableau
from mvnet.integrators.times import is_traced
from mvnet.manifolds.actions import Translation


@dataclass(frozen=True)
class RungeKutta:
    """The explicit method of a tableau."""

    takes: ClassVar[type] = Field
    kind: ClassVar[str] = "explicit"
    actions: ClassVar[tuple[type, ...]] = (Translation,)
    preserves = frozenset({"linear invariants"})

    tableau: Tableau

    @property
    def order(self) -> int:
        """Order of the tableau."""
        return self.tableau.order

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state."""

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """Step from z at t to t + h."""
        nodes = [t + c * h for c in self.tableau.c]
        slopes = stages(self.tableau, field, h, nodes, z, args)
        error = combination(self.tableau.error, slopes)
        return Step(advance(z, h, self.tableau.b, slopes), None if error is None else h * error)

    def march(self, field: ActingField, times: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> Iterator[Tensor]:
        """The states after every step; the shape of the field's values is checked in the first."""
        function = field
        for h, nodes in stage_grid(self.tableau, times):
            slopes = stages(self.tableau, function, h, nodes, z, args)
            z, function = advance(z, h, self.tableau.b, slopes), field.function
            yield z


def stages(
    tableau: Tableau,
    function: Callable[..., Tensor],
    h: float | Tensor,
    nodes: Sequence[Tensor],
    z: Tensor,
    args: tuple[Tensor, ...],
) -> list[Tensor]:
    """Slopes of a step.

    Args:
        tableau: coefficients.
        function: the field.
        h: step size, a number or a tensor that broadcasts to z.
        nodes: times of the stages.
        z: state at the start.
        args: further inputs of the field.
    Returns:
        k_i.
    """
    slopes: list[Tensor] = []
    for t, row in zip(nodes, tableau.a, strict=True):
        slopes.append(function(t, advance(z, h, row, slopes), *args))
    return slopes


Steps = list[tuple[float | Tensor, list[Tensor]]]


def stage_grid(tableau: Tableau, times: Tensor) -> Steps:
    """Step size and times of the stages, for every step of a grid.

    Args:
        tableau: for its nodes c.
        times: shape (n,).
    Returns:
        n - 1 pairs (h, the scalars t + c_i h); h is a number unless `times` requires a gradient or is being traced.
    """
    steps, distinct = times[1:] - times[:-1], sorted(set(tableau.c))
    c = torch.tensor(distinct, dtype=times.dtype, device=times.device)
    nodes = (times[:-1, None] + c * steps[:, None]).flatten().unbind()
    sizes = steps.unbind() if times.requires_grad or is_traced(times) else steps.tolist()
    places, s = [distinct.index(x) for x in tableau.c], len(distinct)
    return [(h, [nodes[k * s + i] for i in places]) for k, h in enumerate(sizes)]


def advance(z: Tensor, h: float | Tensor, weights: tuple[float, ...], slopes: Sequence[Tensor]) -> Tensor:
    """z + h sum_j w_j k_j

    Args:
        z: states.
        h: step size, a number or a tensor that broadcasts to z.
        weights: w_j.
        slopes: k_j, at least as many.
    Returns:
        states.
    """
    if isinstance(h, Tensor):
        total = combination(weights, slopes)
        return z if total is None else torch.addcmul(z, h, total)
    for weight, members in _by_weight(weights):
        total = slopes[members[0]]
        for j in members[1:]:
            total = total + slopes[j]
        z = torch.add(z, total, alpha=h * weight)
    return z


def combination(weights: tuple[float, ...], slopes: Sequence[Tensor]) -> Tensor | None:
    """sum_j w_j k_j

    Args:
        weights: w_j.
        slopes: k_j, at least as many.
    Returns:
        shape of the slopes; None where every weight is zero.
    """
    total: Tensor | None = None
    for w, k in zip(weights, slopes, strict=False):
        if w:
            total = w * k if total is None else torch.add(total, k, alpha=w)
    return total


@cache
def _by_weight(weights: tuple[float, ...]) -> tuple[tuple[float, tuple[int, ...]], ...]:
    """The distinct weights but zero, each with its slopes."""
    groups: dict[float, list[int]] = {}
    for j, w in enumerate(weights):
        if w:
            groups.setdefault(w, []).append(j)
    return tuple((w, tuple(members)) for w, members in groups.items())
