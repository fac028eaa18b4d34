"""Invertible matrices, by parametrisation.

| kind        | matrix                                                                  | inverse              |
|-------------|-------------------------------------------------------------------------|----------------------|
| lu          | P L U, P a fixed permutation, diagonal of U in (1/b, b)                  | two triangular solves |
| householder | product of n reflections I - 2 v v^T / |v|^2                             | transpose            |
| cayley      | (I - A/2)^-1 (I + A/2), A skew                                           | transpose            |
| exp         | exp(A), A skew                                                           | transpose            |
| givens      | product of the n (n - 1) / 2 rotations of pairs of axes                  | transpose            |

Source: paper section 4.1.3 and equation (59); Kingma and Dhariwal, Glow (2018); Tomczak and Welling (2016).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.invertible.base import wide


def skew(parameters: Tensor, n: int) -> Tensor:
    """Skew-symmetric matrices from their entries above the diagonal.

    Args:
        parameters: shape (..., n (n - 1) / 2), in row-major order.
        n: size of the matrices.
    Returns:
        shape (..., n, n).
    """
    rows, columns = torch.triu_indices(n, n, 1, device=parameters.device)
    matrix = parameters.new_zeros(*parameters.shape[:-1], n, n)
    matrix[..., rows, columns] = parameters
    return matrix - matrix.mT


def cayley(parameters: Tensor, n: int) -> Tensor:
    """Rotations (I - A/2)^-1 (I + A/2); all without the eigenvalue -1.

    Args:
        parameters: entries of A, shape (..., n (n - 1) / 2).
        n: size of the matrices.
    Returns:
        shape (..., n, n).
    """
    half, eye = skew(parameters, n) / 2, torch.eye(n, dtype=parameters.dtype, device=parameters.device)
    return torch.linalg.solve(eye - half, eye + half)


def exponential(parameters: Tensor, n: int) -> Tensor:
    """Rotations exp(A); all of them.

    Args:
        parameters: entries of A, shape (..., n (n - 1) / 2).
        n: size of the matrices.
    Returns:
        shape (..., n, n).
    """
    return torch.linalg.matrix_exp(skew(parameters, n))


def householder(parameters: Tensor, n: int) -> Tensor:
    """Products of n reflections; all orthogonal matrices.

    Args:
        parameters: the vectors one after the other, shape (..., n n); e_k is added to the k-th.
        n: size of the matrices.
    Returns:
        shape (..., n, n); zeros give minus the identity.
    """
    eye = torch.eye(n, dtype=parameters.dtype, device=parameters.device)
    product = eye.expand(*parameters.shape[:-1], n, n)
    vectors = parameters.unflatten(-1, (n, n)) + eye
    for v in vectors.unbind(-2):
        # Q (I - 2 v v^T / |v|^2)
        along = (product @ v[..., None]) * (2 / v.square().sum(-1))[..., None, None]
        product = product - along * v[..., None, :]
    return product


def givens(parameters: Tensor, n: int) -> Tensor:
    """Products of rotations in the planes of all pairs of axes; all rotations.

    Args:
        parameters: angles, shape (..., n (n - 1) / 2).
        n: size of the matrices.
    Returns:
        shape (..., n, n).
    """
    columns = list(
        torch.eye(n, dtype=parameters.dtype, device=parameters.device).expand(*parameters.shape[:-1], n, n).unbind(-1)
    )
    cos, sin = parameters.cos().unbind(-1), parameters.sin().unbind(-1)
    pairs = [(i, k) for i in range(n) for k in range(i + 1, n)]
    for (i, k), c, s in zip(pairs, cos, sin, strict=True):
        a, b = columns[i], columns[k]
        columns[i], columns[k] = c[..., None] * a + s[..., None] * b, c[..., None] * b - s[..., None] * a
    return torch.stack(columns, -1)


ORTHOGONAL: dict[str, tuple[Callable[[Tensor, int], Tensor], Callable[[int], int]]] = {
    "cayley": (cayley, lambda n: n * (n - 1) // 2),
    "exp": (exponential, lambda n: n * (n - 1) // 2),
    "householder": (householder, lambda n: n * n),
    "givens": (givens, lambda n: n * (n - 1) // 2),
}
"""Parametrisation -> matrices from free numbers, and how many of them."""


class Orthogonal(nn.Module):
    """A batch of learned orthogonal matrices.

    Args:
        n: their size.
        kind: a name of `ORTHOGONAL`.
        batch: shape of the batch.
        spread: deviation of the initial parameters.
        generator: source of these; torch's global one when None.
    Raises:
        MvnetError: unknown kind.
    """

    def __init__(
        self,
        n: int,
        kind: str = "cayley",
        batch: tuple[int, ...] = (),
        spread: float = 0.3,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if kind not in ORTHOGONAL:
            raise MvnetError(f"kind: found {kind!r}, expected one of {', '.join(ORTHOGONAL)}")
        self.n, self.kind = n, kind
        self.free = nn.Parameter(spread * torch.randn(*batch, ORTHOGONAL[kind][1](n), generator=generator))

    def forward(self) -> Tensor:
        """The matrices, computed in float64: the transpose is the inverse only as far as they are orthogonal.

        Returns:
            shape (*batch, n, n).
        """
        return ORTHOGONAL[self.kind][0](self.free.double(), self.n).to(wide(self.free))


class LU(nn.Module):
    """P L U with L unit lower triangular and the diagonal of U in (1/b, b): invertible, and its inverse bounded.

    Args:
        n: size of the matrix.
        bound: b.
        generator: source of the permutation and of the initial entries; torch's global one when None.
    Raises:
        MvnetError: a bound not above 1.
    """

    permutation: Tensor

    def __init__(self, n: int, bound: float = 4.0, *, generator: torch.Generator | None = None):
        super().__init__()
        if not 1 < bound < math.inf:
            raise MvnetError(f"bound: found {bound}, expected a number above 1")
        self.limit = math.log(bound)
        self.lower = nn.Parameter(0.1 * torch.randn(n, n, generator=generator))
        self.upper = nn.Parameter(0.1 * torch.randn(n, n, generator=generator))
        self.diagonal = nn.Parameter(torch.zeros(n))
        self.register_buffer("permutation", torch.randperm(n, generator=generator))

    def log_diagonal(self) -> Tensor:
        """Logarithms of the diagonal of U, shape (n,)."""
        return self.limit * torch.tanh(wide(self.diagonal) / self.limit)

    def factors(self) -> tuple[Tensor, Tensor]:
        """L and U, shape (n, n) each."""
        eye = torch.eye(len(self.diagonal), dtype=wide(self.lower).dtype, device=self.lower.device)
        return wide(self.lower).tril(-1) + eye, wide(self.upper).triu(1) + torch.diag(self.log_diagonal().exp())

    def forward(self) -> Tensor:
        """The matrix, shape (n, n)."""
        lower, upper = self.factors()
        return (lower @ upper)[self.permutation]
