"""The Stiefel manifold of n x p matrices with orthonormal columns, St(n, p) = O(n) / O(n - p), p <= n.

The metric is that of the quotient (the canonical one), <u, v>_x = tr(u^T (1 - x x^T / 2) v). Its geodesics and parallel
transports are known: with a tangent vector v = x A + W, A = x^T v skew, x^T W = 0, the rotations exp(t Omega) of

    Omega = x A x^T + W x^T - x W^T

move x along the geodesic, and they move a vector u = x C + U along it to exp(t Omega) (x C(t) + U(t)) with

    C' = -([A, C] - W^T U + U^T W) / 2,      U' = -(W C - U A) / 2.

Omega has rank 2 p: nothing here costs more than n p^2.

Source: paper 6.2.1; Edelman, Arias and Smith (1998), section 2.4; Kobayashi and Nomizu II, chapter X, for the transport
in a naturally reductive space.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg.polar import cholesky_qr, polar, polar_step
from mvnet.linalg.smooth import point_sum
from mvnet.manifolds._shooting import shoot
from mvnet.manifolds.base import Manifold

_TERMS = 18  # 1 / 19! < 1e-17
_FEW = 5  # where an approximation will do


@dataclass(frozen=True)
class Frames(Manifold):
    """What all manifolds have in common whose points are n x p matrices with orthonormal columns."""

    n: int
    p: int

    def __post_init__(self) -> None:
        if not 1 <= self.p <= self.n or self.n < 2:
            raise MvnetError(f"n, p: found {self.n}, {self.p}, expected 1 <= p <= n and n >= 2")

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(n, p)"""
        return (self.n, self.p)

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """By `carry`."""
        return self.carry(x, v)[0]

    @abstractmethod
    def carry(self, x: Tensor, v: Tensor, *vectors: Tensor) -> tuple[Tensor, ...]:
        """Point at time 1 of the geodesic with velocity v, and vectors at x transported along it.

        Args:
            x, v: points and tangent vectors at them, shape (..., n, p).
            *vectors: further tangent vectors at x.
        Returns:
            exp(x, v) and the transported vectors.
        """

    def move(self, x: Tensor, v: Tensor, *vectors: Tensor, geodesic: bool = False) -> tuple[Tensor, ...]:
        """Along the geodesic; or `retract`, and vectors projected, which is their transport up to second order."""
        if geodesic:
            return self.carry(x, v, *vectors)
        y = self.retract(x, v)
        return y, *(self.to_tangent(y, u) for u in vectors)

    def project(self, x: Tensor) -> Tensor:
        """The polar factor."""
        return polar(x)

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """The orthonormal factor of x + v by Cholesky, or its polar factor where |v| is tiny; first order."""
        return cholesky_qr(x + v)

    def violation(self, x: Tensor) -> Tensor:
        """Largest entry of |x^T x - 1|"""
        return (x.mT @ x - torch.eye(self.p, dtype=x.dtype, device=x.device)).abs().amax((-2, -1))

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform: the polar factor of a standard normal matrix."""
        drawn = torch.randn((*shape, self.n, self.p), generator=generator, dtype=dtype, device=generator.device)
        return polar(drawn).to(device or generator.device)


@dataclass(frozen=True)
class Stiefel(Frames):
    """n x p matrices with orthonormal columns, shape (..., n, p); tangent vectors v have x^T v skew.

    `exp` and `transport` have closed forms, `log` is iterative and reaches points nearer than 2 (up to a distance of at
    least .89 pi geodesics are shortest, but the iteration gets slow).

    Args:
        n: dimension of the space.
        p: number of columns, at most n.
    """

    @property
    def dim(self) -> int:
        """n p - p (p + 1) / 2"""
        return self.n * self.p - self.p * (self.p + 1) // 2

    @property
    def retraction_order(self) -> float:
        """1"""
        return 1

    def carry(self, x: Tensor, v: Tensor, *vectors: Tensor) -> tuple[Tensor, ...]:
        """[x, W] exp((A, -W^T W; 1, 0)) (1; 0), and exp(Omega) (x C(1) + U(1)) of the module."""
        x, v, *vectors = torch.broadcast_tensors(x, v, *vectors)  # type: ignore[assignment]
        a, w = _parts(x, v)
        turned = [_turn(a, w, *_parts(x, u)) for u in vectors]
        y, *carried = rotate(x, a, w, *(x @ c + u for c, u in turned))
        return polar_step(y), *carried

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """By shooting, from the projected difference."""
        x, y = torch.broadcast_tensors(x, y)
        return shoot(land, self.to_tangent, x, y, self.to_tangent(x, y - x))

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """tr(u^T v) - tr(u^T x x^T v) / 2"""
        return point_sum(u * v, 2) - point_sum((x.mT @ u) * (x.mT @ v), 2) / 2

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Along the geodesic of `log`."""
        return self.to_tangent(y, self.carry(x, self.log(x, y), v)[1])

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """v - x sym(x^T v)"""
        s = x.mT @ v
        return v - x @ ((s + s.mT) / 2)

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """g - x g^T x"""
        return g - x @ (g.mT @ x)


def _parts(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """A and W of v = x A + W."""
    a = x.mT @ v
    a = (a - a.mT) / 2
    return a, v - x @ (x.mT @ v)


def rotate(x: Tensor, a: Tensor | None, w: Tensor, *vectors: Tensor) -> list[Tensor]:
    """exp(Omega) z of x and of further z.

    On the span of (x, W), Omega is the matrix G = (A, -W^T W; 1, 0), and Omega z = (x, W) b with
    b = (A x^T z - W^T z; x^T z) whatever z is: exp(Omega) z = z + (x, W) phi(G) b, phi(G) = (exp(G) - 1) / G.

    Args:
        x, a, w: of the module; None for A = 0.
        *vectors: the further z.
    Returns:
        the rotated ones.
    """
    p = x.shape[-1]
    a = torch.zeros_like(w[..., :p, :]) if a is None else a
    zs = [x, *vectors]
    b = [torch.cat((a @ (x.mT @ z) - w.mT @ z, x.mT @ z), -2) for z in zs]
    one, zero = torch.eye(p, dtype=x.dtype, device=x.device).expand_as(a), torch.zeros_like(a)
    g = torch.cat((torch.cat((a, -(w.mT @ w)), -1), torch.cat((one, zero), -1)), -2)
    # exp((G, b; 0, 0)) = (exp(G), phi(G) b; 0, 1)
    wide = torch.cat((g, *b), -1)
    wide = torch.cat((wide, torch.zeros_like(wide[..., :1, :]).expand(*wide.shape[:-2], len(b) * p, -1)), -2)
    coefficients = torch.linalg.matrix_exp(wide)[..., : 2 * p, 2 * p :]
    moved = [x @ c[..., :p, :] + w @ c[..., p:, :] for c in coefficients.split(p, -1)]
    return [z + m for z, m in zip(zs, moved)]


def _turn(a: Tensor, w: Tensor, c: Tensor, u: Tensor, time: float = 1.0, terms: int = _TERMS) -> tuple[Tensor, Tensor]:
    """C(time), U(time) of the module's equations, by Taylor's series over enough subintervals."""
    size = torch.linalg.matrix_norm(a) + torch.linalg.matrix_norm(w)
    steps = max(1, math.ceil(float(size.detach().max()))) if size.numel() else 1
    h = -0.5 * time / steps
    for _ in range(steps):
        term_c, term_u = c, u
        for k in range(1, terms + 1):
            mixed = a @ term_c + term_u.mT @ w
            term_c, term_u = (mixed - mixed.mT) * (h / k), (w @ term_c - term_u @ a) * (h / k)
            c, u = c + term_c, u + term_u
    return c, u


def land(x: Tensor, v: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Where a geodesic ends, and the way back.

    Args:
        x, v: points and tangent vectors at them.
    Returns:
        exp_x(v), and z -> the tangent part at x of exp(-Omega) z.
    """
    a, w = _parts(x, v)
    (y,) = rotate(x, a, w)

    def back(z: Tensor) -> Tensor:
        c, u = _turn(a, w, *_parts(x, rotate(x, -a, -w, z)[1]), -1.0, _FEW)
        return x @ c + u

    return y, back
