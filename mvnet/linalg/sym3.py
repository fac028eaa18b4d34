"""Symmetric 3x3 matrices in component planes: spectral functions, congruence, packing.

A field of matrices is a tensor with six Mandel components xx, yy, zz, sqrt2 yz, sqrt2 xz, sqrt2 xy along `dim`
(1 by default: (B, 6, *spatial)); the dot product of components is the Frobenius product of matrices. Any
floating dtype (half precision computes in float32), any device, any number of dimensions.

Spectral functions are at least as accurate as an eigendecomposition in the same dtype (`spectral.py`). First and
second derivatives are closed forms too, finite and right at repeated eigenvalues (`frechet.py`). Where rounding
alone decides the sign of an eigenvalue, log, sqrt, invsqrt and power take 2 eps of the largest for it; matrices
that are not positive definite beyond that give NaN. A wrong number of components or an integer dtype: MvnetError.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import frechet, spectral
from mvnet.linalg import scalar_functions as scalar
from mvnet.linalg.kernel import Kernel, Planes, check
from mvnet.linalg.spectral import H2, R2

MANDEL = frechet.PAIRS
"""(row, column) of the six components, in their order."""

_LOG = frechet.kernel(lambda: scalar.LOG)
_EXP = frechet.kernel(lambda: scalar.EXP)
_SQRT = frechet.kernel(lambda: scalar.SQRT)
_INVSQRT = frechet.kernel(lambda: scalar.INVSQRT)
_INVERSE = frechet.kernel(lambda: scalar.INVERSE)
_POWER = frechet.kernel(scalar.power)
_EIGENVALUES = Kernel(
    lambda p: (spectral.eigenvalues(p),),
    vjp=Kernel(
        lambda p, g: (frechet.eigenvalues_vjp(p, g),),
        2,
        vjp=Kernel(frechet.eigenvalues_second, 3, 2, last=True),
    ),
)
_EIGENVECTORS = Kernel(lambda p: (frechet.eigenvectors(p),), last=True)


def _congruence(a: Planes, p: Planes) -> tuple[Planes]:
    """A P A^T from the nine entries of A: rows of A P, then the six products needed."""
    xx, yy, zz, yz, xz, xy = *p[:3], *(x * H2 for x in p[3:])
    columns = ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))
    rows = (a[:3], a[3:6], a[6:])
    ap = [[spectral.dot(row, column) for column in columns] for row in rows]
    scale = (1.0, 1.0, 1.0, R2, R2, R2)
    out = [spectral.dot(ap[i], rows[k]) for i, k in MANDEL]
    return (tuple(x if s == 1.0 else x * s for x, s in zip(out, scale, strict=True)),)


def _congruence_symmetric(a: Planes, p: Planes) -> tuple[Planes]:
    xx, yy, zz, yz, xz, xy = *a[:3], *(x * H2 for x in a[3:])
    return _congruence((xx, xy, xz, xy, yy, yz, xz, yz, zz), p)


_CONGRUENCE = Kernel(_congruence, 2)
_CONGRUENCE_SYMMETRIC = Kernel(_congruence_symmetric, 2)


def _apply(kernel: Kernel, p: Tensor, dim: int, *scalars: float) -> Tensor:
    check(p, dim, 6, "p")
    return kernel(p, dim=dim, scalars=scalars)[0]


def eigvals(p: Tensor, dim: int = 1) -> Tensor:
    """Eigenvalues, ascending.

    Args:
        p: matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        three planes along dim. Where eigenvalues meet, first derivatives are those of one of the orderings, and the
        term of second derivatives that does not exist is left out: smooth functions of the matrix are better
        written with the functions below.
    """
    return _apply(_EIGENVALUES, p, dim)


def eigenvectors(p: Tensor, dim: int = 1) -> Tensor:
    """Orthonormal eigenvectors in ascending order of eigenvalue; signs arbitrary; not differentiable.

    Args:
        p: matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        nine planes along dim, the row-major matrix whose column i belongs to eigenvalue i.
    """
    return _apply(_EIGENVECTORS, p.detach(), dim)


def log(p: Tensor, dim: int = 1) -> Tensor:
    """Matrix logarithm.

    Args:
        p: positive definite symmetric matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        shape of p.
    """
    return _apply(_LOG, p, dim)


def exp(p: Tensor, dim: int = 1) -> Tensor:
    """Matrix exponential; positive definite.

    Args:
        p: symmetric matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        shape of p.
    """
    return _apply(_EXP, p, dim)


def sqrt(p: Tensor, dim: int = 1) -> Tensor:
    """Positive definite square root.

    Args:
        p: positive definite symmetric matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        shape of p.
    """
    return _apply(_SQRT, p, dim)


def invsqrt(p: Tensor, dim: int = 1) -> Tensor:
    """Inverse of the positive definite square root.

    Args:
        p: positive definite symmetric matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        shape of p.
    """
    return _apply(_INVSQRT, p, dim)


def inverse(p: Tensor, dim: int = 1) -> Tensor:
    """Inverse.

    Args:
        p: non-singular symmetric matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        shape of p.
    """
    return _apply(_INVERSE, p, dim)


def power(p: Tensor, a: float, dim: int = 1) -> Tensor:
    """p^a = exp(a log p).

    Args:
        p: positive definite matrices, shape (..., 6, ...): six Mandel planes along dim.
        a: any real number.
        dim: where the planes are.
    Returns:
        shape of p.
    """
    return _apply(_POWER, p, dim, float(a))


def trace(p: Tensor, dim: int = 1) -> Tensor:
    """Sum of the eigenvalues.

    Args:
        p: symmetric matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        the shape of p without dim.
    """
    check(p, dim, 6, "p")
    return p.narrow(dim, 0, 3).sum(dim)


def det(p: Tensor, dim: int = 1) -> Tensor:
    """Product of the eigenvalues, as the polynomial in the entries.

    Args:
        p: symmetric matrices, shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        the shape of p without dim.
    """
    check(p, dim, 6, "p")
    xx, yy, zz, d, e, f = p.unbind(dim)
    # d, e, f carry sqrt2:  xx yy zz + 2 yz xz xy - xx yz^2 - yy xz^2 - zz xy^2
    return xx * (yy * zz - d * d / 2) + (H2 * d * e - zz * f / 2) * f - yy * e * e / 2


def congruence(a: Tensor, p: Tensor, dim: int = 1) -> Tensor:
    """A P A^T, the action of GL(3) on symmetric matrices.

    Args:
        a: nine row-major planes of a general matrix, or six Mandel planes of a symmetric one, along dim.
        p: six Mandel planes along dim; broadcasts against a outside dim.
        dim: where the planes are.
    Returns:
        six Mandel planes along dim.
    """
    check(p, dim, 6, "p")
    if -a.dim() <= dim < a.dim() and a.shape[dim] == 6:
        return _CONGRUENCE_SYMMETRIC(a, p, dim=dim)[0]
    check(a, dim, 9, "a")
    return _CONGRUENCE(a, p, dim=dim)[0]


def pack(matrices: Tensor, dim: int = -1) -> Tensor:
    """Mandel components of (the symmetric part of) matrices.

    Args:
        matrices: shape (..., 3, 3).
        dim: where the six components go in the result, which has one dimension less.
    Returns:
        shape (..., 6) with dim = -1, (6, ...) with dim = 0.
    Raises:
        MvnetError: another shape.
    """
    m = matrices
    if m.shape[-2:] != (3, 3):
        raise MvnetError(f"matrices: found shape {tuple(m.shape)}, expected (..., 3, 3)")
    off = [(m[..., i, k] + m[..., k, i]) * H2 for i, k in ((1, 2), (0, 2), (0, 1))]
    return torch.stack((m[..., 0, 0], m[..., 1, 1], m[..., 2, 2], *off), dim)


def unpack(planes: Tensor, dim: int = 1) -> Tensor:
    """Matrices from Mandel planes, exactly symmetric; inverse of `pack`.

    Args:
        planes: shape (..., 6, ...): six Mandel planes along dim.
        dim: where the planes are.
    Returns:
        shape (..., 3, 3), the planes' dimensions before them.
    """
    check(planes, dim, 6, "planes")
    xx, yy, zz, yz, xz, xy = planes.unbind(dim)
    yz, xz, xy = yz * H2, xz * H2, xy * H2
    return torch.stack((xx, xy, xz, xy, yy, yz, xz, yz, zz), -1).unflatten(-1, (3, 3))
