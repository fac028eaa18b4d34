"""Scalar maps of diffusion tensors, principal directions, and errors between two tensor fields.

Every function takes Mandel planes with the 6 components at `dim` (default 1: fields (B, 6, ...)); scalar maps
drop that dim. Diffusivities keep the unit of the input, angles are in degrees, the rest is dimensionless.

Scalar maps and errors are differentiable, with finite gradients at isotropic tensors and where the two fields
coincide. Directions are measurements: they carry no gradient.
Source: Basser, Pierpaoli, J. Magn. Reson. B 111 (1996) 209; Arsigny et al., Magn. Reson. Med. 56 (2006) 411.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import affine_invariant, sym3

REFERENCE_DIFFUSIVITY = 0.75
"""um^2/ms: mean diffusivity of brain tissue at body temperature, in which networks see a volume."""


def mean_diffusivity(p: Tensor, dim: int = 1) -> Tensor:
    """MD = tr D / 3.

    Args:
        p: tensors, shape (..., 6, ...): six Mandel planes at dim, any unit of diffusivity.
        dim: where the planes are.
    Returns:
        the shape without dim, unit of p.
    """
    _check(p, dim)
    return sym3.trace(p, dim=dim) / 3


def axial_diffusivity(p: Tensor, dim: int = 1) -> Tensor:
    """AD = largest eigenvalue.

    Args:
        p: tensors, shape (..., 6, ...): six Mandel planes at dim, any unit of diffusivity.
        dim: where the planes are.
    Returns:
        the shape without dim, unit of p.
    """
    return sym3.eigvals(p, dim=dim).select(dim, 2)


def radial_diffusivity(p: Tensor, dim: int = 1) -> Tensor:
    """RD = mean of the two smaller eigenvalues.

    Args:
        p: tensors, shape (..., 6, ...): six Mandel planes at dim, any unit of diffusivity.
        dim: where the planes are.
    Returns:
        the shape without dim, unit of p.
    """
    return sym3.eigvals(p, dim=dim).narrow(dim, 0, 2).mean(dim)


def fractional_anisotropy(p: Tensor, dim: int = 1) -> Tensor:
    """FA = sqrt(3/2) |D - MD I| / |D|, Frobenius norms; 0 for isotropic tensors and for the zero tensor.

    In [0, 1] for positive semi-definite D, up to sqrt(3/2) otherwise. Both norms are those of the planes.

    Args:
        p: tensors, shape (..., 6, ...): six Mandel planes at dim, any unit of diffusivity.
        dim: where the planes are.
    Returns:
        the shape without dim, dimensionless.
    """
    return _norm(anisotropy(p, dim), dim)


def anisotropy(p: Tensor, dim: int = 1) -> Tensor:
    """A = sqrt(3/2) (D - MD I) / |D| on planes: shape and orientation without size; |A| is the FA.

    Args:
        p: tensors, shape (..., 6, ...): six Mandel planes at dim, any unit of diffusivity.
        dim: where the planes are.
    Returns:
        shape of p, dimensionless.
    """
    unit = _unit_scale(p, dim)
    return math.sqrt(1.5) * _deviatoric(unit, dim) / _nonzero(_norm(unit, dim).unsqueeze(dim))


def anisotropy_error(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    """|A(x) - A(y)|, Frobenius norm of the difference of the anisotropies.

    Args:
        x, y: tensors, shape (..., 6, ...): six Mandel planes at dim, one unit; broadcast outside dim.
        dim: where the planes are.
    Returns:
        the shape without dim, dimensionless.
    """
    return _norm(anisotropy(x, dim) - anisotropy(y, dim), dim)


def affine_invariant_error(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    """|log(X^-1/2 Y X^-1/2)|, the geodesic distance of the paper's metric (section 2.3).

    Args:
        x, y: tensors, shape (..., 6, ...): six Mandel planes at dim, one unit; broadcast outside dim.
        dim: where the planes are.
    Returns:
        the shape without dim, dimensionless.
    """
    return affine_invariant.dist(x, y, dim=dim)


def log_euclidean_error(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    """|log X - log Y|, Frobenius norm.

    Args:
        x, y: tensors, shape (..., 6, ...): six Mandel planes at dim, one unit; broadcast outside dim.
        dim: where the planes are.
    Returns:
        the shape without dim, dimensionless.
    """
    return _norm(sym3.log(x, dim=dim) - sym3.log(y, dim=dim), dim)


def deviatoric_log_error(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    """|dev(log X - log Y)|, dev(A) = A - tr(A) I / 3: shape and orientation, whatever the determinants.

    Args:
        x, y: tensors, shape (..., 6, ...): six Mandel planes at dim, one unit; broadcast outside dim.
        dim: where the planes are.
    Returns:
        the shape without dim, dimensionless.
    """
    return _norm(_deviatoric(sym3.log(x, dim=dim) - sym3.log(y, dim=dim), dim), dim)


def v1_angle(x: Tensor, y: Tensor, dim: int = 1) -> Tensor:
    """Angle between the principal directions; no gradient.

    atan2(|v x w|, |v . w|), accurate at small angles, where the arc cosine is not.

    Args:
        x, y: tensors, shape (..., 6, ...): six Mandel planes at dim, one unit; broadcast outside dim.
        dim: where the planes are.
    Returns:
        the shape without dim, degrees, 0 to 90.
    """
    v, w = (torch.stack(principal_direction(p, dim=dim).unbind(dim)) for p in (x, y))
    sine = torch.linalg.vector_norm(torch.linalg.cross(v, w, dim=0), dim=0)
    return torch.rad2deg(torch.atan2(sine, (v * w).sum(0).abs()))


@torch.no_grad()
def principal_direction(p: Tensor, dim: int = 1) -> Tensor:
    """Unit eigenvector of the largest eigenvalue, in closed form; sign arbitrary, no gradient.

    1. Let l be the isolated eigenvalue, the largest or the smallest. The rows of D - l I are orthogonal to its
       vector u, so u is the longest of their three cross products.
    2. If l is the smallest, the answer is in the plane a, b orthogonal to u: cos t a + sin t b with
       tan 2t = 2 a.D b / (a.D a - b.D b).
    The error is rounding over the relative gap of the eigenvalues; where the largest eigenvalue is repeated,
    some unit vector of its eigenspace.

    Args:
        p: tensors, shape (..., 6, ...): six Mandel planes at dim, any unit.
        dim: where the planes are.
    Returns:
        3 planes x, y, z at dim.
    Source: Eberly, A robust eigensolver for 3x3 symmetric matrices (2014).
    """
    p = _unit_scale(_deviatoric(p, dim), dim)
    # D -> its isolated eigenvalue l -> u, from the rows of D - l I
    low, middle, high = sym3.eigvals(p, dim=dim).unbind(dim)
    prolate = high - middle >= middle - low
    d = _rows(p, dim)
    isolated = torch.where(prolate, high, low)
    u = _null_vector([[d[i][j] - isolated if i == j else d[i][j] for j in range(3)] for i in range(3)])
    # u -> frame (u, a, b) -> the 2x2 block of D in a, b -> its larger eigenvector
    a, b = _complement(u)
    da, db = _apply(d, a), _apply(d, b)
    t = torch.atan2(2 * _dot(a, db), _dot(a, da) - _dot(b, db)) / 2
    in_plane = t.cos() * a + t.sin() * b
    return torch.where(prolate, u, in_plane).movedim(0, dim)


def _check(p: Tensor, dim: int) -> None:
    if not -p.ndim <= dim < p.ndim or p.shape[dim] != 6:
        raise MvnetError(f"p: found shape {tuple(p.shape)}, expected 6 Mandel planes at dim {dim}")


def _rows(p: Tensor, dim: int) -> list[list[Tensor]]:
    """The 3x3 entries as planes."""
    xx, yy, zz, yz, xz, xy = p.unbind(dim)
    yz, xz, xy = (q * math.sqrt(0.5) for q in (yz, xz, xy))
    return [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]


def _apply(d: list[list[Tensor]], v: Tensor) -> Tensor:
    """D v, v (3, ...)"""
    return torch.stack([row[0] * v[0] + row[1] * v[1] + row[2] * v[2] for row in d])


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(0)


def _null_vector(rows: list[list[Tensor]]) -> Tensor:
    """Unit vector (3, ...) orthogonal to the rows of a singular matrix; e_x where all are parallel."""
    x, y, z = (torch.stack(row) for row in rows)
    best = torch.linalg.cross(x, y, dim=0)
    square = _dot(best, best)
    for r, s in ((y, z), (z, x)):
        candidate = torch.linalg.cross(r, s, dim=0)
        longer = _dot(candidate, candidate) > square
        best = torch.where(longer, candidate, best)
        square = torch.where(longer, _dot(candidate, candidate), square)
    fallback = torch.zeros_like(best)
    fallback[0] = 1
    return torch.where(square > 0, best / _nonzero(square).sqrt(), fallback)


def _complement(u: Tensor) -> tuple[Tensor, Tensor]:
    """Two unit vectors that complete u (3, ...) to a frame. Source: Duff et al., JCGT 6 (2017) 1."""
    x, y, z = u
    sign = torch.where(z < 0, -1.0, 1.0).to(u.dtype)
    c = -1 / (sign + z)
    d = x * y * c
    return torch.stack((1 + sign * x * x * c, sign * d, -sign * x)), torch.stack((d, sign + y * y * c, -y))


def _deviatoric(p: Tensor, dim: int) -> Tensor:
    """A - tr(A) I / 3 on planes."""
    _check(p, dim)
    diagonal, off = p.split(3, dim)
    return torch.cat((diagonal - diagonal.mean(dim, keepdim=True), off), dim)


def _unit_scale(p: Tensor, dim: int) -> Tensor:
    """p over its largest entry, so that squares neither overflow nor vanish in any unit."""
    return p / _nonzero(p.detach().abs().amax(dim, keepdim=True))


def _nonzero(x: Tensor) -> Tensor:
    """x, with 1 in place of 0."""
    return torch.where(x == 0, torch.ones_like(x), x)


def _norm(p: Tensor, dim: int) -> Tensor:
    """Frobenius norm of planes; gradient 0 at 0."""
    square = p.square().sum(dim)
    return torch.where(square == 0, torch.zeros_like(square), _nonzero(square).sqrt())
