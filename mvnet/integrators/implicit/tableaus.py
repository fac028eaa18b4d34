"""Implicit Runge-Kutta tableaus as data.

    K_i = h f(t + c_i h, z + sum_j a_ij K_j),    z_1 = z + sum_i b_i K_i,    c_i = sum_j a_ij

Source: Hairer, Wanner, Solving Ordinary Differential Equations II (1996), section IV.5.
"""

from __future__ import annotations

from dataclasses import dataclass

from mvnet.errors import MvnetError


@dataclass(frozen=True)
class ImplicitTableau:
    """Coefficients of a method; `a` is square."""

    order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]

    def __post_init__(self) -> None:
        rows = [len(row) for row in self.a]
        if rows != [len(self.b)] * len(self.b):
            raise MvnetError(f"a: found rows of lengths {rows}, expected {len(self.b)} of length {len(self.b)}")

    @property
    def c(self) -> tuple[float, ...]:
        """Nodes, in units of the step."""
        return tuple(float(sum(row)) for row in self.a)


_3, _6, _15 = 3**0.5, 6**0.5, 15**0.5

IMPLICIT_EULER = ImplicitTableau(1, ((1.0,),), (1.0,))
IMPLICIT_MIDPOINT = ImplicitTableau(2, ((1 / 2,),), (1.0,))
GAUSS4 = ImplicitTableau(4, ((1 / 4, 1 / 4 - _3 / 6), (1 / 4 + _3 / 6, 1 / 4)), (1 / 2, 1 / 2))
GAUSS6 = ImplicitTableau(
    6,
    (
        (5 / 36, 2 / 9 - _15 / 15, 5 / 36 - _15 / 30),
        (5 / 36 + _15 / 24, 2 / 9, 5 / 36 - _15 / 24),
        (5 / 36 + _15 / 30, 2 / 9 + _15 / 15, 5 / 36),
    ),
    (5 / 18, 4 / 9, 5 / 18),
)
RADAU_IA3 = ImplicitTableau(3, ((1 / 4, -1 / 4), (1 / 4, 5 / 12)), (1 / 4, 3 / 4))
RADAU_IA5 = ImplicitTableau(
    5,
    (
        (1 / 9, (-1 - _6) / 18, (-1 + _6) / 18),
        (1 / 9, (88 + 7 * _6) / 360, (88 - 43 * _6) / 360),
        (1 / 9, (88 + 43 * _6) / 360, (88 - 7 * _6) / 360),
    ),
    (1 / 9, (16 + _6) / 36, (16 - _6) / 36),
)
RADAU_IIA3 = ImplicitTableau(3, ((5 / 12, -1 / 12), (3 / 4, 1 / 4)), (3 / 4, 1 / 4))
RADAU_IIA5 = ImplicitTableau(
    5,
    (
        ((88 - 7 * _6) / 360, (296 - 169 * _6) / 1800, (-2 + 3 * _6) / 225),
        ((296 + 169 * _6) / 1800, (88 + 7 * _6) / 360, (-2 - 3 * _6) / 225),
        ((16 - _6) / 36, (16 + _6) / 36, 1 / 9),
    ),
    ((16 - _6) / 36, (16 + _6) / 36, 1 / 9),
)
LOBATTO_IIIC2 = ImplicitTableau(2, ((1 / 2, -1 / 2), (1 / 2, 1 / 2)), (1 / 2, 1 / 2))
LOBATTO_IIIC4 = ImplicitTableau(
    4, ((1 / 6, -1 / 3, 1 / 6), (1 / 6, 5 / 12, -1 / 12), (1 / 6, 2 / 3, 1 / 6)), (1 / 6, 2 / 3, 1 / 6)
)
