"""Explicit Runge-Kutta tableaus as data.

    u_i = sum_j a_ij k_j,    k_i = h f(t + c_i h, z + u_i),    z_1 = z + sum_i b_i k_i,    c_i = sum_j a_ij

Source: Hairer, Lubich, Wanner, Geometric Numerical Integration (2006), section II.1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mvnet.errors import MvnetError


@dataclass(frozen=True)
class Tableau:
    """Coefficients of an explicit method; row i of `a` holds its i entries left of the diagonal."""

    order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]

    def __post_init__(self) -> None:
        rows = [len(row) for row in self.a]
        if rows != list(range(len(self.b))):
            raise MvnetError(f"a: found rows of lengths {rows}, expected 0, 1, ... for {len(self.b)} weights b")

    @property
    def c(self) -> tuple[float, ...]:
        """Nodes, in units of the step."""
        return tuple(float(sum(row)) for row in self.a)


EULER = Tableau(1, ((),), (1.0,))
MIDPOINT = Tableau(2, ((), (1 / 2,)), (0.0, 1.0))
HEUN = Tableau(2, ((), (1.0,)), (1 / 2, 1 / 2))
KUTTA3 = Tableau(3, ((), (1 / 2,), (-1.0, 2.0)), (1 / 6, 2 / 3, 1 / 6))
RK4 = Tableau(4, ((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))


def combine(coefficients: Sequence[float], slopes: Sequence[Tensor]) -> Tensor | None:
    """sum_j c_j k_j

    Args:
        coefficients: c_j.
        slopes: k_j, equally many.
    Returns:
        shape of the slopes; None where every coefficient is zero.
    """
    total: Tensor | None = None
    for c, k in zip(coefficients, slopes, strict=True):
        if c:
            term = k if c == 1 else c * k
            total = term if total is None else total + term
    return total
