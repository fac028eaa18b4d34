"""GMRES: a linear system that is known by its products alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def gmres(
    product: Callable[[Tensor], Tensor], b: Tensor, *, tolerance: float, space: int = 60, restarts: int = 10
) -> tuple[Tensor, float]:
    """Solve A x = b: x minimises |b - A x| over span(r, A r, A^2 r, ...), r = b - A x_0 anew at each restart.

    Args:
        product: v (n,) -> A v.
        b: (n,).
        tolerance: of the residual, relative to b.
        space: largest dimension of the Krylov space.
        restarts: largest number of Krylov spaces.
    Returns:
        x (n,), and |b - A x| / |b|.
    Source: Saad and Schultz, SIAM J. Sci. Stat. Comput. 7 (1986) 856.
    """
    size, x, r = float(b.norm()), torch.zeros_like(b), b
    if size == 0:
        return x, 0.0
    residual = 1.0
    for _ in range(restarts):
        x = x + _correction(product, r, tolerance * size, min(space, len(b)))
        r = b - product(x)
        previous, residual = residual, float(r.norm()) / size
        if residual <= tolerance or not residual < previous / 2:
            break
    return x, residual


def _correction(product: Callable[[Tensor], Tensor], r: Tensor, bound: float, space: int) -> Tensor:
    """The x of one Krylov space that minimises |r - A x|."""
    size = r.norm()
    basis, hessenberg = r.new_zeros(space + 1, len(r)), r.new_zeros(space + 1, space)
    right = r.new_zeros(space + 1, 1)
    basis[0], right[0] = r / size, size
    y, used = r.new_zeros(0, 1), 0
    for k in range(space):
        v = product(basis[k])
        for _ in range(2):  # Gram-Schmidt, twice: orthogonal to rounding
            inner = basis[: k + 1] @ v
            v = v - inner @ basis[: k + 1]
            hessenberg[: k + 1, k] += inner
        hessenberg[k + 1, k] = v.norm()
        used = k + 1
        # min_y | size e_1 - H y |
        q, triangle = torch.linalg.qr(hessenberg[: k + 2, : k + 1])
        y = torch.linalg.solve_triangular(triangle, q.mT @ right[: k + 2], upper=True)
        left = float((right[: k + 2] - hessenberg[: k + 2, : k + 1] @ y).norm())
        if left <= bound or float(hessenberg[k + 1, k]) <= torch.finfo(r.dtype).eps * float(
            hessenberg[: k + 1, k].norm()
        ):
            break
        basis[k + 1] = v / hessenberg[k + 1, k]
    return y[:, 0] @ basis[:used]
