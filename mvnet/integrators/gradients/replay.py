"""A step once more, with the graph of every stage, and its vector-Jacobian product."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mvnet.integrators.explicit import advance
from mvnet.integrators.gradients.problem import Problem
from mvnet.integrators.gradients.tape import Tape
from mvnet.integrators.tableaus import Tableau


class Replay:
    """An explicit Runge-Kutta step, its stages cut apart: one vector-Jacobian product for each.

    With w the cotangent of the increment h sum_i b_i k_i, from the last stage to the first

        g_i = h ( b_i w + sum_{j > i} a_ji l_j ),      l_i = (df/dz)^T g_i,      cotangent of z: sum_i l_i

    Args:
        tape: evaluates the field.
        tableau: coefficients.
        h: step size.
        nodes: times of the stages.
        z: state at the start.
    Source: Hager, Numer. Math. 87 (2000) 247; Matsubara, Miyatake, Yaguchi, NeurIPS (2021); paper Theorem 3.2.
    """

    def __init__(self, tape: Tape, tableau: Tableau, h: float | Tensor, nodes: Sequence[Tensor], z: Tensor):
        self.tape, self.tableau, self.h = tape, tableau, h
        self.stages: list[tuple[Tensor, Tensor, Tensor]] = []
        self.slopes: list[Tensor] = []
        for t, row in zip(nodes, tableau.a, strict=True):
            self.stages.append(tape.evaluate(t, advance(z, h, row, self.slopes)))
            self.slopes.append(self.stages[-1][2].detach())

    def end(self, z: Tensor) -> Tensor:
        """z + h sum_i b_i k_i

        Args:
            z: where the increment is added.
        Returns:
            states.
        """
        return advance(z, self.h, self.tableau.b, self.slopes)

    def pull(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """J^T w of the increment.

        Args:
            w: its cotangent.
        Returns:
            cotangents of z, of the time and of the step size.
        """
        a, b, c = self.tableau.a, self.tableau.b, self.tableau.c
        s, timed = len(b), self.tape.times is not None
        start = torch.zeros_like(w)
        of_t = of_h = torch.zeros((), dtype=w.dtype.to_real(), device=w.device)
        pulled: list[Tensor] = [start] * s
        for i in reversed(range(s)):
            above = tuple(a[j][i] for j in range(i + 1, s))
            if not (b[i] or any(above)):
                continue
            g = advance(w * (self.h * b[i]), self.h, above, pulled[i + 1 :])
            t, z, k = self.stages[i]
            pulled[i], at_t = self.tape.pull(k, (z, t), g)
            start = start + pulled[i]
            if timed:
                inner = inner_product(b[i] * w, self.slopes[i])
                for j in range(i):
                    inner = inner + a[i][j] * inner_product(pulled[i], self.slopes[j])
                of_t, of_h = of_t + at_t, of_h + c[i] * at_t + inner
        return start, of_t, of_h


def pull_step(
    problem: Problem, tape: Tape, t: Tensor, h: Tensor, z: Tensor, w: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """J^T w of a step of any method, from the graph of the whole step.

    Args:
        problem: whose method it is.
        tape: takes the gradients.
        t: time, a scalar.
        h: step size, a scalar.
        z: state at t.
        w: cotangent of the state at t + h.
    Returns:
        cotangents of z, of the time and of the step size.
    """
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        t, h = (x.detach().requires_grad_(tape.times is not None) for x in (t, h))
        state = problem.method.init(problem.field, t, z, tape.args)
        end = problem.method.step(problem.field, t, h, z, tape.args, state).z
    start, of_t, of_h = tape.pull(end, (z, t, h), w)
    return start, of_t, of_h


def inner_product(a: Tensor, b: Tensor) -> Tensor:
    """Re <a, b>

    Args:
        a, b: of shapes that broadcast.
    Returns:
        a scalar.
    """
    return (a.conj() * b).sum().real
