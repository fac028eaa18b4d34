"""What tells one matrix group from another: KINDS, one line for each.

Everything else stands once, in `mvnet.manifolds.matrix_groups.group`. All functions act on batches (..., n, n).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.linalg.polar import polar

Map = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Kind:
    """A group of matrices whose transposes belong to it too, with or without translations.

    Args:
        algebra: W -> nearest element of the Lie algebra.
        membership: x -> 0 in the group, the relative size of what is wrong elsewhere, inf beyond repair.
        tangent: x, v -> nearest vector in x g, g the algebra.
        nearest: x -> a near, where it is unique the nearest, element of the group.
        dim: n -> dimension of the group.
        orthogonal: a subgroup of O(n): compact, and its Cayley transform a second-order retraction.
        even: n must be.
        translations: points are homogeneous matrices (x, b; 0, 1) with x in the group, b in R^n.
    """

    algebra: Map
    membership: Map
    tangent: Callable[[Tensor, Tensor], Tensor]
    nearest: Map
    dim: Callable[[int], int]
    orthogonal: bool = False
    even: bool = False
    translations: bool = False


def _eye(x: Tensor) -> Tensor:
    return torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)


def skew(w: Tensor) -> Tensor:
    """(W - W^T) / 2

    Args:
        w: shape (..., n, n).
    Returns:
        the same shape.
    """
    return (w - w.mT) / 2


# ---- O(n) and SO(n): x^T x = 1 ----


def _orthogonality(x: Tensor) -> Tensor:
    return (x.mT @ x - _eye(x)).abs().amax((-2, -1))


def _rotation(x: Tensor) -> Tensor:
    return torch.where(torch.linalg.det(x) > 0, _orthogonality(x), math.inf)


def _orthogonal_tangent(x: Tensor, v: Tensor) -> Tensor:
    return x @ skew(x.mT @ v)


# ---- GL(n) and SL(n) ----


def _invertibility(x: Tensor) -> Tensor:
    logarithm = torch.linalg.slogdet(x)[1]
    return torch.where(logarithm.isfinite(), 0.0, math.inf).to(x.dtype)


def _unit_determinant(x: Tensor) -> Tensor:
    sign, logarithm = torch.linalg.slogdet(x)
    return torch.where(sign > 0, logarithm.abs() / x.shape[-1], math.inf)


def _traceless(w: Tensor) -> Tensor:
    return w - w.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None] * _eye(w)


def _along_determinant(x: Tensor, v: Tensor) -> Tensor:
    """v - tr(x^-1 v) / |x^-1|^2 x^-T"""
    inverse = torch.linalg.inv(x)
    share = (inverse.mT * v).sum((-2, -1)) / inverse.square().sum((-2, -1))
    return v - share[..., None, None] * inverse.mT


def _invertible(x: Tensor) -> Tensor:
    """Singular values of at least 64 rounding units of the largest one."""
    u, s, vh = torch.linalg.svd(x)
    largest = torch.where(s[..., :1] > 0, s[..., :1], 1.0)
    return x + (u * (64 * torch.finfo(x.dtype).eps * largest - s).clamp(min=0).unsqueeze(-2)) @ vh


def _of_unit_determinant(x: Tensor) -> Tensor:
    """Singular values s -> t > 0 with t (t - s) = c, one c for all, and product 1, where |t - s|^2 is stationary.

    If det x < 0 the smallest s counts as negative. The c is found by bisection.

    Args:
        x: shape (..., n, n).
    Returns:
        the same shape.
    """
    u, s, vh = torch.linalg.svd(x)
    sign = torch.linalg.det(u @ vh).sign().unsqueeze(-1)
    s = torch.cat((s[..., :-1], s[..., -1:] * sign), -1)
    smallest = s[..., -1:]
    low = torch.where(smallest > 0, -smallest.square() / 4, 0.0)
    high = (1 + s.abs().amax(-1, keepdim=True)).square()
    high = high * high  # then every t is at least 1
    for _ in range(2 * int(-math.log2(torch.finfo(x.dtype).eps))):
        middle = (low + high) / 2
        t = (s + (s.square() + 4 * middle).clamp(min=0).sqrt()) / 2
        above = t.clamp(min=torch.finfo(x.dtype).tiny).log().sum(-1, keepdim=True) > 0
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    t = (s + (s.square() + 2 * (low + high)).clamp(min=0).sqrt()) / 2
    t = t / t.log().mean(-1, keepdim=True).exp()
    return (u * torch.cat((t[..., :-1], t[..., -1:] * sign), -1).unsqueeze(-2)) @ vh


# ---- Sp(2n): x^T J x = J, J = (0, 1; -1, 0) ----


def _times_j(x: Tensor) -> Tensor:
    """J x"""
    upper, lower = x.chunk(2, -2)
    return torch.cat((lower, -upper), -2)


def _adjoint(x: Tensor) -> Tensor:
    """-J x^T J, the inverse in the group"""
    return _times_j(_times_j(x).mT)


def _hamiltonian(w: Tensor) -> Tensor:
    """J W symmetric"""
    return (w - _adjoint(w)) / 2


def _symplecticity(x: Tensor) -> Tensor:
    residual = (_adjoint(x) @ x - _eye(x)).abs().amax((-2, -1))
    return residual / x.abs().amax((-2, -1)).square().clamp(min=1)


def _symplectic_tangent(x: Tensor, v: Tensor) -> Tensor:
    """v - J x A with A skew, B A + A B = -2 skew(x^T J v), B = x^T x"""
    x, v = torch.broadcast_tensors(x, v)
    b, right = x.mT @ x, -2 * skew(x.mT @ _times_j(v))
    with torch.no_grad():
        values, u = torch.linalg.eigh(b)
        sums = values.unsqueeze(-1) + values.unsqueeze(-2)

    def solve(r: Tensor) -> Tensor:
        return u @ ((u.mT @ r @ u) / sums) @ u.mT

    a = solve(right.detach())
    # once more: no change of the value, and the derivatives of the solution
    a = a + solve(right - b @ a - a @ b)
    return v - _times_j(x) @ a


def _symplectic(x: Tensor) -> Tensor:
    """A matrix of the group from which no step towards x along it leads nearer.

    It begins with the factor s of x = s p with s in the group and -J p^T J = p, found by s <- (s + (-J s^T J)^-1) / 2,
    or with the orthogonal symplectic matrix nearest to x where there is no such factor.

    Args:
        x: shape (..., 2n, 2n).
    Returns:
        the same shape.
    """
    s = x
    for _ in range(12):
        inverse, failed = torch.linalg.inv_ex(_adjoint(s))
        s = torch.where((failed == 0)[..., None, None], (s + inverse) / 2, s)
    good = _symplecticity(s) <= 64 * torch.finfo(x.dtype).eps
    unitary = polar((x + _times_j(_times_j(x.mT).mT)) / 2)  # x - J x J commutes with J
    s = torch.where(good[..., None, None], s, unitary)
    for _ in range(8):
        w = _hamiltonian(torch.linalg.solve(s, _symplectic_tangent(s, x - s)))
        new = s @ torch.linalg.matrix_exp(w)
        nearer = (x - new).square().sum((-2, -1)) < (x - s).square().sum((-2, -1))
        s = torch.where(nearer[..., None, None], new, s)
    return s


def _orthogonal(membership: Map, determinant: bool, translations: bool = False) -> Kind:
    return Kind(
        skew,
        membership,
        _orthogonal_tangent,
        lambda x: polar(x, determinant),
        lambda n: n * (n - 1) // 2,
        orthogonal=True,
        translations=translations,
    )


def _general(translations: bool) -> Kind:
    return Kind(lambda w: w, _invertibility, lambda x, v: v, _invertible, lambda n: n * n, translations=translations)


KINDS: dict[str, Kind] = {
    "O": _orthogonal(_orthogonality, False),
    "SO": _orthogonal(_rotation, True),
    "GL": _general(False),
    "SL": Kind(_traceless, _unit_determinant, _along_determinant, _of_unit_determinant, lambda n: n * n - 1),
    "Sp": Kind(_hamiltonian, _symplecticity, _symplectic_tangent, _symplectic, lambda n: n * (n + 1) // 2, even=True),
    "SE": _orthogonal(_rotation, True, translations=True),
    "affine": _general(True),
}
"""name -> kind. To add a group: its line here, and in tests/manifolds/test_matrix_groups.py."""
