"""Spectral functions of symmetric 3x3 matrices in closed form, one plane of numbers per matrix entry.

Everything here maps tuples of same-shape planes to tuples of planes and is made of elementwise tensor operations
only, so that one source serves every device and fuses into one loop. There is no comparison and no `where`: run
eagerly they cost ten times an addition. Inputs and outputs are Mandel components (xx, yy, zz, sqrt2 yz, sqrt2 xz,
sqrt2 xy), whose dot product is the Frobenius one: a cotangent of a matrix is a matrix.

Notation: A = m I + p B with tr B = 0, |B|^2 = 6. The eigenvalues of B are 2z (isolated) and -z +- h, |z| = y:
    y = cos(acos(|det B| / 2) / 3) in [sqrt(3)/2, 1],   sign z = sign det B,   h in [0, sqrt(3)/2].
h vanishes where two eigenvalues meet; it is not taken from y, which would leave only the square root of rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.linalg.kernel import Planes
from mvnet.linalg.scalar_functions import Scalar

R2 = 2.0**0.5
H2 = 0.5**0.5


def step(x: Tensor) -> Tensor:
    """1 where x > 0, 0 elsewhere (|x| between 0 and 1e-30 does not occur in what calls it).

    Args:
        x: a plane.
    Returns:
        shape and dtype of x.
    """
    return (x * 1e30).clamp(0.0, 1.0)


def dot(u: Sequence[Tensor], v: Sequence[Tensor]) -> Tensor:
    """u0 v0 + u1 v1 + u2 v2.

    Args:
        u, v: three planes each, of one shape.
    Returns:
        one plane.
    """
    return torch.addcmul(torch.addcmul(u[0] * v[0], u[1], v[1]), u[2], v[2])


class Deviator(NamedTuple):
    """A = mean I + radius B, and what everything else is made of. Entries of B and B^2 carry no sqrt2."""

    mean: Tensor
    radius: Tensor
    b: Planes  # xx, yy, zz, yz, xz, xy
    square: Planes  # B^2, same order
    y: Tensor
    top: Tensor  # 1 where the isolated eigenvalue is the largest, 0 where it is the smallest


def deviator(p: Planes) -> Deviator:
    """Shift, scale, square; y by a cubic start (error 4e-5) and Newton on 4 y^3 - 3 y = |det B| / 2.

    Args:
        p: six Mandel planes of A.
    Returns:
        mean, radius, B, B^2, y and the sign of det B, in planes.
    """
    a, b, c, d, e, f = p
    mean = (a + b + c) * (1 / 3)
    a, b, c = a - mean, b - mean, c - mean
    q = torch.addcmul(torch.addcmul(a * a, b, b), c, c)
    q = torch.addcmul(torch.addcmul(torch.addcmul(q, d, d), e, e), f, f) * (1 / 6)
    s = q.clamp_min(torch.finfo(q.dtype).tiny).rsqrt()
    radius = q * s
    a, b, c = a * s, b * s, c * s
    s = s * H2
    d, e, f = d * s, e * s, f * s
    dd, ee, ff = d * d, e * e, f * f
    yz = torch.addcmul(e * f, a, d, value=-1)  # e f + (b + c) d
    xz = torch.addcmul(d * f, b, e, value=-1)
    xy = torch.addcmul(d * e, c, f, value=-1)
    # det B = a (b c - d d) + e xz + f xy
    det = torch.addcmul(e * xz, f, xy)
    det = torch.addcmul(det, a, torch.addcmul(dd, b, c, value=-1), value=-1)
    square = (
        torch.addcmul(ee + ff, a, a),
        torch.addcmul(dd + ff, b, b),
        torch.addcmul(dd + ee, c, c),
        yz,
        xz,
        xy,
    )
    r = (det * 0.5).abs().clamp_max(1.0)
    y = ((r * 0.009319684 - 0.0406912) * r + 0.1653304) * r + 0.8660663
    for _ in range(1 if r.dtype == torch.float32 else 2):
        t = y * y
        y = torch.addcmul(r, t, y, value=8) / (t * 12 - 3)
    return Deviator(mean, radius, (a, b, c, d, e, f), square, y, step(det))


def half_gap(t: Deviator) -> Tensor:
    """h from N = (B - 2z)(B + z), which kills the isolated eigenvector and has |N|^2 = h^2 (12 y^2 + 6).

    Args:
        t: what `deviator` found.
    Returns:
        one plane, in [0, sqrt(3)/2].
    """
    z = torch.lerp(-t.y, t.y, t.top)
    u = t.y * t.y
    w = u * 2
    xx, yy, zz, yz, xz, xy = (torch.addcmul(s, z, b, value=-1) for s, b in zip(t.square, t.b, strict=True))
    xx, yy, zz = xx - w, yy - w, zz - w
    off = torch.addcmul(torch.addcmul(yz * yz, xz, xz), xy, xy)
    diagonal = torch.addcmul(torch.addcmul(xx * xx, yy, yy), zz, zz)
    return (torch.add(diagonal, off, alpha=2) / (u * 12 + 6)).sqrt()


class Nodes(NamedTuple):
    """Ascending eigenvalues of B and their gaps."""

    low: Tensor
    mid: Tensor
    high: Tensor
    below: Tensor  # mid - low
    above: Tensor  # high - mid
    span: Tensor  # high - low, at least 3/2


def nodes(y: Tensor, h: Tensor, top: Tensor) -> Nodes:
    """With k = +-(y - h) (plus where top):  mid = -k,  high, low = k/2 +- (3 y + h)/2.

    Args:
        y, h, top: planes of `deviator` and `half_gap`.
    Returns:
        ascending eigenvalues of B and their gaps, in planes.
    """
    inner = y - h
    k = torch.lerp(-inner, inner, top)
    span = torch.add(h, y, alpha=3)
    half, c = k * 0.5, span * 0.5
    return Nodes(half - c, -k, half + c, torch.sub(c, half, alpha=3), torch.add(c, half, alpha=3), span)


def eigenvalues(p: Planes) -> Planes:
    """Ascending eigenvalues.

    Args:
        p: six Mandel planes.
    Returns:
        three planes.
    """
    t = deviator(p)
    n = nodes(t.y, half_gap(t), t.top)
    low, mid, high = (torch.addcmul(t.mean, t.radius, x) for x in (n.low, n.mid, n.high))
    mid = torch.maximum(mid, low)
    return low, mid, torch.maximum(high, mid)


def matrix_function(p: Planes, f: Scalar) -> Planes:
    """f(A) in Newton's form on the ascending eigenvalues l1 <= l2 <= l3, without eigenvectors.

    f(A) = f(l1) I + f[l1, l2] (A - l1) + f[l1, l2, l3] (A - l1)(A - l2),
    f[l1, l2, l3] = (f[l2, l3] - f[l1, l2]) / (l3 - l1).
    The last quotient is divided by the widest gap and multiplied by (A - l1)(A - l2), at most its square, so its
    rounding never grows; only f[., .] needs care, and `Scalar.slope` takes it.

    Args:
        p: six Mandel planes of A.
        f: the function with its divided differences.
    Returns:
        six Mandel planes of f(A).
    """
    t = deviator(p)
    n = nodes(t.y, half_gap(t), t.top)
    low, mid, high = (torch.addcmul(t.mean, t.radius, x) for x in (n.low, n.mid, n.high))
    low = f.admit(low, high)
    mid = torch.maximum(mid, low)
    first = f.slope(low, mid, t.radius * n.below) * t.radius
    second = (f.slope(mid, high, t.radius * n.above) * t.radius - first) / n.span
    # in powers of B:  second (B - low)(B - mid) + first (B - low) + f(low),  with low + mid = -high
    linear = torch.addcmul(first, second, n.high)
    constant = torch.addcmul(f.value(low), torch.addcmul(first, second, n.mid, value=-1), n.low, value=-1)
    diagonal = [
        torch.addcmul(torch.addcmul(constant, linear, x), second, xx)
        for x, xx in zip(t.b[:3], t.square[:3], strict=True)
    ]
    linear, second = linear * R2, second * R2
    off = [torch.addcmul(linear * x, second, xx) for x, xx in zip(t.b[3:], t.square[3:], strict=True)]
    return (*diagonal, *off)
