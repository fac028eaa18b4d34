"""The two kinds of curves that a recording holds: rotations of joints in SO(3), positions in R^3.

Both are seen through displacements in the frame of a state z_t, and moved by them:

    SO(3)   displacement(R, M) = vee skew(R^T M)     move(R, v) = R exp(v)     R -> g R h: v -> h^T v
    R^3     displacement(x, m) = m - x               move(x, v) = x + v        x -> g x + b: v -> g v

The displacement is linear: that of a weighted sum of values is the sum of theirs.

For a rotation M = R exp(u) the displacement is sin|u| u / |u|, and the displacement of an extrinsic mean is the
gradient of the mean squared chordal distance. What a network makes of norms and inner products of displacements does
not depend on g, h and b, which may be reflections.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from mvnet.linalg import so3
from mvnet.manifolds.actions import GroupAction, RotationAction, Translation


class CurveKind(ABC):
    """What one value of a curve is. Points: (..., T, *tail); planes: (..., D, T), the entries of the points.

    Attributes:
        tail: shape of one point.
        action: how an element of the Lie algebra acts on points, on the left.
    """

    tail: tuple[int, ...]
    action: GroupAction

    def planes(self, points: Tensor) -> Tensor:
        """Entries of points, time last.

        Args:
            points: shape (..., T, *tail).
        Returns:
            shape (..., D, T).
        """
        return points.flatten(-len(self.tail)).transpose(-1, -2)

    def points(self, planes: Tensor) -> Tensor:
        """Inverse of `planes`.

        Args:
            planes: shape (..., D, T).
        Returns:
            shape (..., T, *tail).
        """
        return planes.transpose(-1, -2).unflatten(-1, self.tail)

    @abstractmethod
    def displacement(self, state: Tensor, total: Tensor, mass: Tensor | float = 1.0) -> Tensor:
        """Weighted sum of the displacements of values from a state, in the frame of the state.

        Args:
            state: planes (N, D, T).
            total: weighted sums of values, (N, D, *extra, T).
            mass: sums of the weights, (N or 1, 1, *extra, T).
        Returns:
            shape (N, 3, *extra, T).
        """

    @abstractmethod
    def algebra(self, state: Tensor, v: Tensor) -> Tensor:
        """The element of the Lie algebra that moves a state by a displacement.

        Args:
            state: points (..., T, *tail).
            v: shape (..., 3, T).
        Returns:
            shape (..., T, 3), as `action` takes it.
        """

    def move(self, state: Tensor, v: Tensor) -> Tensor:
        """A state moved by displacements in its own frame.

        Args:
            state: points (..., T, *tail).
            v: shape (..., 3, T).
        Returns:
            points of the same shape.
        """
        return self.action.act(self.algebra(state, v), state)

    @abstractmethod
    def geodesic(self, a: Tensor, b: Tensor, share: Tensor) -> Tensor:
        """The point at a share of the geodesic from a to b.

        Args:
            a, b: points (..., *tail).
            share: shape (...), in [0, 1].
        Returns:
            points (..., *tail).
        """

    @abstractmethod
    def restore(self, points: Tensor) -> Tensor:
        """Points without the rounding errors that carried them off the manifold.

        Args:
            points: (..., *tail).
        Returns:
            the same shape.
        """

    @abstractmethod
    def square_distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Squared distance of points, chordal: smooth everywhere.

        Args:
            a, b: points (..., *tail).
        Returns:
            shape (...), rad^2 near 0 or the squared unit.
        """

    @abstractmethod
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Geodesic distance of points: the angle, or the length.

        Args:
            a, b: points (..., *tail).
        Returns:
            shape (...), radians or the unit.
        """


class RotationCurves(CurveKind):
    """Curves in SO(3)."""

    tail, action = (3, 3), RotationAction()

    def displacement(self, state: Tensor, total: Tensor, mass: Tensor | float = 1.0) -> Tensor:
        """v = vee skew(R^T M)"""
        # vee skew(R^T M) = 1/2 sum over rows k of m_k x r_k
        state = state.view(*state.shape[:2], *(1 for _ in total.shape[3:]), state.shape[-1]) / 2
        r, m = state.unflatten(1, (3, 3)).unbind(2), total.unflatten(1, (3, 3)).unbind(2)
        return torch.stack([(m[i] * r[j] - m[j] * r[i]).sum(1) for i, j in ((1, 2), (2, 0), (0, 1))], 1)

    def algebra(self, state: Tensor, v: Tensor) -> Tensor:
        """xi = R v, so that exp(xi) R = R exp(v)"""
        return (state @ v.transpose(-1, -2).unsqueeze(-1)).squeeze(-1)

    def geodesic(self, a: Tensor, b: Tensor, share: Tensor) -> Tensor:
        """a exp(share log(a^T b))"""
        return a @ so3.exp(share.unsqueeze(-1) * so3.log(a.mT @ b))

    def restore(self, points: Tensor) -> Tensor:
        """R (3 - R^T R) / 2, a Newton step for the polar factor"""
        return 1.5 * points - 0.5 * points @ (points.mT @ points)

    def square_distance(self, a: Tensor, b: Tensor) -> Tensor:
        """|a - b|^2 / 2 = 4 sin(angle / 2)^2"""
        return (a - b).square().sum((-2, -1)) / 2

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """angle = 2 asin(|a - b| / sqrt 8)"""
        return 2 * (self.square_distance(a, b) / 4).clamp(max=1).sqrt().asin()


class PositionCurves(CurveKind):
    """Curves in R^3, any unit."""

    tail, action = (3,), Translation()

    def displacement(self, state: Tensor, total: Tensor, mass: Tensor | float = 1.0) -> Tensor:
        """v = m - mass x"""
        return total - mass * state.view(*state.shape[:2], *(1 for _ in total.shape[3:]), state.shape[-1])

    def algebra(self, state: Tensor, v: Tensor) -> Tensor:
        """xi = v"""
        return v.transpose(-1, -2)

    def geodesic(self, a: Tensor, b: Tensor, share: Tensor) -> Tensor:
        """a + share (b - a)"""
        return torch.lerp(a, b, share.unsqueeze(-1))

    def restore(self, points: Tensor) -> Tensor:
        """x"""
        return points

    def square_distance(self, a: Tensor, b: Tensor) -> Tensor:
        """|a - b|^2"""
        return (a - b).square().sum(-1)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """|a - b|"""
        return torch.linalg.vector_norm(a - b, dim=-1)


def kind_of(values: Tensor, joints_dim: int = 1) -> CurveKind:
    """The kind of curves of an array.

    Args:
        values: shape (*before, *tail) with joints_dim + 2 dimensions before the tail: (3, 3) or (3,).
        joints_dim: number of dimensions before that of time.
    Returns:
        rotations for two dimensions after time, positions for one.
    """
    return RotationCurves() if values.ndim == joints_dim + 3 else PositionCurves()
