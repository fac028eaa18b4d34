"""One manifold for all matrix groups of `KINDS`.

The metric is left-invariant, <u, v>_x = tr((x^-1 u)^T x^-1 v). In a group that contains the transposes of its elements
its geodesics and parallel transports are known: with v = x W, and Z = x^-1 u for a vector u that is carried along,

    exp_x(v) = x e^(W^T) e^K,    K = W - W^T,
    u(1)     = x e^(W^T) Z(1) e^K,    Z' = ([K, Z] + [Z^T, W]) / 2.

In O(n) and SO(n) that is x e^W and x e^(W/2) Z e^(W/2), and the metric is bi-invariant. Translations of SE(n) and the
affine group have the metric of R^n, so that these are products; for SE(n) it is the left-invariant one.

Source: paper 6.2.1; Andruchow, Larotonda, Recht, Varela, The left invariant metric in the general linear group (2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg.polar import polar_step
from mvnet.linalg.smooth import point_sum
from mvnet.manifolds._shooting import shoot
from mvnet.manifolds.base import Manifold
from mvnet.manifolds.matrix_groups.kinds import KINDS, Kind

_TERMS = 18  # 1 / 19! < 1e-17
_FEW = 6  # where an approximation will do


@dataclass(frozen=True)
class MatrixGroup(Manifold):
    """A matrix group, points of shape (..., n, n), or (..., n + 1, n + 1) with translations.

    `exp` and `transport` have closed forms, `log` is iterative and reaches points at a distance of 2 or so, in the
    orthogonal groups up to half a turn. On rotations of R^3 distances are sqrt(2) times those of `Rotations`.

    Args:
        name: a key of `KINDS`: "O", "SO", "SL", "GL", "Sp" (n even), "SE", "affine".
        n: size of the matrices, without translations.

    Examples:
        >>> from mvnet.manifolds import MatrixGroup
        >>> MatrixGroup("SE", 3).point_shape
        (4, 4)
    """

    name: str
    n: int

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise MvnetError(f"name: found {self.name!r}, expected one of {', '.join(map(repr, KINDS))}")
        if self.n < 1 or (self._kind.even and self.n % 2):
            expected = "an even size" if self._kind.even else "a size of at least 1"
            raise MvnetError(f"n: found {self.n}, expected {expected} for {self.name}")

    @property
    def _kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def point_shape(self) -> tuple[int, ...]:
        """(n, n), or (n + 1, n + 1) with translations"""
        size = self.n + self._kind.translations
        return (size, size)

    @property
    def dim(self) -> int:
        """Of the algebra."""
        return self._kind.dim(self.n) + self.n * self._kind.translations

    @property
    def retraction_order(self) -> float:
        """2 in the orthogonal groups, else 1"""
        return 2 if self._kind.orthogonal else 1

    # ---- homogeneous matrices ----

    def _linear(self, *tensors: Tensor) -> list[Tensor]:
        """The linear parts."""
        return [t[..., : self.n, : self.n] for t in tensors]

    def _join(self, linear: Tensor, translation: Callable[[Tensor], Tensor], like: Tensor, corner: float) -> Tensor:
        """The linear part and, where there are translations, one of homogeneous matrices."""
        if not self._kind.translations:
            return linear
        column = translation(like)[..., : self.n, self.n :]
        shape = torch.broadcast_shapes(linear.shape[:-2], column.shape[:-2])
        top = torch.cat((linear.expand(*shape, -1, -1), column.expand(*shape, -1, -1)), -1)
        row = torch.zeros_like(top[..., :1, :])
        row[..., -1] = corner
        return torch.cat((top, row), -2)

    def algebra(self, w: Tensor) -> Tensor:
        """Nearest element of the Lie algebra.

        Args:
            w: matrices, shape (..., *point_shape).
        Returns:
            the same shape.
        """
        return self._join(self._kind.algebra(*self._linear(w)), lambda w: w, w, 0)

    # ---- the geometry ----

    def exp(self, x: Tensor, v: Tensor) -> Tensor:
        """x e^(W^T) e^(W - W^T)"""
        return self.move(x, v, geodesic=True)[0]

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """By shooting in the group, from the logarithms of the polar factors of x^-1 y."""
        x, y = torch.broadcast_tensors(x, y)
        a, b = self._linear(x, y)
        return self._join(a @ self._log(torch.linalg.solve(a, b)), lambda d: d, y - x, 0)

    def _log(self, y: Tensor) -> Tensor:
        """W with e^(W^T) e^(W - W^T) = y"""
        project = self._kind.algebra

        def land(_: Tensor, w: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            left, rotation = torch.linalg.matrix_exp(torch.stack((w.mT, w - w.mT)))
            end = left @ rotation
            return end, lambda d: _turn(w, rotation @ project(torch.linalg.solve(end, d)) @ rotation.mT, -1.0, _FEW)

        with torch.no_grad():
            u, s, vh = torch.linalg.svd(y)
            stretch = (vh.mT * s.clamp(min=torch.finfo(y.dtype).tiny).log().unsqueeze(-2)) @ vh
            values, vectors = torch.linalg.eig(u @ vh)
            turn = (vectors * values.log().unsqueeze(-2)) @ torch.linalg.inv_ex(vectors)[0]
            start = project((turn.real - turn.real.mT) / 2 + stretch)
        return shoot(land, lambda _, w: project(w), torch.zeros_like(y), y, start)

    def dist(self, x: Tensor, y: Tensor) -> Tensor:
        """|log(x, y)|; inf between the two parts of O(n), GL(n) and the affine group."""
        together = torch.linalg.det(torch.linalg.solve(*self._linear(x, y)).detach()) > 0
        return torch.where(together, super().dist(x, y), math.inf)

    def inner(self, x: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """tr((x^-1 u)^T x^-1 v)"""
        return point_sum(self.coordinates(x, u) * self.coordinates(x, v), 2)

    def move(self, x: Tensor, v: Tensor, *vectors: Tensor, geodesic: bool = False) -> tuple[Tensor, ...]:
        """The geodesic and transports of the module; or `retract`, and vectors moved by left translation."""
        if not geodesic:
            y = self.retract(x, v)
            return y, *(self.from_coordinates(y, self.coordinates(x, u)) for u in vectors)
        x, v, *vectors = torch.broadcast_tensors(x, v, *vectors)  # type: ignore[assignment]
        w, *zs = self._linear(*(self.coordinates(x, u) for u in (v, *vectors)))
        left, right = self._linear(x)[0] @ torch.linalg.matrix_exp(w.mT), torch.linalg.matrix_exp(w - w.mT)
        y = self._join(self._clean(left @ right), lambda d: d, x + v, 1)
        moved = [left @ _turn(w, z) @ right for z in zs]
        return y, *(self._join(m, lambda d: d, u, 0) for m, u in zip(moved, vectors))

    def transport(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Along the geodesic of `log`."""
        return self.to_tangent(y, self.move(x, self.log(x, y), v, geodesic=True)[1])

    def to_tangent(self, x: Tensor, v: Tensor) -> Tensor:
        """x W nearest to v, W in the algebra"""
        tangent = self._kind.tangent(*self._linear(x, v))
        shape = torch.broadcast_shapes(x.shape, v.shape)
        return self._join(tangent.expand(*shape[:-2], self.n, self.n), lambda v: v, v, 0)

    def project(self, x: Tensor) -> Tensor:
        """The nearest element, in SL(n) and Sp(2n) one near; its derivatives are those of the tangent projection."""
        (a,) = self._linear(x)
        with torch.no_grad():
            near = self._kind.nearest(a.detach())
        if a.requires_grad and torch.is_grad_enabled():
            near = near + self._kind.tangent(near, a - a.detach())
        return self._join(near, lambda x: x, x, 1)

    def retract(self, x: Tensor, v: Tensor) -> Tensor:
        """x e^W, or in the orthogonal groups x (1 - W/2)^-1 (1 + W/2)"""
        (w,) = self._linear(self.coordinates(x, v))
        if self._kind.orthogonal:
            one = torch.eye(self.n, dtype=w.dtype, device=w.device)
            step = torch.linalg.solve(one - w / 2, one + w / 2)
        else:
            step = torch.linalg.matrix_exp(w)
        return self._join(self._clean(self._linear(x)[0] @ step), lambda d: d, x + v, 1)

    def _clean(self, x: Tensor) -> Tensor:
        """Without rounding errors, which would grow over many steps, where that is cheap."""
        return polar_step(x) if self._kind.orthogonal else x

    def riemannian_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        """x P(x^T g), P the projection to the algebra"""
        a, b = self._linear(x, g)
        return self._join(a @ self._kind.algebra(a.mT @ b), lambda g: g, g, 0)

    def coordinates(self, x: Tensor, v: Tensor) -> Tensor:
        """W of v = x W, an element of the algebra; translations as they are"""
        a, b = self._linear(x, v)
        return self._join(self._kind.algebra(torch.linalg.solve(a, b)), lambda v: v, v, 0)

    def from_coordinates(self, x: Tensor, c: Tensor) -> Tensor:
        """x P(c), P the projection to the algebra"""
        a, b = self._linear(x, c)
        return self._join(a @ self._kind.algebra(b), lambda c: c, c, 0)

    def violation(self, x: Tensor) -> Tensor:
        """`Kind.membership` of the linear part, and how far the last row of a homogeneous matrix is from (0, 1)"""
        finite = x.isfinite().all(-1).all(-1)
        x = torch.where(finite[..., None, None], x, 0.0)
        found = self._kind.membership(*self._linear(x))
        if self._kind.translations:
            row = x[..., self.n, :].clone()
            row[..., -1] -= 1
            found = torch.maximum(found, row.abs().amax(-1))
        return torch.where(finite, found, math.inf)

    def random_point(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Uniform in the orthogonal groups, elsewhere e^W of a normal W of norm about sqrt(n); translations normal."""
        drawn = torch.randn((*shape, *self.point_shape), generator=generator, dtype=dtype, device=generator.device)
        drawn = drawn.to(device or generator.device)
        (a,) = self._linear(drawn)
        orthogonal = self._kind.orthogonal
        a = self._kind.nearest(a) if orthogonal else torch.linalg.matrix_exp(self._kind.algebra(a) / self.n**0.5)
        return self._join(a, lambda d: d, drawn, 1)


def _turn(w: Tensor, z: Tensor, time: float = 1.0, terms: int = _TERMS) -> Tensor:
    """Z(time) of the module's equation, by Taylor's series over enough subintervals."""
    k = w - w.mT
    size = torch.linalg.matrix_norm(k) + torch.linalg.matrix_norm(w)
    steps = max(1, math.ceil(float(size.detach().max()) / 2)) if size.numel() else 1
    for _ in range(steps):
        term = z
        for number in range(1, terms + 1):
            term = (k @ term - term @ k + term.mT @ w - w @ term.mT) * (0.5 * time / (steps * number))
            z = z + term
    return z
