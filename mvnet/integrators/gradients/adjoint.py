"""A solve whose backward pass is written by hand."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.integrators.gradients.problem import Problem
from mvnet.integrators.gradients.tape import Tape, check_no_ancestors, check_sources, sources_of
from mvnet.integrators.times import is_traced


class Scheme(Protocol):
    """A forward solve, what it keeps, and the backward solve."""

    name: str

    def forward(self, problem: Problem) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Solve.

        Args:
            problem: what to solve; nothing is recorded.
        Returns:
            the states, and what the backward solve needs: the states themselves, or other tensors.
        """
        ...

    def backward(self, problem: Problem, kept: tuple[Tensor, ...], cotangent: Tensor, tape: Tape) -> Tensor:
        """Solve for the gradient.

        Args:
            problem: what was solved.
            kept: what `forward` kept.
            cotangent: of the states.
            tape: takes the gradients of times, arguments, parameters and inputs.
        Returns:
            the gradient of z0.
        """
        ...


def solve_with(scheme: Scheme, problem: Problem) -> Tensor:
    """States of a problem, their gradient by a scheme.

    Args:
        scheme: how.
        problem: what to solve.
    Returns:
        its states.
    Raises:
        MvnetError: inside a transform of torch.func; the field closes over tensors that are not known.
    """
    problem.refuse_settings(scheme.name, "every")
    if any(is_traced(x) for x in (problem.z0, problem.times, *problem.args)):
        raise MvnetError(f"gradient: found {scheme.name!r} inside a transform such as vmap, expected 'discrete'")
    sources = sources_of(problem)
    if torch.is_grad_enabled():
        check_sources(problem, scheme.name, sources)
        check_no_ancestors(sources)
    return _Solve.apply(scheme, problem, problem.z0, problem.times, *problem.args, *sources)  # pyright: ignore


class _Solve(torch.autograd.Function):
    """Arguments: scheme, problem, z0, times, args, then parameters and inputs."""

    @staticmethod
    def forward(ctx: Any, scheme: Scheme, problem: Problem, *tensors: Tensor) -> Tensor:
        states, kept = scheme.forward(problem)
        ctx.scheme, ctx.problem, ctx.count = scheme, problem, len(tensors)
        ctx.save_for_backward(*tensors, *kept)
        return states

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise MvnetError(f"create_graph: found True with gradient {ctx.scheme.name!r}, expected 'discrete'")
        saved = ctx.saved_tensors
        problem, kept = ctx.problem, saved[ctx.count :]
        tape = Tape(problem, saved[2 + len(problem.args) : ctx.count])
        start = ctx.scheme.backward(problem, kept, cotangent, tape)
        return None, None, start, tape.times, *tape.gradients
