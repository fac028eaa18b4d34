"""The largest growth of a family of matrices L D R, D diagonal: what one-sided Lipschitz constants are made of.

The Jacobian of every field of paper section 2.1 is M = L D R (+ a fixed matrix), where D holds slopes of sigma. Then

    nu <= sup_D lambda_max(sym M),      sym M = (M + M^T) / 2,

below paper eq. (14). lambda_max is convex and M is linear in D, so the supremum stands at a vertex of the cube of D.
Up to `EXACT` rows of R all vertices are tried. Above, the smaller of two upper bounds is taken, with D = c + r E and
|E| <= 1:

- Gershgorin's discs of sym(c L R), with radii r (|L| |R| + |R|^T |L|^T) / 2 added. For skew-symmetric A and slopes in
  [0, 1] this is |A|_inf / 2, the bound of the paper.
- lambda_max(sym(c L R) + r/2 sum_k (a_k l_k l_k^T + r_k r_k^T / a_k)), since +-(l r^T + r l^T) <= a l l^T + r r^T / a
  for a > 0; a_k = |r_k| / |l_k|.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

EXACT = 12
"""Most rows of R, for which all vertices are tried: 2^12 eigenvalue problems a matrix."""


def largest_growth(
    left: Tensor | None,
    right: Tensor,
    slopes: tuple[float, float] | Tensor,
    fixed: Tensor | None = None,
) -> Tensor:
    """sup lambda_max(sym(L D R + F)) over a batch of matrices and over D with entries in the range of the slopes.

    Args:
        left: L, shape (..., d, m); None for the identity.
        right: R, shape (..., m, d).
        slopes: least and largest slope; or one row of the two for each of the m.
        fixed: F, shape (..., d, d); None for 0.
    Returns:
        a scalar: exact for m <= `EXACT`, an upper bound above.
    """
    m = right.shape[-2]
    if left is None:
        left = torch.eye(m, dtype=right.dtype, device=right.device)
    low, high = torch.as_tensor(slopes, dtype=right.dtype, device=right.device).expand(m, 2).unbind(-1)
    constant = right.new_zeros(1, 1) if fixed is None else symmetric_part(fixed)
    if m > EXACT:
        return _upper_bound(left, right, (low + high) / 2, (high - low) / 2, constant)
    d = right.shape[-1]
    choices = [sorted({float(a), float(b)}) for a, b in zip(low, high, strict=True)]
    vertices = right.new_tensor(list(product(*choices)))  # (number, m)
    batch = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2], constant.shape[:-2])
    factors = zip(
        left.expand(*batch, d, m).reshape(-1, d, m),
        right.expand(*batch, m, d).reshape(-1, m, d),
        constant.expand(*batch, d, d).reshape(-1, d, d),
        strict=True,
    )
    found = []
    for one_left, one_right, one_constant in factors:
        matrices = one_left * vertices[:, None, :] @ one_right  # (number, d, d)
        found.append(torch.linalg.eigvalsh(symmetric_part(matrices) + one_constant)[..., -1].amax())
    return torch.stack(found).amax()


def _upper_bound(left: Tensor, right: Tensor, middle: Tensor, radius: Tensor, constant: Tensor) -> Tensor:
    """The smaller of the two bounds of the module, for every matrix of a batch; the largest of these."""
    centre = symmetric_part(left * middle @ right) + constant
    spread = left.abs() * radius @ right.abs()
    spread = (spread + spread.mT) / 2
    rows = (centre.abs() + spread).sum(-1) - centre.diagonal(dim1=-2, dim2=-1).abs()
    gershgorin = (centre.diagonal(dim1=-2, dim2=-1) + rows).amax(-1)
    tiny = torch.finfo(right.dtype).tiny ** 0.5
    a = right.norm(dim=-1).clamp(min=tiny) / left.norm(dim=-2).clamp(min=tiny)  # (..., m)
    majorant = left * (a * radius)[..., None, :] @ left.mT + right.mT * (radius / a)[..., None, :] @ right
    eigenvalue = torch.linalg.eigvalsh(centre + majorant / 2)[..., -1]
    return torch.minimum(gershgorin, eigenvalue).amax()


def growth_in_time(
    left: Tensor,
    right: Tensor,
    slopes: tuple[float, float] | Tensor,
    linear: bool,
    fixed: Tensor | None = None,
) -> Tensor:
    """`largest_growth` of L(t) D R(t) + F(t) over all times.

    Between two values, (1 - s) (L, R) + s (L', R') has (1 - s)^2 L D R + 2 s (1 - s) M + s^2 L' D R' with the mixed
    product M = (L D R' + L' D R) / 2, a convex combination. Two D in M for the one bound it from above.

    Args:
        left: (count, d, m).
        right: (count, m, d).
        slopes: as in `largest_growth`.
        linear: whether the values are joined by lines.
        fixed: (count, d, d); None for 0.
    Returns:
        a scalar.
    """
    found = largest_growth(left, right, slopes, fixed)
    if not linear:
        return found
    lefts = torch.cat((left[:-1], left[1:]), -1) / 2
    rights = torch.cat((right[1:], right[:-1]), -2)
    both = torch.as_tensor(slopes).expand(right.shape[-2], 2).repeat(2, 1)
    mixed = largest_growth(lefts, rights, both, None if fixed is None else (fixed[:-1] + fixed[1:]) / 2)
    return torch.maximum(found, mixed)


def symmetric_part(a: Tensor) -> Tensor:
    """(A + A^T) / 2

    Args:
        a: shape (..., d, d).
    Returns:
        the same shape.
    """
    return (a + a.mT) / 2


def spectral_norm(a: Tensor) -> Tensor:
    """Largest singular value.

    Args:
        a: shape (..., m, d).
    Returns:
        shape (...).
    """
    return torch.linalg.matrix_norm(a, 2)


def smallest_stretch(a: Tensor) -> Tensor:
    """min |A x| / |x|: the smallest singular value mu of paper Theorem 2.1; 0 where A has fewer rows than columns.

    Args:
        a: shape (..., m, d).
    Returns:
        shape (...).
    """
    if a.shape[-2] < a.shape[-1]:
        return a.new_zeros(a.shape[:-2])
    return torch.linalg.svdvals(a)[..., -1]
