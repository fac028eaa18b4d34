"""Conjugate gradients for a symmetric matrix that is known by its products alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Solution(NamedTuple):
    """What conjugate gradients found.

    Args:
        x: (n,).
        products: number of products with the matrix.
        residual: |b - A x| / |b|; that of the recurrence.
        negative: whether a direction of zero or negative curvature ended the iteration.
    """

    x: Tensor
    products: int
    residual: float
    negative: bool


@torch.no_grad()
def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    b: Tensor,
    *,
    iterations: int = 50,
    tolerance: float = 1e-6,
    precondition: Callable[[Tensor], Tensor] | None = None,
) -> Solution:
    """Solve A x = b from x = 0.

    A direction p with p^T A p <= 0 shows that A is not positive definite: the iteration ends with the x that it had,
    along which the model x^T A x / 2 - b^T x has only fallen; with b itself when the very first direction is one.

    Args:
        product: v (n,) -> A v, A symmetric.
        b: (n,).
        iterations: largest number of products.
        tolerance: of the residual, relative to b.
        precondition: v -> M v with M symmetric positive definite, near the inverse of A.
    Returns:
        the solution and how it was reached.
    Source: Hestenes and Stiefel (1952); Nocedal and Wright, Numerical Optimization (2006), algorithms 5.3 and 7.1.
    """
    x, r = torch.zeros_like(b), b.clone()
    size = float(b.norm())
    if size == 0:
        return Solution(x, 0, 0.0, False)
    z = r if precondition is None else precondition(r)
    p, rz = z.clone(), torch.dot(r, z)
    residual = 1.0
    for count in range(1, iterations + 1):
        # alpha = r^T z / p^T A p;  x + alpha p;  r - alpha A p;  p <- z + beta p
        q = product(p)
        curvature = torch.dot(p, q)
        if not curvature > 0:
            return Solution(b.clone() if count == 1 else x, count, residual, True)
        alpha = rz / curvature
        x.addcmul_(alpha, p)
        r.addcmul_(-alpha, q)
        residual = float(r.norm()) / size
        if residual <= tolerance:
            break
        z = r if precondition is None else precondition(r)
        before, rz = rz, torch.dot(r, z)
        p.mul_(rz / before).add_(z)
    return Solution(x, count, residual, False)
