"""Lie groups that curves live in, as curves need them. Private: `mvnet.curves` is the public face.

A curve is (..., T, joints, *point); its displacements in the algebra are (..., T - 1, joints, c), c = 3 axis vector
components for rotations and 1 elsewhere. Everything is right-trivialised: y = exp(u) x.
To add a group: one line in GROUPS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.linalg.smooth import safe_sqrt
from mvnet.manifolds import Circle, Euclidean, Manifold, Rotations, wrap

SIDES = ("right", "left")


@dataclass(frozen=True)
class CurveGroup:
    """The operations of a Lie group that curves use, right-trivialised.

    Attributes:
        name: name of the group, as in GROUPS.
        manifold: where its points live.
        displacement: (x, y) -> log(y x^-1), shape (..., c).
        act: (u, x) -> exp(u) x.
        inverse: x -> x^-1.
        transfer: (x, u) -> Ad_x dexp_u as a matrix (..., c, c).
    """

    name: str
    manifold: Manifold
    displacement: Callable[[Tensor, Tensor], Tensor]
    act: Callable[[Tensor, Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    transfer: Callable[[Tensor, Tensor], Tensor]

    @property
    def time_dim(self) -> int:
        """The dim of a curve that counts its samples."""
        return -2 - self.manifold.point_ndim

    def velocities(self, c: Tensor, side: str = "right") -> Tensor:
        """Displacements between samples: log(c_(i+1) c_i^-1), or log(c_i^-1 c_(i+1)) for side "left".

        Args:
            c: curve (..., T, joints, *point).
            side: "right" or "left".
        Returns:
            shape (..., T - 1, joints, c), radians for angles.
        """
        last = c.shape[self.time_dim] - 1
        x, y = c.narrow(self.time_dim, 0, last), c.narrow(self.time_dim, 1, last)
        if side == "left":  # the right-trivialised displacement from c_(i+1)^-1 to c_i^-1
            return self.displacement(self.inverse(y), self.inverse(x))
        return self.displacement(x, y)

    def trace(self, start: Tensor, u: Tensor, side: str = "right") -> Tensor:
        """The curve with given displacements.

        Args:
            start: first point, shape (..., joints, *point).
            u: displacements, shape (..., T - 1, joints, c).
            side: "right" or "left".
        Returns:
            shape (..., T, joints, *point).
        """
        points = [start]
        for step in u.unbind(-3):
            if side == "left":
                points.append(self.inverse(self.act(-step, self.inverse(points[-1]))))
            else:
                points.append(self.act(step, points[-1]))
        points[0] = start.expand_as(points[-1])
        return torch.stack(points, self.time_dim)

    def check(self, c: Tensor, name: str, least: int = 2) -> int:
        """Refuse what is not a curve of this group.

        Args:
            c: any tensor.
            name: name of the argument, for the message.
            least: smallest number of samples.
        Returns:
            number of samples.
        Raises:
            MvnetError: shape or dtype of no curve, or fewer samples.
        """
        shape, point = tuple(c.shape), self.manifold.point_shape
        if len(shape) < 2 + len(point) or shape[len(shape) - len(point) :] != point:
            wanted = ", ".join(["...", "T", "joints", *map(str, point)])
            raise MvnetError(f"{name}: found shape {shape}, expected ({wanted}) for group {self.name!r}")
        if not c.is_floating_point():
            raise MvnetError(f"{name}: found dtype {c.dtype}, expected a real floating dtype")
        if shape[self.time_dim] < least:
            raise MvnetError(f"{name}: found {shape[self.time_dim]} samples, expected at least {least}")
        return shape[self.time_dim]


def _ones(x: Tensor, u: Tensor) -> Tensor:
    return torch.ones_like(u).unsqueeze(-1)


def _rotation_transfer(x: Tensor, u: Tensor) -> Tensor:
    axes = torch.eye(3, dtype=u.dtype, device=u.device)
    return x @ so3.dexp(u.unsqueeze(-2), axes).mT  # columns dexp_u(e_k), Ad_x = x


GROUPS = {
    group.name: group
    for group in (
        CurveGroup(
            "rotations",
            Rotations(),
            lambda x, y: so3.log(y @ x.mT),
            lambda u, x: so3.exp(u) @ x,
            lambda x: x.mT,
            _rotation_transfer,
        ),
        CurveGroup(
            "circle",
            Circle(),
            lambda x, y: wrap(y - x).unsqueeze(-1),
            lambda u, x: wrap(x + u.squeeze(-1)),
            torch.neg,
            _ones,
        ),
        CurveGroup(
            "vectors",
            Euclidean(),
            lambda x, y: (y - x).unsqueeze(-1),
            lambda u, x: x + u.squeeze(-1),
            torch.neg,
            _ones,
        ),
    )
}


def find_group(name: str) -> CurveGroup:
    """The group of this name.

    Args:
        name: a key of GROUPS.
    Returns:
        the group.
    Raises:
        MvnetError: no group has this name.
    """
    if name not in GROUPS:
        raise MvnetError(f"group: found {name!r}, expected one of {', '.join(GROUPS)}")
    return GROUPS[name]


def check_side(side: str) -> None:
    """Refuse what is not in SIDES.

    Args:
        side: "right" or "left".
    Raises:
        MvnetError: another side.
    """
    if side not in SIDES:
        raise MvnetError(f"side: found {side!r}, expected one of {', '.join(SIDES)}")


def scaled_root(a: Tensor) -> Tensor:
    """a / sqrt|a|, the norm over joints and components together; 0 at 0, where its gradient is 0.

    Args:
        a: shape (..., joints, c).
    Returns:
        shape of a.
    """
    size = safe_sqrt(a.square().sum((-2, -1), keepdim=True))
    moving = size > 0
    return a / safe_sqrt(torch.where(moving, size, 1.0))


def scaled_square(q: Tensor) -> Tensor:
    """q |q|, the inverse of `scaled_root`.

    Args:
        q: shape (..., joints, c).
    Returns:
        shape of q.
    """
    return q * safe_sqrt(q.square().sum((-2, -1), keepdim=True))
