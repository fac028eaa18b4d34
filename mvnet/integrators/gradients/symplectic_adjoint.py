"""The gradient of the discrete solution from its states alone: every step is repeated in the backward pass.

For an explicit Runge-Kutta method the costate is then that of the partitioned symplectic pair, one vector-Jacobian
product for each stage; other methods are repeated step by step. Exact: it is what autograd computes, in another order.
Source: paper Theorem 3.2; Sanz-Serna, SIAM Rev. 58 (2016) 3; Matsubara, Miyatake, Yaguchi, NeurIPS (2021).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.integrators.explicit import RungeKutta, stage_grid
from mvnet.integrators.gradients.adjoint import solve_with
from mvnet.integrators.gradients.problem import Problem
from mvnet.integrators.gradients.tape import Tape
from mvnet.integrators.loop import march


def symplectic_adjoint(problem: Problem) -> Tensor:
    """Solve, keeping the states.

    Args:
        problem: what to solve.
    Returns:
        its states.
    """
    problem.check_single_steps(SymplecticAdjoint.name)
    return solve_with(SymplecticAdjoint(), problem)


class SymplecticAdjoint:
    """N states and the graph of one step."""

    name = "symplectic_adjoint"

    def forward(self, problem: Problem) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Solve, keeping the states."""
        z0 = problem.z0.detach()
        states = (z0, *march(problem.method, problem.field, problem.times.detach(), z0, problem.args))
        if problem.save == "last":
            return states[-1].clone() if len(states) == 1 else states[-1], states[:-1]
        stacked = torch.stack(states)
        return stacked, (stacked,)

    def backward(self, problem: Problem, kept: tuple[Tensor, ...], cotangent: Tensor, tape: Tape) -> Tensor:
        """From the last step to the first."""
        every = problem.save == "all"
        states, w = (kept[0], cotangent[-1]) if every else (kept, cotangent)
        times, method = problem.times.detach(), problem.method
        tableau = method.tableau if isinstance(method, RungeKutta) else None
        grid = stage_grid(tableau, times) if tableau else []
        for k in reversed(range(len(times) - 1)):
            if tableau:  # z_1 = z + increment
                w = w + tape.pull_step(tape.stages(tableau, *grid[k], states[k]), w, k)
            else:
                replay = tape.step(method, times[k], times[k + 1] - times[k], states[k])
                w = tape.pull_step(replay, w, k)
            w = w + cotangent[k] if every else w
        return w
