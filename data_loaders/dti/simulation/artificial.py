"""The artificial SPD image on which manifold-valued image restoration is compared."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mvnet.errors import MvnetError


def artificial_spd_image(size: int = 25, jump: float = 1.5) -> Tensor:
    """An image of SPD matrices: rotating eigenvectors, linearly varying eigenvalues, jumps.

    With t_k = (k - 1) / n, v1 = |2 pi t - pi|, v2 = pi t, v3 = linspace(0, 3 (1 - 1/n), 2n), row x and column
    y from 1,

        X = A B C diag(1 + J/2 [x+y > n],  1 + v3 - J [y > n/2],  4 - v3 + J [x > n/2]) C^T B^T A^T

    v3 at index x + y, A a rotation about z by v1[y], B about x by v2[x], C about y by v1[(y - x) mod n + 1].

    Args:
        size: n, at least 2.
        jump: J.
    Returns:
        (n, n, 3, 3) float64, rows x first.
    Source: Bacak, Bergmann, Steidl, Weinmann, SIAM J. Sci. Comput. 38 (2016) A567-A597, section 5.2.
    """
    if size < 2:
        raise MvnetError(f"size: found {size}, expected at least 2")
    n = size
    t = torch.arange(n, dtype=torch.float64) / n
    v1, v2 = (2 * math.pi * t - math.pi).abs(), math.pi * t
    v3 = torch.linspace(0, 3 * (1 - 1 / n), 2 * n, dtype=torch.float64)
    x, y = torch.meshgrid(torch.arange(1, n + 1), torch.arange(1, n + 1), indexing="ij")

    q = _rotation(v1[y - 1], 0, 1) @ _rotation(v2[x - 1], 1, 2) @ _rotation(v1[(y - x) % n], 0, 2)
    slope = v3[x + y - 1]
    values = torch.stack(
        [
            1 + jump / 2 * (x + y > n),
            1 + slope - jump * (y > n / 2),
            4 - slope + jump * (x > n / 2),
        ],
        -1,
    )
    return (q * values.unsqueeze(-2)) @ q.mT


def _rotation(angle: Tensor, i: int, j: int) -> Tensor:
    """[[c, -s], [s, c]] in rows and columns i < j of the identity: angles (*) -> (*, 3, 3)."""
    matrix = torch.eye(3, dtype=angle.dtype).repeat(*angle.shape, 1, 1)
    c, s = angle.cos(), angle.sin()
    matrix[..., i, i], matrix[..., i, j] = c, -s
    matrix[..., j, i], matrix[..., j, j] = s, c
    return matrix
