"""How points move on a manifold: retractions, vectors carried along, frames; flows of a Lie algebra."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg.polar import polar


class Motion:
    """Defaults of `Manifold`; a subclass overrides those for which it has something cheaper."""

    @property
    def retraction_order(self) -> float:
        """Order in |v| to which `retract` agrees with `exp`: 1, 2, or inf where it is exp."""
        return math.inf

    def retract(self: Any, x: Tensor, v: Tensor) -> Tensor:
        """A cheap step from x along v that agrees with exp(x, v) to `retraction_order`.

        Args:
            x, v: points and tangent vectors at them, shape (..., *point_shape).
        Returns:
            points, same shape.
        """
        return self.exp(x, v)

    def move(self: Any, x: Tensor, v: Tensor, *vectors: Tensor, geodesic: bool = False) -> tuple[Tensor, ...]:
        """A step from x along v, and tangent vectors at x carried to the point that it reaches.

        Args:
            x, v: points and tangent vectors at them, shape (..., *point_shape).
            *vectors: further tangent vectors at x.
            geodesic: the exponential map and parallel transport along the geodesic; else `retract`, and what is as
                good for an optimiser, by default the transport along the shortest geodesic to the point reached.
        Returns:
            the points, and the vectors at them.
        """
        y = self.exp(x, v) if geodesic else self.retract(x, v)
        return y, *(self.transport(x, y, u) for u in vectors)

    def coordinates(self, x: Tensor, v: Tensor) -> Tensor:
        """Numbers of which a tangent vector is made, in a frame that is given at every point; by default its entries.

        Args:
            x, v: points and tangent vectors at them, shape (..., *point_shape).
        Returns:
            shape (..., *any).
        """
        return v

    def from_coordinates(self: Any, x: Tensor, c: Tensor) -> Tensor:
        """The tangent vector of some numbers, by default the nearest one.

        Args:
            x: points, shape (..., *point_shape).
            c: numbers in the frame at x, shape (..., *any).
        Returns:
            tangent vectors at x.
        """
        return self.to_tangent(x, c)


def evolve(theta: Tensor, m: Tensor, h: float = 1.0, how: str = "exp") -> Tensor:
    """One step of d theta / dt = M theta on a matrix group or a homogeneous manifold: theta <- phi(h M) theta.

    "exp" is exact for a constant M, in every group. The others need no exponential, and agree with it to second order,
    "qr" to first: (1 - hM/2)^-1 (1 + hM/2) stays in O(n), SO(n), Sp(2n) and SE(n), and on what these move;
    "qr" and "polar", the orthonormal factors of 1 + hM, stay in O(n) and on what it moves.

    Args:
        theta: shape (..., n, p).
        m: elements of the Lie algebra, shape (..., n, n).
        h: step size.
        how: "exp", "cayley", "qr" or "polar".
    Returns:
        shape (..., n, p).
    Raises:
        MvnetError: how is another word.
    Source: paper (59) and what follows it.
    """
    if how not in EVOLUTIONS:
        raise MvnetError(f"how: found {how!r}, expected one of {', '.join(map(repr, EVOLUTIONS))}")
    return EVOLUTIONS[how](h * m) @ theta


def _identity(m: Tensor) -> Tensor:
    return torch.eye(m.shape[-1], dtype=m.dtype, device=m.device)


def _cayley(m: Tensor) -> Tensor:
    return torch.linalg.solve(_identity(m) - m / 2, _identity(m) + m / 2)


def _qr(m: Tensor) -> Tensor:
    q, r = torch.linalg.qr(_identity(m) + m)
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


EVOLUTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": torch.linalg.matrix_exp,
    "cayley": _cayley,
    "qr": _qr,
    "polar": lambda m: polar(_identity(m) + m),
}
