"""The law of one tensor given what was measured:  log T = c + exp(S / 2) v,  v = r^-1(w),  w standard normal.

S is a symmetric 6x6 matrix on Mandel planes, r a map along rays, with the spline of log |v| that the tails ask for. The
density of log T is closed:

    log p(log T) = log N(w) + log |det dr(v)| - tr S / 2

The trace of S is a scale. What remains acts by its exponential series, with as many terms as its norm asks for.
Source: paper section 4.1.1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.invertible import Knots, radial, radial_inverse

NORMAL = 3 * math.log(2 * math.pi)
"""-log N(0) of six components."""

_UPPER = torch.triu_indices(6, 6)


class Law(NamedTuple):
    """Laws of n tensors, centred log-tensors in Mandel planes.

    Attributes:
        centre: c, (6, n).
        scale: (n,), tr S / 12: logarithm of the typical deviation of a component.
        shape: (21, n), upper triangle of S / 2 without its trace.
        tail: (k, n), what the spline depends on.
    """

    centre: Tensor
    scale: Tensor
    shape: Tensor
    tail: Tensor

    def part(self, which: slice) -> Law:
        """Some of the voxels.

        Args:
            which: of the n.
        Returns:
            their laws.
        """
        return Law(*(t[..., which] for t in self))

    def log_density(self, logs: Tensor, spline: Knots, unit: Tensor) -> Tensor:
        """log p of centred log-tensors, with respect to their six planes.

        Args:
            logs: (6, n).
            spline, unit: of r, for the n voxels.
        Returns:
            (n,).
        """
        w, change = self.latents(logs, spline, unit)
        return change - w.square().sum(0) / 2 - NORMAL

    def latents(self, logs: Tensor, spline: Knots, unit: Tensor) -> tuple[Tensor, Tensor]:
        """w of centred log-tensors.

        Args:
            logs: (6, n).
            spline, unit: of r, for the n voxels.
        Returns:
            w (6, n), and log |dw / d log T| (n,).
        """
        v = apply_exp(-self.matrix(), logs - self.centre) * (-self.scale).exp()
        w, change = radial(v[None], spline, unit)
        return w[0], change[0] - 6 * self.scale

    def push(self, w: Tensor, spline: Knots, unit: Tensor) -> Tensor:
        """Centred log-tensors of latents.

        Args:
            w: (6, K, n).
            spline, unit: of r, for the n voxels.
        Returns:
            (6, K, n).
        """
        v = radial_inverse(w[None], spline, unit)[0][0] * self.scale.exp()
        matrix = self.matrix()
        identity = torch.eye(6, dtype=v.dtype, device=v.device).unsqueeze(2).expand_as(matrix)
        # exp(S / 2) once for all K
        return self.centre.unsqueeze(1) + multiply(apply_exp(matrix, identity), v)

    def matrix(self) -> Tensor:
        """S / 2 without its trace, (6, 6, n)."""
        full = self.shape.new_empty(6, 6, self.shape.shape[-1])
        full[_UPPER[0], _UPPER[1]] = self.shape
        full[_UPPER[1], _UPPER[0]] = self.shape
        return full


def pack(matrix: Tensor) -> Tensor:
    """Upper triangles of the symmetric part, (6, 6, n) -> (21, n).

    Args:
        matrix: any.
    Returns:
        in row-major order.
    """
    return ((matrix + matrix.transpose(0, 1)) / 2)[_UPPER[0], _UPPER[1]]


def multiply(matrix: Tensor, v: Tensor) -> Tensor:
    """Matrix-vector products, or products with K vectors.

    Args:
        matrix: (6, 6, n).
        v: (6, n) or (6, K, n).
    Returns:
        the shape of v.
    """
    rows = matrix if v.ndim == 2 else matrix.unsqueeze(2)
    out = rows[:, 0] * v[0]
    for j in range(1, 6):
        out = torch.addcmul(out, rows[:, j], v[j])
    return out


def apply_exp(matrix: Tensor, v: Tensor) -> Tensor:
    """exp(A) v by its series, sum_k A^k v / k!.

    Args:
        matrix: A, (6, 6, n), symmetric.
        v: (6, n) or (6, K, n).
    Returns:
        the shape of v.
    """
    out = term = v
    for k in range(1, count_terms(matrix) + 1):
        term = multiply(matrix, term) / k
        out = out + term
    return out


def count_terms(matrix: Tensor) -> int:
    """Terms of the series whose rest is below the rounding of the smallest result, e^-|A|.

    Args:
        matrix: A, (6, 6, n).
    Returns:
        the number, from the largest Frobenius norm.
    """
    norm = float(matrix.detach().square().sum((0, 1)).max().sqrt()) if matrix.numel() else 0.0
    log_bound = math.log(torch.finfo(matrix.dtype).eps) - norm
    log_term, k = 0.0, 0
    while norm > 0 and (log_term > log_bound or k < norm):
        k += 1
        log_term += math.log(norm / k)
    return k
