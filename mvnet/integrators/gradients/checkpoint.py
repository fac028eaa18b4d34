"""Gradients with states kept every so many steps; what lies between is computed twice.

With a checkpoint every sqrt(N) of N steps, sqrt(N) states and the graphs of sqrt(N) steps are in memory at a time.
Source: Griewank, Optim. Methods Softw. 1 (1992) 35; Chen, Xu, Zhang, Guestrin, arXiv:1604.06174 (2016).
"""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recompute

from mvnet.errors import MvnetError
from mvnet.integrators.gradients.problem import Problem
from mvnet.integrators.loop import solve


def checkpoint(problem: Problem) -> Tensor:
    """Solve segment by segment.

    Args:
        problem: what to solve.
    Returns:
        its states.
    Raises:
        MvnetError: the method chooses its own steps or carries a state; `every` is no positive number.
    """
    problem.check_single_steps("checkpoint")
    steps = len(problem.times) - 1
    every = max(1, isqrt(steps)) if problem.every is None else problem.every
    if every < 1:
        raise MvnetError(f"every: found {every}, expected at least one step")

    def segment(times: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> Tensor:
        return solve(problem.method, problem.field, times, z, args, problem.save)

    z, parts = problem.z0, [problem.z0[None]]
    for first in range(0, steps, every):
        times = problem.times[first : first + every + 1]
        states = recompute(segment, times, z, problem.args, use_reentrant=False)
        assert isinstance(states, Tensor)
        if problem.save == "last":
            z = states
        else:
            z = states[-1]
            parts.append(states[1:])
    return torch.cat(parts) if problem.save == "all" else z
