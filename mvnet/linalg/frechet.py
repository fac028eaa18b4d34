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

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.linalg.kernel import Kernel, Planes
from mvnet.linalg.scalar_functions import Scalar
from mvnet.linalg.spectral import H2, R2, deviator, dot, matrix_function, step

Vector = tuple[Tensor, Tensor, Tensor]
Triad = tuple[Vector, Vector, Vector]
PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))  # Mandel order
_INDEX = {(i, k): n for n, (i, k) in enumerate(PAIRS)} | {(k, i): n for n, (i, k) in enumerate(PAIRS)}
_TRIPLES = [(i, j, k) for i in range(3) for j in range(i, 3) for k in range(j, 3)]
_SPECK = 1e-18  # its square is a normal number in float32


class Frame(NamedTuple):
    """Eigenvectors and eigenvalues of A: the isolated one, then the upper and the lower one of the pair."""

    vectors: Triad
    values: Planes
    gaps: Planes  # upper to lower, isolated to lower, isolated to upper; not negative
    top: Tensor  # 1 where the isolated eigenvalue is the largest, else 0


def _times(s: Planes, v: Vector) -> Vector:
    """S v for symmetric S with entries xx, yy, zz, yz, xz, xy."""
    return dot((s[0], s[5], s[4]), v), dot((s[5], s[1], s[3]), v), dot((s[4], s[3], s[2]), v)


def _choose(mask: Tensor, u: Planes, v: Planes) -> Vector:
    """u where mask is 1, v where it is 0."""
    x, y, z = (torch.lerp(b, a, mask) for a, b in zip(u, v, strict=True))
    return x, y, z


def _isolated(b: Planes, square: Planes, tau: Tensor) -> Vector:
    """Eigenvector of tau: the largest column of (B - other)(B - another) = B^2 + tau B + (tau^2 - 3) I."""
    xx, yy, zz, yz, xz, xy = (torch.addcmul(s, tau, x) for s, x in zip(square, b, strict=True))
    c = tau * tau - 3
    xx, yy, zz = xx + c, yy + c, zz + c
    v = _choose(step(yy - zz), (xy, yy, yz), (xz, yz, zz))
    x, y, z = _choose(step(xx - torch.maximum(yy, zz)), (xx, xy, xz), v)
    x = x + _SPECK  # B = 0 gets the first axis
    s = dot((x, y, z), (x, y, z)).rsqrt()
    return x * s, y * s, z * s


def _complement(v: Vector) -> tuple[Vector, Vector]:
    """Orthonormal u, w with (u, w, v) a frame. Source: Duff et al., Building an orthonormal basis, revisited (2017)."""
    x, y, z = v
    sign = step(z) * 2 - 1
    a = -1 / (sign + z)
    c, g = x * y * a, sign * x
    return (torch.addcmul(torch.ones_like(x), g * x, a), sign * c, -g), (c, torch.addcmul(sign, y * y, a), -y)


def frame(p: Planes) -> Frame:
    """Eigenvectors and eigenvalues; the pair's half gap h comes from its 2x2 block, accurate to rounding.

    Args:
        p: six Mandel planes.
    Returns:
        vectors, values and gaps in planes, the isolated eigenvalue first.
    """
    # A -> B, B^2 -> eigenvector v of the isolated eigenvalue 2z -> basis u, w of its complement
    t = deviator(p)
    z = torch.lerp(-t.y, t.y, t.top)
    v = _isolated(t.b, t.square, z * 2)
    u, w = _complement(v)
    bu = _times(t.b, u)
    # block [[-z + delta, gamma], [gamma, -z - delta]] in the basis u, w
    delta, gamma = dot(u, bu) + z, dot(w, bu)
    # block -> half gap h and the rotation (cos, sin) that diagonalises it, from the column that cancels nothing
    h = torch.addcmul(gamma * gamma, delta, delta).sqrt()
    cos = h + delta.abs() + _SPECK
    s = torch.addcmul(gamma * gamma, cos, cos).rsqrt()
    cos, sin = cos * s, gamma * s
    keep = step(delta)
    one, two = torch.lerp(sin, cos, keep), torch.lerp(cos, sin, keep)
    ux, uy, uz = (torch.addcmul(one * x, two, y) for x, y in zip(u, w, strict=True))
    lx, ly, lz = (torch.addcmul(one * y, two, x, value=-1) for x, y in zip(u, w, strict=True))
    # eigenvalues and gaps of B -> of A = mean I + radius B
    alone, pair, tilt = t.y * 3, h * 2, torch.lerp(-h, h, t.top)
    return Frame(
        (v, (ux, uy, uz), (lx, ly, lz)),
        tuple(torch.addcmul(t.mean, t.radius, x) for x in (z * 2, h - z, -h - z)),
        tuple(t.radius * x for x in (pair, alone + tilt, alone - tilt)),
        t.top,
    )


def admit(f: Frame, scalar: Scalar) -> Planes:
    """Eigenvalues in frame order, kept inside the domain of the scalar function.

    Args:
        f: frame of a matrix.
        scalar: the function.
    Returns:
        three planes.
    """
    if scalar.origin is None:
        return f.values
    high = torch.maximum(f.values[0], f.values[1])
    alone, upper, lower = (scalar.admit(x, high) for x in f.values)
    return alone, upper, lower


def slopes(scalar: Scalar, values: Planes, gaps: Planes) -> Planes:
    """f[li, lk] in Mandel order: (0,0), (1,1), (2,2), (1,2), (0,2), (0,1).

    Args:
        scalar: f.
        values: three planes, eigenvalues in frame order.
        gaps: three planes, as in `Frame`.
    Returns:
        six planes.
    """
    a, b, c = values
    # f'(li) on the diagonal, f[li, lk] off it, the smaller eigenvalue first
    zero = torch.zeros_like(a)
    same = tuple(scalar.slope(x, x, zero) for x in values)
    meet = tuple(
        scalar.slope(torch.minimum(x, y), torch.maximum(x, y), g)
        for x, y, g in zip((b, a, a), (c, c, b), gaps, strict=True)
    )
    return same + meet


def to_basis(q: Triad, p: Planes) -> Planes:
    """Entries of Q^T P Q, in the order of PAIRS.

    Args:
        q: columns of Q, three planes each.
        p: six Mandel planes of P.
    Returns:
        six planes, without sqrt2.
    """
    # P -> P q_k -> q_i . P q_k
    entries = (*p[:3], *(x * H2 for x in p[3:]))
    images = [_times(entries, v) for v in q]
    return tuple(dot(q[i], images[k]) for i, k in PAIRS)


def from_basis(q: Triad, s: Planes) -> Planes:
    """Mandel planes of Q S Q^T.

    Args:
        q: columns of Q, three planes each.
        s: six planes, the entries of S in the order of PAIRS.
    Returns:
        six planes.
    """
    # S -> S r_k -> r_i . S r_k, r the rows of Q
    rows = list(zip(*q, strict=True))
    images = [_times(s, (x, y, z)) for x, y, z in rows]
    entries = [dot(rows[i], images[k]) for i, k in PAIRS]
    return (*entries[:3], *(x * R2 for x in entries[3:]))


def derivative(p: Planes, g: Planes, scalar: Scalar) -> Planes:
    """Df(A)[G] = Q (f[li, lk] G'_ik) Q^T.

    Args:
        p, g: six Mandel planes of A and of G.
        scalar: f.
    Returns:
        six Mandel planes.
    """
    f = frame(p)
    inside = to_basis(f.vectors, g)
    table = slopes(scalar, admit(f, scalar), f.gaps)
    return from_basis(f.vectors, tuple(s * x for s, x in zip(table, inside, strict=True)))


def second_derivative(p: Planes, g: Planes, h: Planes, scalar: Scalar) -> tuple[Planes, Planes]:
    """D2f(A)[G, H] and Df(A)[H]: the cotangents of A and G in <H, Df(A)[G]>.

    Args:
        p, g, h: six Mandel planes of A, G and H.
        scalar: f.
    Returns:
        six Mandel planes of each.
    """
    f = frame(p)
    values = admit(f, scalar)
    # G, H -> G' = Q^T G Q, H' = Q^T H Q
    gi, hi = to_basis(f.vectors, g), to_basis(f.vectors, h)
    table = {ijk: _curvature(scalar, [values[n] for n in ijk]) for ijk in _TRIPLES}
    # G', H' -> sum_j f[li, lj, lk] (G'_ij H'_jk + H'_ij G'_jk)
    out = []
    for i, k in PAIRS:
        total = torch.zeros_like(values[0])
        for j in range(3):
            m, n = _INDEX[i, j], _INDEX[j, k]
            i1, i2, i3 = sorted((i, j, k))
            total = torch.addcmul(total, table[i1, i2, i3], torch.addcmul(gi[m] * hi[n], hi[m], gi[n]))
        out.append(total)
    # H' -> f[li, lk] H'_ik; both back by Q (.) Q^T
    first = tuple(s * x for s, x in zip(slopes(scalar, values, f.gaps), hi, strict=True))
    return from_basis(f.vectors, tuple(out)), from_basis(f.vectors, first)


def _curvature(scalar: Scalar, x: list[Tensor]) -> Tensor:
    low = torch.minimum(torch.minimum(x[0], x[1]), x[2])
    high = torch.maximum(torch.maximum(x[0], x[1]), x[2])
    mid = torch.maximum(torch.minimum(x[0], x[1]), torch.minimum(torch.maximum(x[0], x[1]), x[2]))
    return scalar.curvature(low, mid, high)


def _from_ascending(g: Planes, top: Tensor) -> Planes:
    """Ascending order to frame order (isolated, upper, lower)."""
    low, mid, high = g
    return torch.lerp(low, high, top), torch.lerp(high, mid, top), torch.lerp(mid, low, top)


def _to_ascending(g: Planes, top: Tensor) -> Planes:
    alone, upper, lower = g
    return torch.lerp(alone, lower, top), torch.lerp(lower, upper, top), torch.lerp(upper, alone, top)


def eigenvalues_vjp(p: Planes, g: Planes) -> Planes:
    """sum_i g_i v_i v_i^T: an eigenvalue's gradient is its projector (one of them where eigenvalues meet).

    Args:
        p: six Mandel planes.
        g: three planes, cotangents of the ascending eigenvalues.
    Returns:
        six Mandel planes.
    """
    f = frame(p)
    zero = torch.zeros_like(f.top)
    return from_basis(f.vectors, (*_from_ascending(g, f.top), zero, zero, zero))


def eigenvalues_second(p: Planes, g: Planes, h: Planes) -> tuple[Planes, Planes]:
    """Cotangents of A and g in <H, sum_i g_i P_i>:  Q ((g_i - g_k) / (l_i - l_k) H'_ik) Q^T  and  H'_ii.

    The quotient is set to 0 where the gap is below rounding: there the eigenvalues are not differentiable.

    Args:
        p, h: six Mandel planes of A and of H.
        g: three planes, cotangents of the ascending eigenvalues.
    Returns:
        six Mandel planes and three planes.
    """
    f = frame(p)
    # H -> H' = Q^T H Q;  g -> frame order
    inside = to_basis(f.vectors, h)
    a, u, w = _from_ascending(g, f.top)
    sign = f.top * 2 - 1
    speck = torch.finfo(f.top.dtype).tiny
    noise = f.values[0].abs() * (4 * torch.finfo(f.top.dtype).eps)
    # (g_i - g_k) / (l_i - l_k) as rise gap / (gap^2 + noise^2)
    ratios = []
    for rise, gap in zip((u - w, (a - w) * sign, (a - u) * sign), f.gaps, strict=True):
        ratios.append(rise * gap / (gap * gap + noise * noise + speck))
    zero = torch.zeros_like(f.top)
    entries = (zero, zero, zero, *(r * x for r, x in zip(ratios, inside[3:], strict=True)))
    return from_basis(f.vectors, entries), _to_ascending(inside[:3], f.top)


def eigenvectors(p: Planes) -> Planes:
    """Ascending orthonormal eigenvectors: column i belongs to eigenvalue i.

    Args:
        p: six Mandel planes.
    Returns:
        nine planes, row-major.
    """
    f = frame(p)
    rows = (_to_ascending(x, f.top) for x in zip(*f.vectors, strict=True))
    return tuple(x for row in rows for x in row)


def kernel(make: Callable[..., Scalar]) -> Kernel:
    """f(A) as a kernel with its first two derivatives.

    Args:
        make: scalars -> f; called anew for each evaluation.
    Returns:
        the kernel, six Mandel planes in and out.
    """

    def second(p: Planes, g: Planes, h: Planes, *scalars: float) -> tuple[Planes, ...]:
        return second_derivative(p, g, h, make(*scalars))

    def first(p: Planes, g: Planes, *scalars: float) -> tuple[Planes, ...]:
        return (derivative(p, g, make(*scalars)),)

    def value(p: Planes, *scalars: float) -> tuple[Planes, ...]:
        return (matrix_function(p, make(*scalars)),)

    return Kernel(value, vjp=Kernel(first, 2, vjp=Kernel(second, 3, 2, last=True)))
