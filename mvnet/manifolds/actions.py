"""Group actions: how an element of a Lie algebra acts on a point.

Conventions, everywhere: left action, right-trivialised. A field gives xi(t, z) in the Lie algebra, the flow
is z' = xi . z, a step is exp(xi) . z. On matrices [u, v] = u v - v u; on axis vectors of so(3) it is u x v.

| action              | z                      | xi                     | exp(xi) . z                  |
|---------------------|------------------------|------------------------|------------------------------|
| `Translation`       | any shape              | same shape             | z + xi                       |
| `CircleAction`      | angles (...), radians  | angular velocity (...) | z + xi, wrapped to (-pi, pi] |
| `RotationAction`    | matrices (..., 3, 3)   | axis vectors (..., 3)  | exp(hat xi) z                |
| `RigidMotionAction` | [R, m] (..., 3, 4)     | twists (..., 6)        | see `rigid_motions`          |
| `Congruence`        | SPD (..., n, n)        | gl(n) (..., n, n)      | A z A^T, A = exp(xi)         |
| `Congruence(1)`     | SPD planes (B, 6, ...) | gl(3) (B, 9, ...)      | the same, on planes          |

A new action is one subclass of `GroupAction`.
Source: paper section 2.4.3; Iserles et al., Lie-group methods, Acta Numerica 9 (2000) 215.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import gl3, so3, sym3
from mvnet.manifolds.circle import wrap

# dexpinv_u = sum_k B_k / k! ad_u^k, B_k the Bernoulli numbers: Hairer, Lubich, Wanner (2006), eq. III.4.11
_BERNOULLI = (1.0, -1 / 2, 1 / 12, 0.0, -1 / 720)
MOST_COMMUTATORS = len(_BERNOULLI) - 1


class GroupAction(ABC):
    """A Lie group that acts on points, given through its Lie algebra. Shapes: see the table of the module."""

    @abstractmethod
    def act(self, xi: Tensor, z: Tensor) -> Tensor:
        """exp(xi) . z

        Args:
            xi: elements of the algebra.
            z: points.
        Returns:
            points, of the broadcast shape.
        """

    @abstractmethod
    def cay_act(self, xi: Tensor, z: Tensor) -> Tensor:
        """cay(xi) . z with cay(u) = (I - u/2)^-1 (I + u/2)

        Args:
            xi: elements of the algebra without the eigenvalue 2.
            z: points.
        Returns:
            points, of the broadcast shape.
        """

    @abstractmethod
    def bracket(self, a: Tensor, b: Tensor) -> Tensor:
        """Lie bracket [a, b].

        Args:
            a, b: elements of the algebra.
        Returns:
            elements of the algebra, of the broadcast shape.
        """

    @abstractmethod
    def dcayinv(self, u: Tensor, v: Tensor) -> Tensor:
        """(I - u/2) v (I + u/2): inverse of the right-trivialised differential of cay, exact.

        Args:
            u: where the differential is taken, in the algebra.
            v: its argument, in the algebra.
        Returns:
            elements of the algebra, of the broadcast shape.
        """

    @abstractmethod
    def algebra_shape(self, z: Tensor) -> tuple[int, ...]:
        """Shape of xi.

        Args:
            z: points.
        Returns:
            shape of one element of the algebra for every point.
        Raises:
            MvnetError: z is not in the layout of the action.
        """

    def dexpinv(self, u: Tensor, v: Tensor, order: int) -> Tensor:
        """Inverse of the right-trivialised differential of exp, truncated.

        dexpinv_u(v) = v - [u, v]/2 + [u, [u, v]]/12 - [u, [u, [u, [u, v]]]]/720 + ...

        Args:
            u: where the differential is taken, in the algebra.
            v: its argument, in the algebra.
            order: largest number of nested commutators.
        Returns:
            elements of the algebra, of the broadcast shape.
        Raises:
            MvnetError: order is not in 0, ..., `MOST_COMMUTATORS`.
        """
        if not 0 <= order <= MOST_COMMUTATORS:
            raise MvnetError(f"order: found {order} commutators, expected 0 to {MOST_COMMUTATORS}")
        total, nested = v, v
        for coefficient in _BERNOULLI[1 : order + 1]:
            nested = self.bracket(u, nested)
            if coefficient:
                total = total + coefficient * nested
        return total


class Translation(GroupAction):
    """R^n on itself: every Lie-group method becomes the Runge-Kutta method of its tableau."""

    def act(self, xi: Tensor, z: Tensor) -> Tensor:
        """z + xi"""
        return z + xi

    def cay_act(self, xi: Tensor, z: Tensor) -> Tensor:
        """z + xi"""
        return z + xi

    def bracket(self, a: Tensor, b: Tensor) -> Tensor:
        """0"""
        return torch.zeros_like(a + b)

    def dexpinv(self, u: Tensor, v: Tensor, order: int) -> Tensor:
        """v"""
        return v

    def dcayinv(self, u: Tensor, v: Tensor) -> Tensor:
        """v"""
        return v

    def algebra_shape(self, z: Tensor) -> tuple[int, ...]:
        """The shape of z."""
        return tuple(z.shape)


class CircleAction(Translation):
    """SO(2) on S^1; angles in radians, (-pi, pi] after every step."""

    def act(self, xi: Tensor, z: Tensor) -> Tensor:
        """wrap(z + xi)"""
        return wrap(z + xi)

    def cay_act(self, xi: Tensor, z: Tensor) -> Tensor:
        """wrap(z + 2 arctan(xi / 2)), the angle of cay(xi J), J = [[0, -1], [1, 0]]."""
        return wrap(z + 2 * torch.atan(xi / 2))

    def dcayinv(self, u: Tensor, v: Tensor) -> Tensor:
        """(1 + u^2 / 4) v"""
        return (1 + u * u / 4) * v


class RotationAction(GroupAction):
    """SO(3) on itself by left multiplication; xi in axis vectors, radians."""

    def act(self, xi: Tensor, z: Tensor) -> Tensor:
        """exp(hat xi) z"""
        return so3.exp(xi) @ z

    def cay_act(self, xi: Tensor, z: Tensor) -> Tensor:
        """cay(hat xi) z"""
        return so3.cayley(xi) @ z

    def bracket(self, a: Tensor, b: Tensor) -> Tensor:
        """a x b"""
        return torch.linalg.cross(*torch.broadcast_tensors(a, b))

    def dcayinv(self, u: Tensor, v: Tensor) -> Tensor:
        """v - u x v / 2 + (u . v) u / 4, since hat(u) hat(v) hat(u) = -(u . v) hat(u)"""
        return v - self.bracket(u, v) / 2 + (u * v).sum(-1, keepdim=True) * u / 4

    def algebra_shape(self, z: Tensor) -> tuple[int, ...]:
        """(..., 3); MvnetError unless z has shape (..., 3, 3)."""
        if z.shape[-2:] != (3, 3):
            raise MvnetError(f"z: found shape {tuple(z.shape)}, expected rotations (..., 3, 3)")
        return tuple(z.shape[:-1])


class Congruence(GroupAction):
    """GL(n) on Sym+(n) by A P A^T.

    Args:
        dim: None for matrices (..., n, n); else the dim along which 6 Mandel planes of 3x3 matrices lie, acted on by
            9 row-major planes of gl(3) at the same dim: the layout of fields, in closed form.
    """

    def __init__(self, dim: int | None = None):
        self.dim = dim

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """a b in gl(n).

        Args:
            a, b: elements of the algebra.
        Returns:
            elements of the algebra.
        """
        return a @ b if self.dim is None else gl3.matmul(a, b, dim=self.dim)

    def act(self, xi: Tensor, z: Tensor) -> Tensor:
        """A z A^T, A = exp(xi)"""
        if self.dim is None:
            return _symmetric_product(torch.linalg.matrix_exp(xi), z)
        return sym3.congruence(gl3.exp(xi, dim=self.dim), z, dim=self.dim)

    def cay_act(self, xi: Tensor, z: Tensor) -> Tensor:
        """A z A^T, A = cay(xi)"""
        if self.dim is None:
            identity = torch.eye(xi.shape[-1], dtype=xi.dtype, device=xi.device)
            return _symmetric_product(torch.linalg.solve(identity - xi / 2, identity + xi / 2), z)
        return sym3.congruence(gl3.cayley(xi, dim=self.dim), z, dim=self.dim)

    def bracket(self, a: Tensor, b: Tensor) -> Tensor:
        """a b - b a"""
        return self.product(a, b) - self.product(b, a)

    def dcayinv(self, u: Tensor, v: Tensor) -> Tensor:
        """v - [u, v]/2 - u v u/4"""
        uv = self.product(u, v)
        return v - (uv - self.product(v, u)) / 2 - self.product(uv, u) / 4

    def algebra_shape(self, z: Tensor) -> tuple[int, ...]:
        """z.shape, with 9 in place of 6 planes; MvnetError unless z is square, or has 6 planes at `dim`."""
        if self.dim is None:
            if z.ndim < 2 or z.shape[-1] != z.shape[-2]:
                raise MvnetError(f"z: found shape {tuple(z.shape)}, expected symmetric matrices (..., n, n)")
            return tuple(z.shape)
        if not -z.ndim <= self.dim < z.ndim or z.shape[self.dim] != 6:
            raise MvnetError(f"z: found shape {tuple(z.shape)}, expected 6 Mandel planes at dim {self.dim}")
        shape = list(z.shape)
        shape[self.dim] = 9
        return tuple(shape)


def _symmetric_product(a: Tensor, p: Tensor) -> Tensor:
    """A P A^T, exactly symmetric."""
    q = a @ p @ a.mT
    return (q + q.mT) / 2
