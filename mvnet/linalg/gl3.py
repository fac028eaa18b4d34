"""General 3x3 matrices in nine row-major component planes: products, inverse, exponential, Cayley map.

A field of matrices is a tensor with nine components xx, xy, xz, yx, ..., zz along `dim` (1 by default:
(B, 9, *spatial)). Any floating dtype and device; inputs broadcast outside dim; derivatives of every order. A wrong
number of components or an integer dtype: MvnetError.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg.kernel import Kernel, Planes, check
from mvnet.linalg.spectral import dot

_DIAGONAL = (0, 4, 8)
_SQUARINGS = 6


def _product(x: Planes, y: Planes) -> Planes:
    columns = (y[0::3], y[1::3], y[2::3])
    return tuple(dot(x[i : i + 3], column) for i in (0, 3, 6) for column in columns)


def _cofactors(x: Planes) -> tuple[Planes, Tensor]:
    """Adjugate (row-major) and determinant."""
    a, b, c, d, e, f, g, h, i = x
    adjugate = (
        torch.addcmul(e * i, f, h, value=-1),
        torch.addcmul(c * h, b, i, value=-1),
        torch.addcmul(b * f, c, e, value=-1),
        torch.addcmul(f * g, d, i, value=-1),
        torch.addcmul(a * i, c, g, value=-1),
        torch.addcmul(c * d, a, f, value=-1),
        torch.addcmul(d * h, e, g, value=-1),
        torch.addcmul(b * g, a, h, value=-1),
        torch.addcmul(a * e, b, d, value=-1),
    )
    return adjugate, dot((a, b, c), (adjugate[0], adjugate[3], adjugate[6]))


def _inverse(x: Planes) -> tuple[Planes]:
    """Cofactors, then one Newton step Y <- Y + Y (I - X Y), which takes back what cofactors cancel."""
    adjugate, det = _cofactors(x)
    y = tuple(c / det for c in adjugate)
    residual = tuple(-r for r in _product(x, y))
    residual = tuple(r + 1 if n in _DIAGONAL else r for n, r in enumerate(residual))
    return (tuple(a + b for a, b in zip(y, _product(y, residual), strict=True)),)


def _cayley(x: Planes) -> tuple[Planes]:
    # (I - X/2)^-1 (I + X/2) = 2 (I - X/2)^-1 - I
    (y,) = _inverse(tuple(c * -0.5 + 1 if n in _DIAGONAL else c * -0.5 for n, c in enumerate(x)))
    return (tuple(c * 2 - 1 if n in _DIAGONAL else c * 2 for n, c in enumerate(y)),)


def _bracket(x: Planes, y: Planes) -> tuple[Planes]:
    return (tuple(a - b for a, b in zip(_product(x, y), _product(y, x), strict=True)),)


def _exp(x: Planes) -> tuple[Planes]:
    """Scaling and squaring carried out on three coefficients instead of nine entries.

    With X = m I + B, tr B = 0, every power of B is a B^2 + b B + c I by B^3 = -k B + d I (Cayley, Hamilton;
    k = -tr(B^2) / 2, d = det B). So is the Taylor polynomial E of exp(B / 2^s) - I, whose leading coefficients
    obey a_{n+2} = -k a_n + d a_{n-1}, and each squaring E <- 2 E + E^2 is twelve operations.

    Args:
        x: nine row-major planes.
    Returns:
        nine row-major planes, as one group.
    """
    # X -> m, B -> B^2, k, d
    mean = (x[0] + x[4] + x[8]) * (1 / 3)
    b = tuple(c - mean if n in _DIAGONAL else c for n, c in enumerate(x))
    square = _product(b, b)
    k = (square[0] + square[4] + square[8]) * -0.5
    d = _cofactors(b)[1]
    # B -> B / 2^s: the powers of 1/2 are exact
    ks, ds = k * 4.0**-_SQUARINGS, d * 8.0**-_SQUARINGS
    zero, one = torch.zeros_like(mean), torch.ones_like(mean)
    leading = [zero, zero, one]  # a_n of B^n = a_n B^2 + a_{n+1} B + d a_{n-1} I
    order = 9 if mean.dtype == torch.float32 else 14
    for n in range(1, order):
        leading.append(torch.addcmul(ds * leading[n - 1], ks, leading[n], value=-1))
    p, q, r = zero, zero, zero
    for n in range(1, order + 1):
        weight = 1 / math.factorial(n)
        p = torch.add(p, leading[n], alpha=weight)
        q = torch.add(q, leading[n + 1], alpha=weight)
        r = torch.add(r, leading[n - 1], alpha=weight)
    # E = p B^2 + q B + r I, coefficients of the unscaled B
    p, q, r = p * 4.0**-_SQUARINGS, q * 2.0**-_SQUARINGS, r * ds
    # E -> 2 E + E^2, with B^4 = -k B^2 + d B and B^3 = -k B + d I
    for _ in range(_SQUARINGS):
        pp, pq = p * p, p * q * 2
        p, q, r = (
            torch.addcmul(torch.addcmul(p + p * r, q, q * 0.5) * 2, pp, k, value=-1),
            torch.addcmul(torch.addcmul((q + q * r) * 2, pq, k, value=-1), pp, d),
            torch.addcmul(torch.addcmul(r * 2, r, r), pq, d),
        )
    # exp(X) = e^m (I + E)
    scale = mean.exp()
    p, q, r = p * scale, q * scale, torch.addcmul(scale, r, scale)
    out = [torch.addcmul(q * u, p, v) for u, v in zip(b, square, strict=True)]
    return (tuple(c + r if n in _DIAGONAL else c for n, c in enumerate(out)),)


_EXP = Kernel(_exp)
_INVERSE = Kernel(_inverse)
_CAYLEY = Kernel(_cayley)
_MATMUL = Kernel(lambda x, y: (_product(x, y),), 2)
_BRACKET = Kernel(_bracket, 2)


def _call(kernel: Kernel, dim: int, *tensors: Tensor) -> Tensor:
    for t, name in zip(tensors, "xy", strict=False):
        check(t, dim, 9, name)
    return kernel(*tensors, dim=dim)[0]


def matmul(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    """X Y.

    Args:
        x, y: matrices, shape (..., 9, ...): nine row-major planes along dim; broadcast outside it.
        dim: where the planes are.
    Returns:
        nine row-major planes along dim.
    """
    return _call(_MATMUL, dim, x, y)


def bracket(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    """Lie bracket [X, Y] = X Y - Y X.

    Args:
        x, y: matrices, shape (..., 9, ...): nine row-major planes along dim; broadcast outside it.
        dim: where the planes are.
    Returns:
        nine row-major planes along dim.
    """
    return _call(_BRACKET, dim, x, y)


def exp(x: Tensor, dim: int = 1) -> Tensor:
    """Matrix exponential at a fixed cost, whatever the matrix.

    Accurate to rounding while |X - tr X / 3| is below about 30; the truncation error grows beyond.

    Args:
        x: matrices, shape (..., 9, ...): nine row-major planes along dim.
        dim: where the planes are.
    Returns:
        shape of x.
    """
    return _call(_EXP, dim, x)


def inverse(x: Tensor, dim: int = 1) -> Tensor:
    """X^-1.

    Args:
        x: matrices, shape (..., 9, ...): nine row-major planes along dim.
        dim: where the planes are.
    Returns:
        shape of x; inf or NaN where a matrix is singular.
    """
    return _call(_INVERSE, dim, x)


def cayley(x: Tensor, dim: int = 1) -> Tensor:
    """(I - X/2)^-1 (I + X/2), which agrees with exp(X) to second order.

    Args:
        x: matrices, shape (..., 9, ...): nine row-major planes along dim.
        dim: where the planes are.
    Returns:
        shape of x.
    """
    return _call(_CAYLEY, dim, x)


def to_matrix(x: Tensor, dim: int = 1) -> Tensor:
    """Matrices from planes.

    Args:
        x: matrices, shape (..., 9, ...): nine row-major planes along dim.
        dim: where the planes are.
    Returns:
        shape (..., 3, 3), the planes' dimensions before them.
    """
    check(x, dim, 9, "x")
    return x.movedim(dim, -1).unflatten(-1, (3, 3))


def from_matrix(m: Tensor, dim: int = 1) -> Tensor:
    """Planes from matrices.

    Args:
        m: shape (..., 3, 3).
        dim: where the nine row-major planes go in the result, which has one dimension less.
    Returns:
        shape (..., 9, ...).
    Raises:
        MvnetError: another shape.
    """
    if m.shape[-2:] != (3, 3):
        raise MvnetError(f"m: found shape {tuple(m.shape)}, expected (..., 3, 3)")
    return m.flatten(-2).movedim(-1, dim)
