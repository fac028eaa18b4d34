"""First and second derivatives of spectral functions of symmetric 3x3 matrices, in closed form on planes.

Daleckii and Krein: with A = Q diag(l) Q^T,  G' = Q^T G Q,
    Df(A)[G]      = Q ( f[li, lk] G'_ik ) Q^T,
    D2f(A)[G, H]  = Q ( sum_j f[li, lj, lk] (G'_ij H'_jk + H'_ij G'_jk) ) Q^T.
Both maps are self-adjoint, so they are their own vector-Jacobian products. Q is orthonormal whatever the gaps: the
eigenvector of the isolated eigenvalue first, then a 2x2 rotation in its complement. Divided differences are
bounded, hence every derivative is finite at repeated eigenvalues, and right there.
Source: Daleckii, Krein (1965); Higham, Functions of Matrices (2008), theorem 3.11; Eberly (2014) for the frame.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.linalg.scalar import Scalar
from mvnet.linalg.spectral import H2, R2, Nodes, Planes, deviator, nodes

Vector = tuple[Tensor, Tensor, Tensor]
_PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # Mandel order


class Frame(NamedTuple):
    """Ascending eigenvectors and the eigenvalues mean + radius * nodes."""

    vectors: tuple[Vector, Vector, Vector]
    mean: Tensor
    radius: Tensor
    nodes: Nodes


def _dot(u: Vector, v: Vector) -> Tensor:
    return torch.addcmul(torch.addcmul(u[0] * v[0], u[1], v[1]), u[2], v[2])


def _combine(a: Tensor, u: Vector, b: Tensor, v: Vector) -> Vector:
    return tuple(torch.addcmul(a * x, b, y) for x, y in zip(u, v, strict=True))  # pyright: ignore[reportReturnType]


def _times(s: Planes, v: Vector) -> Vector:
    """S v for symmetric S with entries xx, yy, zz, yz, xz, xy."""
    return _dot((s[0], s[5], s[4]), v), _dot((s[5], s[1], s[3]), v), _dot((s[4], s[3], s[2]), v)


def _choose(mask: Tensor, u: Vector, v: Vector) -> Vector:
    return tuple(torch.where(mask, x, y) for x, y in zip(u, v, strict=True))  # pyright: ignore[reportReturnType]


def _isolated(b: Planes, square: Planes, tau: Tensor) -> Vector:
    """Eigenvector of tau: the largest column of (B - other)(B - another) = B^2 + tau B + (tau^2 - 3) I."""
    xx, yy, zz, yz, xz, xy = (torch.addcmul(s, tau, x) for s, x in zip(square, b, strict=True))
    c = torch.addcmul(torch.full_like(tau, -3.0), tau, tau)
    xx, yy, zz = xx + c, yy + c, zz + c
    v = _choose(yy >= zz, (xy, yy, yz), (xz, yz, zz))
    v = _choose(xx >= torch.maximum(yy, zz), (xx, xy, xz), v)
    n = _dot(v, v)
    empty = n < torch.finfo(n.dtype).tiny * 16
    s = torch.where(empty, 1.0, n).rsqrt()
    return torch.where(empty, 1.0, v[0] * s), v[1] * s, v[2] * s


def _complement(v: Vector) -> tuple[Vector, Vector]:
    """Orthonormal u, w with (u, w, v) a frame. Source: Duff et al., Building an orthonormal basis, revisited (2017)."""
    x, y, z = v
    sign = torch.where(z >= 0, 1.0, -1.0).to(z.dtype)
    a = -1 / (sign + z)
    c = x * y * a
    return (1 + sign * x * x * a, sign * c, -sign * x), (c, sign + y * y * a, -y)


def frame(p: Planes) -> Frame:
    """Eigenvectors and eigenvalues; the pair's gap 2 h comes from the 2x2 block, accurate to rounding."""
    t = deviator(p)
    z = torch.where(t.positive, t.y, -t.y)
    v = _isolated(t.b, t.square, z * 2)
    u, w = _complement(v)
    bu = _times(t.b, u)
    # block [[-z + delta, gamma], [gamma, -z - delta]] in the basis u, w
    delta, gamma = _dot(u, bu) + z, _dot(w, bu)
    size = delta.abs()
    h = torch.addcmul(gamma * gamma, delta, delta).sqrt()
    cos = h + size
    n = torch.addcmul(gamma * gamma, cos, cos)
    flat = n < torch.finfo(n.dtype).tiny * 16
    s = torch.where(flat, 1.0, n).rsqrt()
    cos, sin = torch.where(flat, 1.0, cos * s), gamma * s
    swap = delta < 0
    one, two = torch.where(swap, sin, cos), torch.where(swap, cos, sin)
    upper, lower = _combine(one, u, two, w), _combine(-two, u, one, w)  # eigenvalues -z + h, -z - h
    low = _choose(t.positive, lower, v)
    mid = _choose(t.positive, upper, lower)
    high = _choose(t.positive, v, upper)
    return Frame((low, mid, high), t.mean, t.radius, nodes(t.y, h, t.positive))


def _eigenvalues(f: Frame, scalar: Scalar) -> tuple[Planes, Planes]:
    """Admitted eigenvalues and the gaps (mid - low, high - mid, high - low)."""
    low, mid, high = (torch.addcmul(f.mean, f.radius, x) for x in f.nodes[:3])
    low = scalar.admit(low, high)
    return (low, torch.maximum(mid, low), high), tuple(f.radius * x for x in f.nodes[3:])


def _slopes(scalar: Scalar, values: Planes, gaps: Planes) -> Planes:
    """f[li, lk] in Mandel order: (0,0), (1,1), (2,2), (1,2), (0,2), (0,1)."""
    a, b, c = values
    zero = torch.zeros_like(a)
    same = tuple(scalar.slope(x, x, zero) for x in values)
    return (*same, scalar.slope(b, c, gaps[1]), scalar.slope(a, c, gaps[2]), scalar.slope(a, b, gaps[0]))


def _entries(p: Planes) -> Planes:
    """Mandel components to matrix entries."""
    return (*p[:3], *(x * H2 for x in p[3:]))


def _mandel(p: Planes) -> Planes:
    return (*p[:3], *(x * R2 for x in p[3:]))


def _into(vectors: tuple[Vector, Vector, Vector], s: Planes) -> Planes:
    """Q^T S Q as six entries."""
    images = [_times(s, v) for v in vectors]
    return tuple(_dot(vectors[i], images[k]) for i, k in _PAIRS)


def _out_of(vectors: tuple[Vector, Vector, Vector], s: Planes) -> Planes:
    """Q S Q^T as six entries."""
    rows: tuple[Vector, Vector, Vector] = tuple(zip(*vectors, strict=True))  # pyright: ignore[reportAssignmentType]
    return _into(rows, s)


def derivative(p: Planes, g: Planes, scalar: Scalar) -> Planes:
    """Df(A)[G], six Mandel planes."""
    f = frame(p)
    inside = _into(f.vectors, _entries(g))
    table = _slopes(scalar, *_eigenvalues(f, scalar))
    return _mandel(_out_of(f.vectors, tuple(s * x for s, x in zip(table, inside, strict=True))))


def second_derivative(p: Planes, g: Planes, h: Planes, scalar: Scalar) -> tuple[Planes, Planes]:
    """D2f(A)[G, H] and Df(A)[H]: the cotangents of A and G in <H, Df(A)[G]>."""
    f = frame(p)
    values, gaps = _eigenvalues(f, scalar)
    gi, hi = _into(f.vectors, _entries(g)), _into(f.vectors, _entries(h))
    slopes = _slopes(scalar, values, gaps)

    def gap(i: int, k: int) -> Tensor:
        return torch.zeros_like(values[0]) if i == k else gaps[{(0, 1): 0, (1, 2): 1, (0, 2): 2}[i, k]]

    index = {pair: n for n, pair in enumerate(_PAIRS)} | {(k, i): n for n, (i, k) in enumerate(_PAIRS)}
    table: dict[tuple[int, ...], Tensor] = {}

    def curvature(*ijk: int) -> Tensor:
        i, j, k = key = tuple(sorted(ijk))
        if key not in table:
            table[key] = scalar.curvature(values[i], values[j], values[k], gap(i, j), gap(j, k))
        return table[key]

    out = []
    for i, k in _PAIRS:
        terms = [
            curvature(i, j, k) * (gi[index[i, j]] * hi[index[j, k]] + hi[index[i, j]] * gi[index[j, k]])
            for j in range(3)
        ]
        out.append(terms[0] + terms[1] + terms[2])
    first = tuple(s * x for s, x in zip(slopes, hi, strict=True))
    return _mandel(_out_of(f.vectors, tuple(out))), _mandel(_out_of(f.vectors, first))


def eigenvalues_vjp(p: Planes, g: Planes) -> Planes:
    """sum_i g_i v_i v_i^T: the gradient of eigenvalue i is its projector (one of them where eigenvalues meet)."""
    f = frame(p)
    weighted = tuple(tuple(x * y for y in v) for x, v in zip(g, f.vectors, strict=True))
    axes = tuple(zip(*f.vectors, strict=True))
    scaled = tuple(zip(*weighted, strict=True))
    return _mandel(tuple(_dot(scaled[i], axes[k]) for i, k in _PAIRS))  # pyright: ignore[reportArgumentType]
