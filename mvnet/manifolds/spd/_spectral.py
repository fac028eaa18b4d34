"""log, exp, sqrt of symmetric n x n matrices with gradients that are finite at repeated eigenvalues. Private.

n = 3 streams through the closed forms of `mvnet.linalg.sym3`; any other n takes `torch.linalg.eigh` and
these derivatives of f(A) = U f(L) U^T (Daleckii-Krein; Higham, Functions of Matrices, 2008, theorem 3.11):

    D f(A)[E]       = U (f[l_i, l_j] * E') U^T                                            E' = U^T E U
    D^2 f(A)[E, F]  = U (sum_k f[l_i, l_k, l_j] (E'_ik F'_kj + F'_ik E'_kj)) U^T

with divided differences f[a, b], f[a, b, c], which nothing divides by zero: eigenvectors are never
differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mvnet.linalg import sym3


@dataclass(frozen=True)
class ScalarFunction:
    """f, its divided difference f[a, b] accurate at a = b, and f''/2!, f'''/3!, f''''/4!."""

    name: str
    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]
    taylor: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]


def _sinhc(x: Tensor) -> Tensor:
    small = x.abs() < 1e-2
    safe = torch.where(small, 1.0, x)
    q = torch.where(small, x, 0.0).square()
    return torch.where(small, 1 + q / 6 * (1 + q / 20 * (1 + q / 42)), safe.sinh() / safe)


def _log_slope(a: Tensor, b: Tensor) -> Tensor:
    # (log a - log b) / (a - b) = (atanh(z) / z) 2 / (a + b),  z = (a - b) / (a + b)
    z = (a - b) / (a + b)
    small = z.abs() < 1e-2
    q = torch.where(small, z, 0.0).square()
    far = (a / b).log() / torch.where(small, 1.0, a - b)
    return torch.where(small, (1 + q / 3 + q**2 / 5 + q**3 / 7 + q**4 / 9) * 2 / (a + b), far)


LOG = ScalarFunction("log", torch.log, _log_slope, lambda x: (-1 / (2 * x**2), 1 / (3 * x**3), -1 / (4 * x**4)))
EXP = ScalarFunction(
    "exp",
    torch.exp,
    lambda a, b: ((a + b) / 2).exp() * _sinhc((a - b) / 2),
    lambda x: (x.exp() / 2, x.exp() / 6, x.exp() / 24),
)
SQRT = ScalarFunction(
    "sqrt",
    torch.sqrt,
    lambda a, b: 1 / (a.sqrt() + b.sqrt()),
    lambda x: (-(x**-1.5) / 8, x**-2.5 / 16, -5 * x**-3.5 / 128),
)


def second_divided_difference(f: ScalarFunction, eigenvalues: Tensor) -> Tensor:
    """f[l_i, l_j, l_k] of all triples of eigenvalues.

    With a <= b <= c the sorted triple and d = c - a:  (f[b, c] - f[a, b]) / d  where d is not small against
    the scale, else f''/2 + f'''/6 (p + q) + f''''/24 (p^2 + p q + q^2)  about b, with p = a - b, q = c - b.

    Args:
        f: the function.
        eigenvalues: shape (..., n), positive for log and sqrt.
    Returns:
        shape (..., n, n, n), symmetric in the last three dims.
    """
    n = eigenvalues.shape[-1]
    grid = (*eigenvalues.shape[:-1], n, n, n)
    triple = torch.stack(
        [eigenvalues.reshape(*eigenvalues.shape[:-1], *s).broadcast_to(grid) for s in ((n, 1, 1), (1, n, 1), (1, 1, n))]
    )
    a, b, c = triple.sort(0).values.unbind(0)
    scale = torch.ones_like(b) if f is EXP else b.abs()
    close = (c - a) < torch.finfo(b.dtype).eps ** 0.25 * scale
    p, q = a - b, c - b
    f2, f3, f4 = f.taylor(b)
    near = f2 + f3 * (p + q) + f4 * (p**2 + p * q + q**2)
    return torch.where(close, near, (f.slope(b, c) - f.slope(a, b)) / torch.where(close, 1.0, c - a))


class _Function(torch.autograd.Function):
    """A -> f(A), shape (..., n, n)."""

    @staticmethod
    def forward(ctx, f: ScalarFunction, a: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(a)
        ctx.f = f
        ctx.save_for_backward(a, values, vectors)
        return (vectors * f.value(values).unsqueeze(-2)) @ vectors.mT

    @staticmethod
    def backward(ctx, cotangent: Tensor):  # type: ignore[override]
        a, values, vectors = ctx.saved_tensors
        return None, _Differential.apply(ctx.f, a, cotangent, values, vectors)  # D f(A) is self-adjoint


class _Differential(torch.autograd.Function):
    """(A, E) -> D f(A)[E]; the eigensystem of A comes along and carries no gradient."""

    @staticmethod
    def forward(ctx, f: ScalarFunction, a: Tensor, e: Tensor, values: Tensor, vectors: Tensor) -> Tensor:
        ctx.f = f
        ctx.save_for_backward(e, values, vectors)
        table = f.slope(values.unsqueeze(-1), values.unsqueeze(-2))
        return vectors @ (table * (vectors.mT @ e @ vectors)) @ vectors.mT

    @staticmethod
    @once_differentiable
    def backward(ctx, cotangent: Tensor):  # type: ignore[override]
        e, values, vectors = ctx.saved_tensors
        e, c = (vectors.mT @ m @ vectors for m in ((e + e.mT) / 2, (cotangent + cotangent.mT) / 2))
        table = ctx.f.slope(values.unsqueeze(-1), values.unsqueeze(-2))
        half = torch.einsum("...ikj,...ik,...kj->...ij", second_divided_difference(ctx.f, values), e, c)
        d_e, d_a = (vectors @ m @ vectors.mT for m in (table * c, half + half.mT))
        return None, d_a, d_e, None, None


_SYM3_SIZE = 3  # the matrix size that takes the closed forms
_SYM3 = {"log": sym3.log, "exp": sym3.exp, "sqrt": sym3.sqrt}


def _call(f: ScalarFunction, a: Tensor) -> Tensor:
    if a.shape[-1] == _SYM3_SIZE:
        return sym3.unpack(_SYM3[f.name](sym3.pack(a, dim=0), dim=0), dim=0)
    return _Function.apply(f, (a + a.mT) / 2)  # type: ignore[return-value]


def log(a: Tensor) -> Tensor:
    """Matrix logarithm of SPD matrices.

    Args:
        a: shape (..., n, n); only the symmetric part enters.
    Returns:
        symmetric matrices, shape (..., n, n).
    """
    return _call(LOG, a)


def exp(a: Tensor) -> Tensor:
    """Matrix exponential of symmetric matrices.

    Args:
        a: shape (..., n, n); only the symmetric part enters.
    Returns:
        SPD matrices, shape (..., n, n).
    """
    return _call(EXP, a)


def sqrt(a: Tensor) -> Tensor:
    """Square root of SPD matrices.

    Args:
        a: shape (..., n, n); only the symmetric part enters.
    Returns:
        SPD matrices, shape (..., n, n).
    """
    return _call(SQRT, a)


def differential(f: Callable[[Tensor], Tensor], a: Tensor, e: Tensor) -> Tensor:
    """D f(A)[E] of one of the functions above. Self-adjoint in E, so it is its own backward pass.

    Args:
        f: `log`, `exp` or `sqrt`.
        a: shape (..., n, n), symmetric.
        e: direction, shape (..., n, n); only the symmetric part enters.
    Returns:
        symmetric matrices, shape (..., n, n).
    """
    a, e = torch.broadcast_tensors(a, (e + e.mT) / 2)
    recording = torch.is_grad_enabled()
    with torch.enable_grad():
        at = a if recording and a.requires_grad else a.detach().requires_grad_()
        (out,) = torch.autograd.grad(f(at), at, e, create_graph=recording and (a.requires_grad or e.requires_grad))
    return (out + out.mT) / 2


def rectify(a: Tensor, floor: float) -> Tensor:
    """Eigenvalues l of symmetric matrices -> max(l, floor); the gradient of each eigenvalue below is 0.

    Args:
        a: shape (..., n, n); only the symmetric part enters.
        floor: of the eigenvalues.
    Returns:
        symmetric matrices, shape (..., n, n).
    """
    return _Function.apply(_rectification(floor), (a + a.mT) / 2)  # type: ignore[return-value]


def _rectification(floor: float) -> ScalarFunction:
    def slope(a: Tensor, b: Tensor) -> Tensor:
        far = a - b
        share = (a.clamp(min=floor) - b.clamp(min=floor)) / torch.where(far == 0, 1.0, far)
        return torch.where(far == 0, (a > floor).to(a), share)

    def taylor(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        flat = torch.zeros_like(x)
        return flat, flat, flat

    return ScalarFunction("rectify", lambda x: x.clamp(min=floor), slope, taylor)
