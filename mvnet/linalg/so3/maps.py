"""Rotations of space: the group SO(3), its algebra so(3), and the maps between them.

Algebra elements are axis vectors u in radians, shape (..., 3); group elements are matrices, shape (..., 3, 3).
Products act on the left and differentials are right-trivialised: d/dt exp(u) = hat(dexp_u(u')) exp(u).

Every coefficient below is an entire (or, for the inverses, analytic) function of s = |u|^2. Below s = 1 it is
its Taylor series, above its closed form, so that values and all derivatives are accurate at u = 0.

Source: paper section 2.4.3; Iserles, Munthe-Kaas, Norsett, Zanna, Lie-group methods (2000), appendix B.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg.so3.quaternion import parallel

_TERMS = 10  # s^10 / 21! < 1e-19 at s = 1
_SIN = [(-1) ** k / math.factorial(2 * k + 1) for k in range(_TERMS)]  # sin a / a
_COS = [(-1) ** k / math.factorial(2 * k + 2) for k in range(_TERMS)]  # (1 - cos a) / a^2
_CUBE = [(-1) ** k / math.factorial(2 * k + 3) for k in range(_TERMS)]  # (a - sin a) / a^3
_ATAN = [(-1) ** k / (2 * k + 1) for k in range(_TERMS)]  # atan x / x


def _bernoulli(count: int) -> list[Fraction]:
    """B_n / n! for n < count:  sum_k B_k / k! / (n + 1 - k)! = 0 for n >= 1."""
    b = [Fraction(1)]
    for n in range(1, count):
        b.append(-sum((b[k] / math.factorial(n + 1 - k) for k in range(n)), Fraction(0)))
    return b


_COT = [abs(float(b)) for b in _bernoulli(25)[2::2]]  # (1 - (a/2) cot(a/2)) / a^2 = sum_k |B_2k| / (2k)! s^(k-1)


def _series(s: Tensor, coefficients: Sequence[float]) -> Tensor:
    total = torch.full_like(s, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * s + c
    return total


def _smooth(s: Tensor, coefficients: Sequence[float], closed: Callable[[Tensor], Tensor], edge: float = 1.0) -> Tensor:
    """Series below `edge`, `closed(a)` with a = sqrt(s) above; neither branch is evaluated outside its range."""
    small = s < edge
    near = _series(torch.where(small, s, 0.0), coefficients)
    return torch.where(small, near, closed(torch.where(small, edge, s).sqrt()))


def _check(x: Tensor, tail: tuple[int, ...], name: str) -> None:
    if tuple(x.shape[-len(tail) :]) != tail:
        want = ", ".join(map(str, tail))
        raise MvnetError(f"{name}: found shape {tuple(x.shape)}, expected (..., {want})")


def _cross(u: Tensor, v: Tensor) -> Tensor:
    return torch.linalg.cross(*torch.broadcast_tensors(u, v), dim=-1)


def hat(u: Tensor) -> Tensor:
    """Skew matrix of an axis vector: hat(u) v = u x v.

    Args:
        u: axis vectors, shape (..., 3).
    Returns:
        shape (..., 3, 3).
    """
    _check(u, (3,), "u")
    x, y, z = u.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack((o, -z, y, z, o, -x, -y, x, o), -1).unflatten(-1, (3, 3))


def vee(m: Tensor) -> Tensor:
    """Axis vector of the skew part of a matrix; inverse of `hat` on skew matrices.

    Args:
        m: shape (..., 3, 3).
    Returns:
        shape (..., 3).
    """
    _check(m, (3, 3), "m")
    skew = (m - m.mT) / 2
    return torch.stack((skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]), -1)


def _quadratic(u: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """I + first hat(u) + second hat(u)^2, with hat(u)^2 = u u^T - |u|^2 I."""
    eye = torch.eye(3, dtype=u.dtype, device=u.device)
    square = u.unsqueeze(-1) * u.unsqueeze(-2) - (u * u).sum(-1)[..., None, None] * eye
    return eye + first[..., None, None] * hat(u) + second[..., None, None] * square


def exp(u: Tensor) -> Tensor:
    """Rodrigues: exp(u) = I + sin a / a hat(u) + (1 - cos a) / a^2 hat(u)^2,  a = |u|.

    Args:
        u: axis vectors in radians, shape (..., 3).
    Returns:
        rotations, shape (..., 3, 3).
    """
    _check(u, (3,), "u")
    s = (u * u).sum(-1)
    return _quadratic(u, _smooth(s, _SIN, lambda a: a.sin() / a), _smooth(s, _COS, _versine))


def _versine(a: Tensor) -> Tensor:
    # (1 - cos a) / a^2 = 2 sin(a/2)^2 / a^2
    half = (a / 2).sin() / a
    return 2 * half * half


def log(r: Tensor) -> Tensor:
    """Axis vector of a rotation, |u| <= pi; accurate at the identity, near pi and at pi.

    With (w, v) parallel to its unit quaternion, w >= 0 (`so3.quaternion.parallel`):  u = 2 atan2(|v|, w) / |v| v.
    At |u| = pi both signs are right and one of them is returned.

    Args:
        r: rotations, shape (..., 3, 3).
    Returns:
        radians, shape (..., 3).
    """
    _check(r, (3, 3), "r")
    row = parallel(r)
    w, v = row[..., 0], row[..., 1:]
    n2 = (v * v).sum(-1)
    small = n2 < 1e-2 * w * w
    # atan2(|v|, w) / |v| = (1/w) atan(x) / x,  x = |v| / w
    ratio = torch.where(small, n2, 0.0) / torch.where(small, w * w, 1.0)
    near = _series(ratio, _ATAN) / torch.where(small, w, 1.0)
    n = torch.where(small, 1.0, n2).sqrt()
    return (2 * torch.where(small, near, torch.atan2(n, w) / n)).unsqueeze(-1) * v


def dexp(u: Tensor, v: Tensor) -> Tensor:
    """Right-trivialised differential of exp:  v + (1 - cos a)/a^2 u x v + (a - sin a)/a^3 u x (u x v),  a = |u|.

    Args:
        u, v: axis vectors in radians, shape (..., 3), broadcast against each other.
    Returns:
        shape (..., 3).
    """
    _check(u, (3,), "u")
    _check(v, (3,), "v")
    s = (u * u).sum(-1, keepdim=True)
    uv = _cross(u, v)
    cube = _smooth(s, _CUBE, lambda a: (a - a.sin()) / a**3)
    return v + _smooth(s, _COS, _versine) * uv + cube * _cross(u, uv)


def dexpinv(u: Tensor, v: Tensor) -> Tensor:
    """Inverse of `dexp`:  v - u x v / 2 + (1 - (a/2) cot(a/2)) / a^2 u x (u x v),  a = |u| < 2 pi.

    Args:
        u, v: axis vectors in radians, shape (..., 3), broadcast against each other.
    Returns:
        shape (..., 3).
    """
    _check(u, (3,), "u")
    _check(v, (3,), "v")
    s = (u * u).sum(-1, keepdim=True)
    uv = _cross(u, v)
    return v - uv / 2 + _smooth(s, _COT, lambda a: (1 - a / 2 / (a / 2).tan()) / (a * a)) * _cross(u, uv)


def cayley(u: Tensor) -> Tensor:
    """(I - hat(u)/2)^-1 (I + hat(u)/2) = I + (hat(u) + hat(u)^2 / 2) / (1 + |u|^2 / 4).

    Args:
        u: axis vectors, shape (..., 3); the rotation angle is 2 atan(|u| / 2).
    Returns:
        rotations, shape (..., 3, 3).
    """
    _check(u, (3,), "u")
    c = 1 / (1 + (u * u).sum(-1) / 4)
    return _quadratic(u, c, c / 2)


def dcayinv(u: Tensor, v: Tensor) -> Tensor:
    """Inverse right-trivialised differential of `cayley`:  v - u x v / 2 + u (u . v) / 4.

    Args:
        u, v: axis vectors, shape (..., 3), broadcast against each other.
    Returns:
        shape (..., 3).
    """
    _check(u, (3,), "u")
    _check(v, (3,), "v")
    return v - _cross(u, v) / 2 + u * (u * v).sum(-1, keepdim=True) / 4


def project(m: Tensor) -> Tensor:
    """Rotation nearest to m in the Frobenius norm (polar factor with determinant +1).

    The factor R0 comes from an SVD outside autograd. Two Newton steps for "R^T m symmetric" from R0 leave the value
    alone and carry derivatives exact to third order, finite also at repeated singular values:
        R <- R exp(w),   (tr(S) I - S) w = 2 vee(R^T m),   S = sym(R^T m).

    Args:
        m: shape (..., 3, 3), not within rounding of a matrix with two nearest rotations.
    Returns:
        shape (..., 3, 3).
    """
    _check(m, (3, 3), "m")
    with torch.no_grad():
        left, _, right = torch.linalg.svd(m)
        sign = torch.linalg.det(left @ right).unsqueeze(-1)
        flip = torch.cat((torch.ones_like(sign), torch.ones_like(sign), sign), -1)
        r = (left * flip.unsqueeze(-2)) @ right
    eye = torch.eye(3, dtype=m.dtype, device=m.device)
    for _ in range(2 if m.requires_grad else 0):
        b = r.mT @ m
        s = (b + b.mT) / 2
        system = s.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] * eye - s
        r = r @ exp(torch.linalg.solve(system, 2 * vee(b)))
    return r
