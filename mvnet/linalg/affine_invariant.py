"""Affine-invariant geometry of positive definite 3x3 matrices, fused, on Mandel component planes.

<U, V>_X = tr(X^-1 U X^-1 V). With any factor X = L L^T and M = L^-1 Y L^-T,
    dist(X, Y) = |log M|,   log_X(Y) = L log(M) L^T,   exp_X(V) = L exp(L^-1 V L^-T) L^T,
    geodesic(X, Y, t) = L M^t L^T.
L is the Cholesky factor: no square root of X, no eigenvectors. For dist and log, M is held as c (I + D) with
c = tr Y / tr X and D = L^-1 (Y / c - X) L^-T, so that both are exactly 0 at Y = X and accurate beside it.

Gradients. The result does not depend on which L is taken, so dX = L E L^T moves it as dL = L E / 2 does. In the
eigenbasis M = Q diag(l) Q^T, with K = L Q, Z = L^-T Q and G' = K^T G K, the cotangents of L f(M) L^T are
    dY: Z (f[li, lk] G'_ik) Z^T,   dX: Z (((fi + fk) - f[li, lk] (li + lk)) G'_ik / 2) Z^T.
Source: Pennec, Fillard, Ayache, A Riemannian framework for tensor computing (2006), section 3; Daleckii, Krein.

All functions: planes along `dim` (1 by default), inputs broadcast outside it, any floating dtype and device;
derivatives of first and second order, finite at X = Y. A matrix that is not positive definite gives NaN; a wrong
number of components or an integer dtype raises MvnetError.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.linalg import frechet, spectral
from mvnet.linalg import scalar_functions as scalar
from mvnet.linalg.kernel import Kernel, Planes, apply, check
from mvnet.linalg.spectral import H2, R2, dot


def _factor(p: Planes) -> tuple[Planes, Planes]:
    """L and its inverse, as (00, 11, 22, 21, 20, 10), from Mandel planes."""
    xx, yy, zz, yz, xz, xy = (*p[:3], *(x * H2 for x in p[3:]))
    # P -> L, column by column; i0, i1, i2 are the inverse pivots
    i0 = xx.rsqrt()
    l10, l20 = xy * i0, xz * i0
    yy = torch.addcmul(yy, l10, l10, value=-1)
    i1 = yy.rsqrt()
    l21 = torch.addcmul(yz, l20, l10, value=-1) * i1
    zz = torch.addcmul(torch.addcmul(zz, l20, l20, value=-1), l21, l21, value=-1)
    i2 = zz.rsqrt()
    # L -> L^-1 by forward substitution
    w10 = -l10 * i0 * i1
    w20 = torch.addcmul(l20 * i0, l21, w10) * -i2
    return (xx * i0, yy * i1, zz * i2, l21, l20, l10), (i0, i1, i2, -l21 * i1 * i2, w20, w10)


def _lower(t: Planes, p: Planes) -> Planes:
    """T P T^T in Mandel planes, T lower triangular (00, 11, 22, 21, 20, 10)."""
    xx, yy, zz, yz, xz, xy = (*p[:3], *(x * H2 for x in p[3:]))
    t00, t11, t22, t21, t20, t10 = t
    # P -> A = T P
    a00 = t00 * xx
    a10, a11 = torch.addcmul(t10 * xx, t11, xy), torch.addcmul(t10 * xy, t11, yy)
    row = (t20, t21, t22)
    a20, a21, a22 = dot(row, (xx, xy, xz)), dot(row, (xy, yy, yz)), dot(row, (xz, yz, zz))
    # A -> A T^T
    return (
        a00 * t00,
        torch.addcmul(a10 * t10, a11, t11),
        dot((a20, a21, a22), row),
        torch.addcmul(a20 * t10, a21, t11) * R2,
        a20 * t00 * R2,
        a10 * t00 * R2,
    )


def _relative(w: Planes, x: Planes, y: Planes) -> tuple[Tensor, Planes]:
    """c = tr Y / tr X and D = W (Y / c - X) W^T."""
    c = (y[0] + y[1] + y[2]) / (x[0] + x[1] + x[2])
    r = 1 / c
    return c, _lower(w, tuple(b * r - a for a, b in zip(x, y, strict=True)))


def _dist(x: Planes, y: Planes) -> tuple[Planes]:
    # X, Y -> c, D -> eigenvalues e of D -> log(c (1 + e)) -> norm
    c, d = _relative(_factor(x)[1], x, y)
    low, mid, high = spectral.eigenvalues(d)
    shift = c.log()
    low = scalar.LOG1P.admit(low, high)
    s = [shift + e.log1p() for e in (low, torch.maximum(mid, low), high)]
    return ((dot(s, s).sqrt(),),)


def _log(x: Planes, y: Planes) -> tuple[Planes]:
    # X -> L, L^-1;  Y -> D;  D -> log M = log c + log(I + D);  log M -> L log(M) L^T
    low, inverse = _factor(x)
    c, d = _relative(inverse, x, y)
    s = spectral.matrix_function(d, scalar.LOG1P)
    shift = c.log()
    return (_lower(low, (s[0] + shift, s[1] + shift, s[2] + shift, *s[3:])),)


def _exp(x: Planes, v: Planes) -> tuple[Planes]:
    # V -> L^-1 V L^-T -> its exponential -> L (.) L^T
    low, inverse = _factor(x)
    return (_lower(low, spectral.matrix_function(_lower(inverse, v), scalar.EXP)),)


def _geodesic(x: Planes, y: Planes, t: float) -> tuple[Planes]:
    # Y -> M -> M^t -> L M^t L^T
    low, inverse = _factor(x)
    return (_lower(low, spectral.matrix_function(_lower(inverse, y), scalar.power(t))),)


# Cotangents of x and y.


def _transform_frame(low: Planes, inverse: Planes, f: frechet.Frame) -> tuple[frechet.Triad, frechet.Triad]:
    """Columns of K = L Q and of Z = L^-T Q."""
    l00, l11, l22, l21, l20, l10 = low
    w00, w11, w22, w21, w20, w10 = inverse
    # columns q of Q -> L q and L^-T q
    k = [(l00 * a, torch.addcmul(l10 * a, l11, b), dot((l20, l21, l22), (a, b, c))) for a, b, c in f.vectors]
    z = [(dot((w00, w10, w20), (a, b, c)), torch.addcmul(w11 * b, w21, c), w22 * c) for a, b, c in f.vectors]
    return (k[0], k[1], k[2]), (z[0], z[1], z[2])


def _dist_vjp(x: Planes, y: Planes, g: Planes) -> tuple[Planes, Planes]:
    """dY: Z diag(s / l) Z^T g / dist,  dX: -Z diag(s) Z^T g / dist,  s = log l; zero where x = y."""
    low, inverse = _factor(x)
    c, d = _relative(inverse, x, y)
    # D -> Q, s = log l -> ds_i = g s_i / dist -> Z diag(.) Z^T
    f = frechet.frame(d)
    _, z = _transform_frame(low, inverse, f)
    values = frechet.admit(f, scalar.LOG1P)
    shift = c.log()
    s = [shift + e.log1p() for e in values]
    scale = g[0] / dot(s, s).sqrt().clamp_min(torch.finfo(c.dtype).tiny)
    s = [e * scale for e in s]
    zero = torch.zeros_like(c)
    ratio = [e / ((1 + a) * c) for e, a in zip(s, values, strict=True)]
    return (
        frechet.from_basis(z, (-s[0], -s[1], -s[2], zero, zero, zero)),
        frechet.from_basis(z, (*ratio, zero, zero, zero)),
    )


def _sandwich_vjp(
    low: Planes,
    inverse: Planes,
    f: frechet.Frame,
    g: Planes,
    function: scalar.Scalar,
    relative: Tensor | None = None,
) -> tuple[Planes, Planes]:
    """Cotangents of x and y for L f(M) L^T; with `relative` = c, M = c (I + D) and f = log, f the frame of D."""
    # G -> G' = K^T G K
    k, z = _transform_frame(low, inverse, f)
    inside = frechet.to_basis(k, g)
    # l -> f(l) and f[li, lk]; from D to M both shift, the differences of l do not
    values = frechet.admit(f, function)
    slopes = frechet.slopes(function, values, f.gaps)
    results = [function.value(a) for a in values]
    if relative is not None:
        shift = relative.log()
        results = [r + shift for r in results]
        values = tuple(a + 1 for a in values)
    # G'_ik -> entries of the cotangents in the basis Z
    mine, other = [], []
    for (i, j), s, e in zip(frechet.PAIRS, slopes, inside, strict=True):
        mine.append(torch.addcmul(results[i] + results[j], s, values[i] + values[j], value=-1) * e * 0.5)
        other.append(s * e if relative is None else s * e / relative)
    # entries -> Z (.) Z^T
    return frechet.from_basis(z, tuple(mine)), frechet.from_basis(z, tuple(other))


def _log_vjp(x: Planes, y: Planes, g: Planes) -> tuple[Planes, Planes]:
    low, inverse = _factor(x)
    c, d = _relative(inverse, x, y)
    return _sandwich_vjp(low, inverse, frechet.frame(d), g, scalar.LOG1P, c)


def _exp_vjp(x: Planes, v: Planes, g: Planes) -> tuple[Planes, Planes]:
    low, inverse = _factor(x)
    return _sandwich_vjp(low, inverse, frechet.frame(_lower(inverse, v)), g, scalar.EXP)


def _geodesic_vjp(x: Planes, y: Planes, g: Planes, t: float) -> tuple[Planes, Planes]:
    low, inverse = _factor(x)
    return _sandwich_vjp(low, inverse, frechet.frame(_lower(inverse, y)), g, scalar.power(t))


# The same functions composed of differentiable ones, on (B, C, N): what a backward pass that is differentiated uses.

_FACTOR = Kernel(_factor, 1, 2)
_LOWER = Kernel(lambda t, p: (_lower(t, p),), 2)
_LOG1P = frechet.kernel(lambda: scalar.LOG1P)
_EXP1 = frechet.kernel(lambda: scalar.EXP)
_POWER = frechet.kernel(scalar.power)


def _whitened_log(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """L and log M."""
    low, inverse = apply(_FACTOR, (x,))
    c = y[:, :3].sum(1, keepdim=True) / x[:, :3].sum(1, keepdim=True)
    (d,) = apply(_LOWER, (inverse, y / c - x))
    (s,) = apply(_LOG1P, (d,))
    return low, torch.cat((s[:, :3] + c.log(), s[:, 3:]), 1)


def _composed_dist(x: Tensor, y: Tensor) -> Tensor:
    square = _whitened_log(x, y)[1].square().sum(1, keepdim=True)
    apart = square > 0
    return torch.where(apart, torch.where(apart, square, 1.0).sqrt(), 0.0)


def _composed_log(x: Tensor, y: Tensor) -> Tensor:
    return apply(_LOWER, _whitened_log(x, y))[0]


def _composed_exp(x: Tensor, v: Tensor) -> Tensor:
    low, inverse = apply(_FACTOR, (x,))
    return apply(_LOWER, (low, *apply(_EXP1, apply(_LOWER, (inverse, v)))))[0]


def _composed_geodesic(x: Tensor, y: Tensor, t: float) -> Tensor:
    low, inverse = apply(_FACTOR, (x,))
    return apply(_LOWER, (low, *apply(_POWER, apply(_LOWER, (inverse, y)), (t,))))[0]


_DIST = Kernel(_dist, 2, vjp=Kernel(_dist_vjp, 3, 2), composed=_composed_dist)
_LOG = Kernel(_log, 2, vjp=Kernel(_log_vjp, 3, 2), composed=_composed_log)
_EXP = Kernel(_exp, 2, vjp=Kernel(_exp_vjp, 3, 2), composed=_composed_exp)
_GEODESIC = Kernel(_geodesic, 2, vjp=Kernel(_geodesic_vjp, 3, 2), composed=_composed_geodesic)


def _call(kernel: Kernel, x: Tensor, y: Tensor, dim: int, other: str, *scalars: float) -> Tensor:
    check(x, dim, 6, "x")
    check(y, dim, 6, other)
    return kernel(x, y, dim=dim, scalars=scalars)[0]


def dist(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    """Affine-invariant distance |log(L^-1 Y L^-T)|_F = sqrt(sum log^2 of the eigenvalues of X^-1 Y).

    Args:
        x, y: positive definite matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        the shape without dim. At x = y the distance and its gradient are 0.
    """
    return _call(_DIST, x, y, dim, "y").squeeze(dim)


def log(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    """Tangent vector at x of the geodesic that reaches y at time 1.

    Args:
        x, y: positive definite matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        symmetric matrices, six Mandel planes along dim.
    """
    return _call(_LOG, x, y, dim, "y")


def exp(x: Tensor, v: Tensor, dim: int = 1) -> Tensor:
    """Point reached at time 1 by the geodesic from x with velocity v.

    Args:
        x: positive definite matrices, shape (..., 6, ...): six Mandel planes along dim.
        v: symmetric matrices, likewise.
        dim: where the planes are.
    Returns:
        positive definite matrices, likewise.
    """
    return _call(_EXP, x, v, dim, "v")


def geodesic(x: Tensor, y: Tensor, t: float | Tensor, dim: int = 1) -> Tensor:
    """Point at time t of the geodesic from x (t = 0) to y (t = 1).

    Args:
        x, y: positive definite matrices, shape (..., 6, ...): six Mandel planes along dim.
        t: a number, or a tensor of the shape of x with 1 at dim (or broadcasting to it), differentiable.
        dim: where the planes are.
    Returns:
        positive definite matrices, six Mandel planes along dim.
    """
    if isinstance(t, Tensor):
        return exp(x, t * log(x, y, dim), dim)
    return _call(_GEODESIC, x, y, dim, "y", float(t))
