"""What a Runge-Kutta method keeps of a contractive flow, read off its tableau: paper section 2.2.1.

With M = (b_i a_ij + b_j a_ji - b_i b_j) and B = diag(b):

- b >= 0 and M >= 0, algebraic stability: the method is B-stable, distances do not grow at any step size on any field
  with <f(x) - f(y), x - y> <= 0.
- Explicit methods have no such M. On fields with <f(x) - f(y), x - y> <= -m |f(x) - f(y)|^2 distances do not grow
  for h <= 2 m r, with the radius r = -1 / lambda_min(B^-1/2 M B^-1/2) of circle contractivity. (The paper prints the
  condition with the same argument twice.)
- M = 0: quadratic invariants are kept, and the method is symplectic.

Source: Dahlquist and Jeltsch, Generalized disks of contractivity (1979); Hairer, Wanner (1996), section IV.12.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

ROUNDING = 1e-12
"""Eigenvalues above minus this count as not negative: coefficients are rounded."""


class Coefficients(Protocol):
    """A tableau, explicit or implicit; rows of `a` may end at the diagonal."""

    @property
    def a(self) -> Sequence[Sequence[float]]:
        """a_ij"""
        ...

    @property
    def b(self) -> Sequence[float]:
        """b_i"""
        ...


def _arrays(tableau: Coefficients) -> tuple[np.ndarray, np.ndarray]:
    b = np.array(tableau.b, dtype=np.float64)
    a = np.zeros((len(b), len(b)))
    for i, row in enumerate(tableau.a):
        a[i, : len(row)] = row
    return a, b


def stability_matrix(tableau: Coefficients) -> np.ndarray:
    """M = (b_i a_ij + b_j a_ji - b_i b_j)

    Args:
        tableau: coefficients.
    Returns:
        shape (s, s), symmetric.
    """
    a, b = _arrays(tableau)
    return b[:, None] * a + (b[:, None] * a).T - np.outer(b, b)


def is_algebraically_stable(tableau: Coefficients) -> bool:
    """Whether b >= 0 and M >= 0.

    Args:
        tableau: coefficients.
    Returns:
        whether the method is B-stable.
    """
    return min(tableau.b) >= 0 and np.linalg.eigvalsh(stability_matrix(tableau))[0] >= -ROUNDING


def contractivity_radius(tableau: Coefficients) -> float:
    """r = -1 / lambda_min(B^-1/2 M B^-1/2)

    Args:
        tableau: coefficients.
    Returns:
        inf for algebraically stable methods; 0 where a weight is not positive.
    """
    if min(tableau.b) <= 0:
        return np.inf if is_algebraically_stable(tableau) else 0.0
    root = np.sqrt(np.array(tableau.b))
    least = np.linalg.eigvalsh(stability_matrix(tableau) / np.outer(root, root))[0]
    return np.inf if least >= -ROUNDING else float(-1 / least)


def is_symplectic(tableau: Coefficients) -> bool:
    """Whether M = 0: quadratic invariants are kept, and so is the symplectic form.

    Args:
        tableau: coefficients.
    Returns:
        whether every entry of M is zero.
    """
    return bool(np.abs(stability_matrix(tableau)).max() <= ROUNDING)


def is_symmetric(tableau: Coefficients) -> bool:
    """Whether a step of -h undoes a step of h: a_{s+1-i, s+1-j} + a_ij = b_j = b_{s+1-j}.

    Args:
        tableau: coefficients.
    Returns:
        whether the method is its own adjoint.
    """
    a, b = _arrays(tableau)
    return bool(np.abs(a[::-1, ::-1] + a - b).max() <= ROUNDING and np.abs(b - b[::-1]).max() <= ROUNDING)
