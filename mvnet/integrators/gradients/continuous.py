"""The gradient of the exact flow, discretised: optimise, then discretise.

    p' = -(df/dz)^T p,        p(T) = dL/dz(T),        dL/dtheta = int (df/dtheta)^T p dt

solved together with z' = f backwards in time by the same method. (The paper prints (12) and (28) with the other sign.)
It differs from the gradient of the numbers that were computed by the error of the method; where the flow contracts, the
solve backwards in time amplifies every error, and the gradient can be wrong altogether: a warning says so. With
save="all" the states are known and z starts afresh from each.
Source: paper Theorem 3.1; Chen, Rubanova, Bettencourt, Duvenaud, NeurIPS (2018).
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from mvnet.integrators.explicit import RungeKutta, advance, stage_grid
from mvnet.integrators.gradients.adjoint import solve_with
from mvnet.integrators.gradients.problem import Problem
from mvnet.integrators.gradients.tape import Tape, leaf
from mvnet.integrators.loop import solve


def continuous(problem: Problem) -> Tensor:
    """Solve, keeping the end alone.

    Args:
        problem: what to solve.
    Returns:
        its states.
    """
    if not isinstance(problem.method, RungeKutta):
        problem.refuse("continuous", "an explicit Runge-Kutta method")
    bound = getattr(problem.field.function, "one_sided_bound", lambda: None)()
    if bound is not None and bound < 0:
        warnings.warn(
            f"gradient 'continuous' with a field of one-sided bound {float(bound):.3g}: the solve backwards in time is "
            "unstable, 'symplectic_adjoint' is exact",
            stacklevel=3,
        )
    return solve_with(Continuous(problem.method), problem)


class Continuous:
    """State and costate backwards in time; the state at the end is kept.

    Args:
        method: the explicit method.
    """

    name = "continuous"

    def __init__(self, method: RungeKutta):
        self.tableau = method.tableau

    def forward(self, problem: Problem) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The method's own steps"""
        z0 = problem.z0.detach()
        states = solve(problem.method, problem.field, problem.times.detach(), z0, problem.args, problem.save)
        states = states.clone() if states is z0 else states
        return states, (states,)

    def backward(self, problem: Problem, kept: tuple[Tensor, ...], cotangent: Tensor, tape: Tape) -> Tensor:
        """From the last time to the first"""
        (states,), every, times = kept, problem.save == "all", problem.times.detach()
        z, p = (states[-1], cotangent[-1]) if every else (states, cotangent)
        back = stage_grid(self.tableau, times.flip(0))[::-1]
        if len(times) > 1:
            self._move_end(problem, tape, len(times) - 1, z, p)
        for k in reversed(range(len(times) - 1)):
            z, p = self._step(tape, *back[k], z, p)
            if every:
                z = states[k]
                if k:
                    self._move_end(problem, tape, k, z, cotangent[k])
            if k == 0:
                self._move_end(problem, tape, 0, z, -p)  # dz(T)/dt_0 = -Phi f(t_0, z_0)
            p = p + cotangent[k] if every else p
        return p

    def _step(self, tape: Tape, h: float | Tensor, nodes: list[Tensor], z: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """A step of size h < 0 for z and p; the integral over theta goes to the tape."""
        slopes: list[Tensor] = []
        falls: list[Tensor] = []
        for t, row, weight in zip(nodes, self.tableau.a, self.tableau.b, strict=True):
            with torch.enable_grad():
                at = leaf(advance(z, h, row, slopes))
                k = tape.field.function(t, at, *tape.args)
            costate = advance(p, h, row, falls)
            # (df/dz)^T p; the weight -h b_i belongs to the integral over theta alone
            (pulled,) = tape.pull(k, (at,), costate, scale=-h * weight)
            slopes.append(k.detach())
            falls.append(-pulled)
        return advance(z, h, self.tableau.b, slopes), advance(p, h, self.tableau.b, falls)

    def _move_end(self, problem: Problem, tape: Tape, index: int, z: Tensor, p: Tensor) -> None:
        """dL/dt = <p, f(t, z)> at an end of the interval or a time of output."""
        if tape.times is not None:
            slope = problem.field(problem.times[index].detach(), z, *problem.args)
            tape.times[index] += (p.conj() * slope).sum().real
