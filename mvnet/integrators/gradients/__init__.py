"""GRADIENTS: how the gradient of a solve is found, name -> mode; each differs in what it keeps in memory.

| mode                 | gradient             | memory for N steps               | works with                     |
|----------------------|----------------------|----------------------------------|--------------------------------|
| `discrete`           | exact                | N graphs                         | every method, every transform  |
| `checkpoint`         | exact                | sqrt(N) states, sqrt(N) graphs   | methods of single steps        |
| `symplectic_adjoint` | exact                | N states, 1 graph                | methods of single steps        |
| `reversible`         | exact up to rounding | 2 states, 1 graph                | explicit or reversible methods |
| `continuous`         | O(h^p) off           | 2 states, 1 graph                | explicit methods               |

A graph is what a step of the field keeps for its derivative. The last three repeat steps in the backward pass: the
field must give the same value twice, `create_graph=True` is refused, and so is a tensor that the field closes over
unless it is among `inputs`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.integrators.gradients.checkpoint import checkpoint
from mvnet.integrators.gradients.continuous import continuous
from mvnet.integrators.gradients.problem import Problem
from mvnet.integrators.gradients.reversible import reversible
from mvnet.integrators.gradients.symplectic_adjoint import symplectic_adjoint
from mvnet.integrators.loop import solve

__all__ = ["GRADIENTS", "Problem", "get_gradient"]


def discrete(problem: Problem) -> Tensor:
    """Through the steps, as autograd records them.

    Args:
        problem: what to solve.
    Returns:
        its states.
    """
    problem.refuse_settings("discrete", "every")
    return solve(problem.method, problem.field, problem.times, problem.z0, problem.args, problem.save)


GRADIENTS: dict[str, Callable[[Problem], Tensor]] = {
    "discrete": discrete,
    "checkpoint": checkpoint,
    "symplectic_adjoint": symplectic_adjoint,
    "reversible": reversible,
    "continuous": continuous,
}


def get_gradient(name: str) -> Callable[[Problem], Tensor]:
    """Look up a mode.

    Args:
        name: a key of `GRADIENTS`.
    Returns:
        the function that solves in this mode.
    Raises:
        MvnetError: unknown name; the message lists those that exist.
    """
    if name not in GRADIENTS:
        raise MvnetError(f"gradient: found {name!r}, expected one of {', '.join(GRADIENTS)}")
    return GRADIENTS[name]
