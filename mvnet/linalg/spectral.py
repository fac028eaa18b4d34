"""Spectral functions of symmetric 3x3 matrices in closed form, one plane of numbers per matrix entry.

Everything here maps tuples of same-shape planes to tuples of planes and is made of elementwise tensor operations
only, so that one source serves every device and fuses into one loop. Inputs and outputs are in Mandel components
(xx, yy, zz, sqrt2 yz, sqrt2 xz, sqrt2 xy), whose dot product is the Frobenius one: a cotangent is a matrix.

Notation: A = m I + p B with tr B = 0, |B|^2 = 6. The eigenvalues of B are 2z (isolated) and -z +- h, |z| = y:
    y = cos(acos(|det B| / 2) / 3) in [sqrt(3)/2, 1],   sign z = sign det B,   h in [0, sqrt(3)/2].
h vanishes when two eigenvalues meet; it is never taken from y, which would leave sqrt(eps) of it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.linalg.scalar import Scalar

Planes = tuple[Tensor, ...]
R2 = math.sqrt(2.0)
H2 = math.sqrt(0.5)


class Deviator(NamedTuple):
    """A = mean I + radius B, and the squares that everything else is made of. B entries without sqrt2."""

    mean: Tensor
    radius: Tensor
    b: Planes  # xx, yy, zz, yz, xz, xy
    square: Planes  # B^2, same order
    y: Tensor
    positive: Tensor  # bool: the isolated eigenvalue is the largest


def deviator(p: Planes) -> Deviator:
    """Shift and scale; y by a cubic start (error 4e-5) and Newton on 4 y^3 - 3 y = |det B| / 2."""
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
    half = torch.addcmul(dd, b, c, value=-1) * a  # - a (b c - d d)
    half = torch.addcmul(torch.addcmul(half, e, xz, value=-1), f, xy, value=-1) * -0.5
    square = (
        torch.addcmul(ee + ff, a, a),
        torch.addcmul(dd + ff, b, b),
        torch.addcmul(dd + ee, c, c),
        yz,
        xz,
        xy,
    )
    r = half.abs().clamp_max(1.0)
    y = ((r * 0.009319684 - 0.0406912) * r + 0.1653304) * r + 0.8660663
    for _ in range(1 if r.dtype == torch.float32 else 2):
        t = y * y
        y = torch.addcmul(r, t, y, value=8.0) / (t * 12 - 3)
    return Deviator(mean, radius, (a, b, c, d, e, f), square, y, half >= 0)


def half_gap(t: Deviator) -> Tensor:
    """h from N = (B - 2z)(B + z), which is 0 on the isolated eigenvector and of norm h (12 y^2 + 6)^(1/2) in all."""
    z = torch.where(t.positive, t.y, -t.y)
    u = t.y * t.y
    w = u * 2
    n = [torch.addcmul(s, z, b, value=-1) for s, b in zip(t.square, t.b, strict=True)]
    n[0], n[1], n[2] = n[0] - w, n[1] - w, n[2] - w
    off = torch.addcmul(torch.addcmul(n[3] * n[3], n[4], n[4]), n[5], n[5])
    diagonal = torch.addcmul(torch.addcmul(n[0] * n[0], n[1], n[1]), n[2], n[2])
    return (torch.add(diagonal, off, alpha=2) / (u * 12 + 6)).sqrt()


class Nodes(NamedTuple):
    """Ascending eigenvalues of B and the two neighbouring gaps, each accurate to rounding."""

    low: Tensor
    mid: Tensor
    high: Tensor
    below: Tensor  # mid - low
    above: Tensor  # high - mid
    span: Tensor  # high - low, >= 3/2 always


def nodes(y: Tensor, h: Tensor, positive: Tensor) -> Nodes:
    two, far = y * 2, y + h
    pair, lone = h * 2, y * 3 - h
    inner = h - y
    return Nodes(
        -torch.where(positive, far, two),
        torch.where(positive, inner, -inner),
        torch.where(positive, two, far),
        torch.where(positive, pair, lone),
        torch.where(positive, lone, pair),
        y * 3 + h,
    )


def eigenvalues(p: Planes) -> Planes:
    """Ascending eigenvalues, three planes."""
    t = deviator(p)
    n = nodes(t.y, half_gap(t), t.positive)
    return tuple(torch.addcmul(t.mean, t.radius, x) for x in (n.low, n.mid, n.high))


def matrix_function(p: Planes, f: Scalar) -> Planes:
    """f(A) in Newton's form on the ascending eigenvalues l1 <= l2 <= l3, without eigenvectors.

    f(A) = f(l1) I + f[l1, l2] (A - l1) + f[l1, l2, l3] (A - l1)(A - l2),
    f[l1, l2, l3] = (f[l2, l3] - f[l1, l2]) / (l3 - l1).
    The last quotient is divided by the widest gap and multiplied by (A - l1)(A - l2) <= its square, so its
    rounding never grows; only f[., .] needs care, and `Scalar.slope` takes it.
    """
    t = deviator(p)
    n = nodes(t.y, half_gap(t), t.positive)
    low = torch.addcmul(t.mean, t.radius, n.low)
    mid = torch.addcmul(t.mean, t.radius, n.mid)
    high = torch.addcmul(t.mean, t.radius, n.high)
    low = f.admit(low, high)
    mid = torch.maximum(mid, low)
    first = f.slope(low, mid, t.radius * n.below) * t.radius
    second = (f.slope(mid, high, t.radius * n.above) * t.radius - first) / n.span
    # in powers of B:  second (B - low)(B - mid) + first (B - low) + f(low),  low + mid = -high
    linear = torch.addcmul(first, second, n.high)
    constant = torch.addcmul(f.value(low), torch.addcmul(first, second, n.mid, value=-1), n.low, value=-1)
    a, b, c, d, e, g = t.b
    aa, bb, cc, dd, ee, gg = t.square
    out = [torch.addcmul(torch.addcmul(constant, linear, x), second, xx) for x, xx in ((a, aa), (b, bb), (c, cc))]
    linear, second = linear * R2, second * R2
    out += [torch.addcmul(linear * x, second, xx) for x, xx in ((d, dd), (e, ee), (g, gg))]
    return tuple(out)
