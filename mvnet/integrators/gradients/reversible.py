"""Gradients in memory that does not grow with the number of steps: the backward pass takes the steps back.

A symmetric method (Verlet) is inverted by a step of -h. An explicit Runge-Kutta method with increment Psi_h(t, z) is
coupled with a copy of itself, which makes it invertible in closed form whatever the field:

    y_1 = c y + (1 - c) z + Psi_h(t, z),        z_1 = z - Psi_-h(t + h, y_1),        c = 0.999

The solution is y: that of the method up to its own error, not the same numbers as with the other modes. The second
solution grows like exp(-nu t) on a field with one-sided Lipschitz constant nu < 0 and spoils solution and gradient, so
that such fields are refused.
Source: McCallum, Foster, Efficient, accurate and stable gradients for neural ODEs, arXiv:2410.11648 (2024).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.integrators.explicit import RungeKutta, advance, stage_grid, stages
from mvnet.integrators.gradients.adjoint import Scheme, solve_with
from mvnet.integrators.gradients.problem import Problem
from mvnet.integrators.gradients.tape import Tape
from mvnet.integrators.loop import march

COUPLING = 0.999


def reversible(problem: Problem) -> Tensor:
    """Solve, keeping the end alone.

    Args:
        problem: what to solve.
    Returns:
        its states.
    Raises:
        MvnetError: a field whose one-sided bound is negative, a method that cannot be taken back.
    """
    bound = getattr(problem.field.function, "one_sided_bound", lambda: None)()
    if bound is not None and bound < 0:
        found = f"{type(problem.field.function).__name__} of one-sided bound {float(bound):.3g}"
        raise MvnetError(f"field: found a {found} with gradient 'reversible', expected a bound of at least 0")
    problem.check_single_steps("reversible")
    if isinstance(problem.method, RungeKutta):
        scheme: Scheme = Coupled(problem.method)
    elif "reversible" in problem.method.preserves:
        scheme = Inverted()
    else:
        problem.refuse("reversible", "an explicit Runge-Kutta method or one that preserves 'reversible'")
    return solve_with(scheme, problem)


class Coupled:
    """An explicit method and its copy; y and z at the end are kept.

    Args:
        method: the explicit method.
    """

    name = "reversible"

    def __init__(self, method: RungeKutta):
        self.tableau = method.tableau

    def _increment(self, problem: Problem, h: float | Tensor, nodes: list[Tensor], z: Tensor) -> Tensor:
        """Psi_h(t, z)"""
        slopes = stages(self.tableau, problem.field.function, h, nodes, z, problem.args)
        return advance(torch.zeros_like(z), h, self.tableau.b, slopes)

    def forward(self, problem: Problem) -> tuple[Tensor, tuple[Tensor, ...]]:
        """y' and z' step by step"""
        times = problem.times.detach()
        y = z = problem.z0.detach()
        states = [y]
        ahead, back = stage_grid(self.tableau, times), stage_grid(self.tableau, times.flip(0))[::-1]
        for forth, home in zip(ahead, back, strict=True):
            y = (COUPLING * y).add_(z, alpha=1 - COUPLING).add_(self._increment(problem, *forth, z))
            z = z - self._increment(problem, *home, y)
            if problem.save == "all":
                states.append(y)
        y = y.clone() if len(times) == 1 else y
        return (torch.stack(states) if problem.save == "all" else y), (y, z)

    def backward(self, problem: Problem, kept: tuple[Tensor, ...], cotangent: Tensor, tape: Tape) -> Tensor:
        """Every step is taken back, and its graph used on the way."""
        (y, z), every, times = kept, problem.save == "all", problem.times.detach()
        of_y = cotangent[-1] if every else cotangent
        of_z = torch.zeros_like(of_y)
        ahead, back = stage_grid(self.tableau, times), stage_grid(self.tableau, times.flip(0))[::-1]
        for k in reversed(range(len(times) - 1)):
            # z_1 = z - Psi_-h(y_1):  z, then its cotangents
            second = tape.stages(self.tableau, *back[k], y)
            z = z + second.value.detach()
            of_y = of_y + tape.pull_step(second, -of_z, k, backwards=True)
            # y_1 = c y + (1 - c) z + Psi_h(z):  y, then its cotangents
            first = tape.stages(self.tableau, *ahead[k], z)
            y = (y - (1 - COUPLING) * z - first.value.detach()) / COUPLING
            of_z = of_z + (1 - COUPLING) * of_y + tape.pull_step(first, of_y, k)
            of_y = COUPLING * of_y
            if every:
                of_y = of_y + cotangent[k]
        return of_y + of_z


class Inverted:
    """A symmetric method: a step of -h undoes a step of h. The state at the end is kept."""

    name = "reversible"

    def forward(self, problem: Problem) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The method's own steps"""
        z, times = problem.z0.detach(), problem.times.detach()
        states = [z]
        for z in march(problem.method, problem.field, times, z, problem.args):  # noqa: B020
            if problem.save == "all":
                states.append(z)
        z = z.clone() if len(times) == 1 else z
        return (torch.stack(states) if problem.save == "all" else z), (z,)

    def backward(self, problem: Problem, kept: tuple[Tensor, ...], cotangent: Tensor, tape: Tape) -> Tensor:
        """z_1 -> z by a step of -h, then the graph of the step of h"""
        (z,), every, times = kept, problem.save == "all", problem.times.detach()
        w, method, field = cotangent[-1] if every else cotangent, problem.method, problem.field
        for k in reversed(range(len(times) - 1)):
            start, stop = times[k], times[k + 1]
            state = method.init(field, stop, z, problem.args)
            z = method.step(field, stop, start - stop, z, problem.args, state).z
            w = tape.pull_step(tape.step(method, start, stop - start, z), w, k)
            if every:
                w = w + cotangent[k]
        return w
