"""Explicit Runge-Kutta tableaus as data.

    u_i = sum_j a_ij k_j,    k_i = h f(t + c_i h, z + u_i),    z_1 = z + sum_i b_i k_i,    c_i = sum_j a_ij

An embedded method of the same stages estimates the local error, sum_i e_i k_i with e = b - b_embedded.

Source: Hairer, Lubich, Wanner, Geometric Numerical Integration (2006), section II.1.1; Hairer, Norsett, Wanner, Solving
Ordinary Differential Equations I (1993), sections II.1, II.4 and II.5; Shu, Osher, J. Comput. Phys. 77 (1988) 439
(SSP3); Bogacki, Shampine, Appl. Math. Lett. 2 (1989) 321; Dormand, Prince, J. Comput. Appl. Math. 6 (1980) 19;
Tsitouras, Comput. Math. Appl. 62 (2011) 770.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mvnet.errors import MvnetError


@dataclass(frozen=True)
class Tableau:
    """Coefficients of an explicit method; row i of `a` holds its i entries left of the diagonal.

    `error` holds e, or nothing; `embedded_order` is that of the embedded method.
    """

    order: int
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    error: tuple[float, ...] = ()
    embedded_order: int = 0

    def __post_init__(self) -> None:
        rows = [len(row) for row in self.a]
        if rows != list(range(len(self.b))):
            raise MvnetError(f"a: found rows of lengths {rows}, expected 0, 1, ... for {len(self.b)} weights b")
        if len(self.error) not in (0, len(self.b)):
            raise MvnetError(f"error: found {len(self.error)} weights, expected {len(self.b)} or none")

    @property
    def c(self) -> tuple[float, ...]:
        """Nodes, in units of the step."""
        return tuple(float(sum(row)) for row in self.a)

    @property
    def first_same_as_last(self) -> bool:
        """Whether the last stage is the slope at the end of the step, the first one of the next."""
        return bool(self.a) and self.b == (*self.a[-1], 0.0)


EULER = Tableau(1, ((),), (1.0,))
MIDPOINT = Tableau(2, ((), (1 / 2,)), (0.0, 1.0))
HEUN = Tableau(2, ((), (1.0,)), (1 / 2, 1 / 2))
KUTTA3 = Tableau(3, ((), (1 / 2,), (-1.0, 2.0)), (1 / 6, 2 / 3, 1 / 6))
SSP3 = Tableau(3, ((), (1.0,), (1 / 4, 1 / 4)), (1 / 6, 1 / 6, 2 / 3))
RK4 = Tableau(4, ((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
RK38 = Tableau(4, ((), (1 / 3,), (-1 / 3, 1.0), (1.0, -1.0, 1.0)), (1 / 8, 3 / 8, 3 / 8, 1 / 8))

_BOSH3 = (2 / 9, 1 / 3, 4 / 9)
BOSH3 = Tableau(
    order=3,
    a=((), (1 / 2,), (0.0, 3 / 4), _BOSH3),
    b=(*_BOSH3, 0.0),
    error=(2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8),
    embedded_order=2,
)
_DOPRI5 = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
DOPRI5 = Tableau(
    order=5,
    a=(
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        _DOPRI5,
    ),
    b=(*_DOPRI5, 0.0),
    error=(71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    embedded_order=4,
)
_TSIT5 = (0.09646076681806523, 0.01, 0.4798896504144996, 1.379008574103742, -3.290069515436081, 2.324710524099774)
TSIT5 = Tableau(
    order=5,
    a=(
        (),
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (5.86145544294642, -12.92096931784711, 8.159367898576159, -0.071584973281401, -0.028269050394068383),
        _TSIT5,
    ),
    b=(*_TSIT5, 0.0),
    error=(
        -0.00178001105222577714,
        -0.0008164344596567469,
        0.007880878010261995,
        -0.1447110071732629,
        0.5823571654525552,
        -0.45808210592918697,
        1 / 66,
    ),
    embedded_order=4,
)


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
