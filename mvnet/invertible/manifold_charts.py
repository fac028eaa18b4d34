"""Charts: Sym+(3), SO(3) and S^1 as images of R^n, with the closed forms of their log-determinants.

Densities are with respect to these volumes, all invariant but the first:

| manifold | volume                                                       | latent                    |
|----------|--------------------------------------------------------------|---------------------------|
| Sym+(3)  | of the six Mandel planes                                     | log P, Mandel planes      |
| SO(3)    | that of the right-trivialised axis vector (Haar, 8 pi^2)     | axis vector, see `kind`   |
| S^1      | radians (2 pi)                                               | angle, see `kind`         |

A chart of SO(3) or S^1 leaves the cut locus out: rotations by pi, the angle pi. "exp" maps to the open ball of radius
pi, "cayley" (2 tan(a/2) in place of a) to all of R^n.
Source: paper section 2.3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.invertible.base import Invertible, Mapped, sum_samples, wide
from mvnet.linalg import so3, sym3

KINDS = ("exp", "cayley")


def log_det_exp_sym3(s: Tensor, dim: int = 1) -> Tensor:
    """log|det d exp(S)| of the matrix exponential on Sym(3).

    sum_i l_i + sum_{i<j} log((e^{l_i} - e^{l_j}) / (l_i - l_j)) = 2 tr S + sum_{i<j} log(sinh(h) / h),  2 h = l_i - l_j

    The last sum is a smooth function of the squares of the differences of the eigenvalues l.

    Args:
        s: six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        the shape of s without dim; second derivatives where eigenvalues meet as in `sym3.eigvals`.
    """
    s = wide(s)
    l0, l1, l2 = sym3.eigvals(s, dim).unbind(dim)
    gaps = torch.stack((l1 - l0, l2 - l0, l2 - l1))
    return 2 * sym3.trace(s, dim) + _log_sinhc((gaps / 2).square()).sum(0)


def _log_sinhc(q: Tensor) -> Tensor:
    """log(sinh h / h), h = sqrt q, and its derivatives at q = 0."""
    small = q < 0.1
    near = torch.where(small, q, 0.0)
    series = torch.zeros_like(q)
    for c in reversed(_LOG_SINHC):
        series = (series + c) * near
    h = torch.where(small, 1.0, q).sqrt()
    # log(sinh h / h) = h + log((1 - e^{-2h}) / (2 h))
    far = h + (-torch.expm1(-2 * h) / (2 * h)).log()
    return torch.where(small, series, far)


# log(sinh h / h) = q/6 - q^2/180 + q^3/2835 - ... = sum_k 2^(2k-1) B_2k / (k (2k)!) q^k
_LOG_SINHC = (
    1 / 6,
    -1 / 180,
    1 / 2835,
    -1 / 37800,
    1 / 467775,
    -691 / 3831077250,
    2 / 127702575,
    -3617 / 2605132530000,
)


class SPDChart(Invertible):
    """P -> log P on Sym+(3); the inverse is the matrix exponential.

    Shape:
        (B, 6, ...) -> (B, 6, ...), Mandel planes.

    Examples:
        >>> import torch
        >>> from mvnet.invertible import SPDChart
        >>> p = torch.tensor([[2.0, 1.0, 1.0, 0.0, 0.0, 0.3]])
        >>> s, change = SPDChart()(p)
        >>> torch.allclose(SPDChart().inverse(s)[0], p, atol=1e-6)
        True
    """

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        s = sym3.log(wide(x))
        if not torch.isfinite(s.detach()).all():
            raise MvnetError("x: found matrices that are not positive definite, expected points of Sym+(3)")
        return s, -sum_samples(log_det_exp_sym3(s))

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        return sym3.exp(wide(z)), sum_samples(log_det_exp_sym3(z))

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        if x.ndim < 2 or x.shape[1] != 6:
            raise MvnetError(f"{name}: found shape {tuple(x.shape)}, expected (B, 6, ...)")


class RotationChart(Invertible):
    """R -> axis vector u = log R, |u| < pi, or 2 tan(|u| / 2) u / |u|.

    exp: log|det du/dR| = -log(2 (1 - cos a) / a^2), a = |u|;    cayley: 2 log(1 + |v|^2 / 4)

    Args:
        kind: "exp" or "cayley".
    Shape:
        (B, ..., 3, 3) -> (B, ..., 3).
    Raises:
        MvnetError: another kind.
    """

    def __init__(self, kind: str = "exp"):
        super().__init__()
        self.kind = _check_kind(kind)

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        u = so3.log(wide(x))
        _check_cut(u.detach().square().sum(-1).sqrt(), "x", "rotations")
        if self.kind == "exp":
            return u, -sum_samples(_log_det_exp(u))
        v = u * _tan_ratio(u.square().sum(-1, keepdim=True))
        return v, 2 * sum_samples((v.square().sum(-1) / 4).log1p())

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        z = wide(z)
        if self.kind == "cayley":
            return so3.cayley(z), -2 * sum_samples((z.square().sum(-1) / 4).log1p())
        _check_cut(z.detach().square().sum(-1).sqrt(), "z", "axis vectors")
        return so3.exp(z), sum_samples(_log_det_exp(z))

    def _check(self, x: Tensor, context: Tensor | None, name: str) -> None:
        super()._check(x, context, name)
        tail, expected = ((3, 3), "(B, ..., 3, 3)") if name == "x" else ((3,), "(B, ..., 3)")
        if x.ndim < 1 + len(tail) or tuple(x.shape[-len(tail) :]) != tail:
            raise MvnetError(f"{name}: found shape {tuple(x.shape)}, expected {expected}")


class CircleChart(Invertible):
    """Angles in (-pi, pi) -> themselves, or 2 tan(angle / 2).

    cayley: log|dv/da| = log(1 + v^2 / 4)

    Args:
        kind: "exp" or "cayley".
    Shape:
        (B, ...) -> the same, radians.
    Raises:
        MvnetError: another kind.
    """

    def __init__(self, kind: str = "exp"):
        super().__init__()
        self.kind = _check_kind(kind)

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        x = wide(x)
        _check_cut(x.detach().abs(), "x", "angles")
        if self.kind == "exp":
            return x, sum_samples(torch.zeros_like(x))
        v = 2 * torch.tan(x / 2)
        return v, sum_samples((v.square() / 4).log1p())

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        z = wide(z)
        if self.kind == "cayley":
            return 2 * torch.atan(z / 2), -sum_samples((z.square() / 4).log1p())
        _check_cut(z.detach().abs(), "z", "angles")
        return z, sum_samples(torch.zeros_like(z))


def _log_det_exp(u: Tensor) -> Tensor:
    """log(2 (1 - cos a) / a^2) = 2 log(sin(a/2) / (a/2)), below a = 2 by its series in a^2."""
    q = u.square().sum(-1) / 4
    small = q < 0.1
    near, series = torch.where(small, q, 0.0), torch.zeros_like(q)
    for k in reversed(range(len(_LOG_SINHC))):
        # log(sin h / h) is log(sinh h / h) at -q
        series = (series + _LOG_SINHC[k] * (-1) ** (k + 1)) * near
    h = torch.where(small, 1.0, q).sqrt()
    return 2 * torch.where(small, series, (h.sin() / h).log())


def _tan_ratio(square: Tensor) -> Tensor:
    """2 tan(a/2) / a as a function of a^2, smooth at 0."""
    small = square < 1e-2
    near = torch.where(small, square, 0.0) / 4
    series = torch.ones_like(near) * _TAN[-1]
    for c in reversed(_TAN[:-1]):
        series = series * near + c
    a = torch.where(small, 1.0, square).sqrt()
    return torch.where(small, series, 2 * torch.tan(a / 2) / a)


# tan h / h = 1 + h^2/3 + 2 h^4/15 + 17 h^6/315 + ...
_TAN = (1.0, 1 / 3, 2 / 15, 17 / 315, 62 / 2835, 1382 / 155925)


def _check_kind(kind: str) -> str:
    if kind not in KINDS:
        raise MvnetError(f"kind: found {kind!r}, expected one of {', '.join(KINDS)}")
    return kind


def _check_cut(angle: Tensor, name: str, what: str) -> None:
    """Angles whose distance to pi is rounding have no logarithm."""
    largest = float(angle.max()) if angle.numel() else 0.0
    if not largest < math.pi - 8 * torch.finfo(angle.dtype).eps * math.pi:
        raise MvnetError(f"{name}: found {what} of angle {largest:.7g} at the cut locus, expected angles below pi")
