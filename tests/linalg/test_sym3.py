"""Spectral functions and congruence of symmetric 3x3 matrices in planes, against eigh and mpmath."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from mvnet.linalg import sym3
from tests.linalg.cases import FUNCTIONS, SPECTRA, by_eigh, matrices, planes, random_spd


def precise(a: Tensor, name: str) -> Tensor:
    """Spectral function of float64 matrices, correct to float64 rounding."""
    import mpmath

    function = {
        "log": mpmath.log,
        "exp": mpmath.exp,
        "sqrt": mpmath.sqrt,
        "invsqrt": lambda x: 1 / mpmath.sqrt(x),
        "inverse": lambda x: 1 / x,
        "power": lambda x: x ** mpmath.mpf(-0.7),
    }[name]
    out = []
    with mpmath.workdps(40):
        for m in a.tolist():
            values, q = mpmath.eigsy(mpmath.matrix(m))
            out.append((q * mpmath.diag([function(x) for x in values]) * q.T).tolist())
    return torch.tensor([[[float(x) for x in row] for row in m] for m in out], dtype=torch.float64)


def errors(found: Tensor, truth: Tensor) -> tuple[float, float]:
    """Root mean square and largest relative Frobenius error."""
    e = (found.double() - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1).clamp_min(1e-12)
    return e.square().mean().sqrt().item(), e.max().item()


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_forty_digits_agree(name: str, spectrum: str) -> None:
    a = matrices(SPECTRA[spectrum], 6, torch.float64)
    ours, scalar = FUNCTIONS[name]
    truth = precise(a, name)
    mine = errors(sym3.unpack(ours(sym3.pack(a, 1))), truth)
    lapack = errors(by_eigh(a, scalar), truth)
    eps = torch.finfo(torch.float64).eps
    assert all(m <= 4 * max(e, eps) for m, e in zip(mine, lapack, strict=True)), (mine, lapack)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_eigenvalues_and_eigenvectors(spectrum: str, dtype: torch.dtype) -> None:
    a = matrices(SPECTRA[spectrum], 500, dtype)
    values = sym3.eigvals(sym3.pack(a, 1))
    vectors = sym3.eigenvectors(sym3.pack(a, 1)).unflatten(1, (3, 3))
    tolerance = 8 * torch.finfo(dtype).eps * max(SPECTRA[spectrum])
    reference = torch.linalg.eigvalsh(a.double())
    assert (values.diff(dim=1) >= 0).all()
    assert (values - reference).abs().max() <= tolerance
    assert (vectors.mT @ vectors - torch.eye(3)).abs().max() <= tolerance + 8 * torch.finfo(dtype).eps
    assert ((vectors * values.unsqueeze(-2)) @ vectors.mT - a).abs().max() <= tolerance


def test_indefinite_matrices_have_eigenvalues_exponential_and_inverse() -> None:
    a = matrices((-2.0, 0.5, 0.6), 50, torch.float64)
    p = sym3.pack(a, 1)
    torch.testing.assert_close(sym3.eigvals(p), torch.linalg.eigvalsh(a))
    torch.testing.assert_close(sym3.unpack(sym3.exp(p)), torch.linalg.matrix_exp(a))
    torch.testing.assert_close(sym3.unpack(sym3.inverse(p)), torch.linalg.inv(a))


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_round_trips(spectrum: str) -> None:
    p = planes(SPECTRA[spectrum], 20)
    condition = max(SPECTRA[spectrum]) / min(SPECTRA[spectrum])
    rtol, atol = 1e-15 * condition, 1e-14
    torch.testing.assert_close(sym3.exp(sym3.log(p)), p, rtol=rtol, atol=atol)
    torch.testing.assert_close(sym3.congruence(sym3.sqrt(p), torch.ones_like(p) * _eye()), p, rtol=rtol, atol=atol)
    torch.testing.assert_close(sym3.congruence(sym3.invsqrt(p), p), _eye().expand_as(p), rtol=0, atol=1e-13 * condition)
    torch.testing.assert_close(sym3.power(sym3.power(p, 0.3), 1 / 0.3), p, rtol=rtol, atol=atol)


def _eye(dtype: torch.dtype = torch.float64) -> Tensor:
    return sym3.pack(torch.eye(3, dtype=dtype), 0)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6])
def test_units_do_not_matter(scale: float) -> None:
    p = planes(SPECTRA["generic"], 50, torch.float32)
    expected = sym3.log(p) + torch.log(torch.tensor(scale)) * _eye(torch.float32)
    torch.testing.assert_close(sym3.log(p * scale), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(sym3.eigvals(p * scale), sym3.eigvals(p) * scale, rtol=1e-5, atol=0)


SMOOTH = ["generic", "identity", "lower pair", "upper pair", "nearly a triple", "one percent"]


@pytest.mark.parametrize("spectrum", SMOOTH)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_and_second_derivatives(name: str, spectrum: str) -> None:
    p = planes(SPECTRA[spectrum]).requires_grad_()
    assert gradcheck(FUNCTIONS[name][0], (p,))
    assert gradgradcheck(FUNCTIONS[name][0], (p,), atol=1e-4, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_gradients_follow_float64(name: str, spectrum: str) -> None:
    p = planes(SPECTRA[spectrum], 200, torch.float32)
    grads = []
    for dtype in (torch.float32, torch.float64):
        x = p.to(dtype, copy=True).requires_grad_()
        grads.append(torch.autograd.grad(FUNCTIONS[name][0](x).sum(), x)[0].double())
    condition = max(SPECTRA[spectrum]) / min(SPECTRA[spectrum])
    assert grads[0].isfinite().all()
    error = (grads[0] - grads[1]).norm(dim=1) / grads[1].norm(dim=1)
    assert error.max() <= 3e-6 * condition


def test_eigenvalue_derivatives() -> None:
    p = planes(SPECTRA["generic"]).requires_grad_()
    assert gradcheck(sym3.eigvals, (p,))
    assert gradgradcheck(sym3.eigvals, (p,), fast_mode=True)
    # sum of squares is smooth where eigenvalues meet: its gradient is 2 P there too
    p = planes(SPECTRA["lower pair"]).requires_grad_()
    (g,) = torch.autograd.grad(sym3.eigvals(p).square().sum(), p, create_graph=True)
    torch.testing.assert_close(g, 2 * p)
    assert torch.autograd.grad(g.sum(), p)[0].isfinite().all()


def test_third_derivatives_are_refused() -> None:
    p = planes(SPECTRA["generic"]).requires_grad_()
    (g,) = torch.autograd.grad(sym3.log(p).sum(), p, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), p, create_graph=True)
    with pytest.raises(RuntimeError, match="third derivatives"):
        torch.autograd.grad(h.sum(), p)


def test_sign_lost_in_rounding_and_real_negative_eigenvalues() -> None:
    lost = sym3.pack(torch.diag(torch.tensor([1.0, 1.0, -1e-8])), 0)
    assert sym3.log(lost, dim=0).isfinite().all()
    assert sym3.log(sym3.pack(torch.diag(torch.tensor([1.0, 1.0, -1e-3])), 0), dim=0).isnan().any()


@pytest.mark.parametrize("rows", [9, 6])
def test_congruence(rows: int, generator: torch.Generator) -> None:
    p = torch.randn(2, 6, 3, 4, generator=generator, dtype=torch.float64)
    a = torch.randn(2, rows, 1, 4, generator=generator, dtype=torch.float64)
    m = sym3.unpack(a) if rows == 6 else a.movedim(1, -1).unflatten(-1, (3, 3))
    torch.testing.assert_close(sym3.unpack(sym3.congruence(a, p)), m @ sym3.unpack(p) @ m.mT)
    a, p = a[..., 0].clone().requires_grad_(), p[..., 0, :1].clone().requires_grad_()
    assert gradcheck(sym3.congruence, (a, p))
    assert gradgradcheck(sym3.congruence, (a, p), fast_mode=True)


def test_pack_is_an_isometry_and_unpack_inverts_it(generator: torch.Generator) -> None:
    m = torch.randn(5, 4, 3, 3, generator=generator, dtype=torch.float64)
    s = m + m.mT
    for dim in (0, 1, 2, -1):
        p = sym3.pack(s, dim)
        torch.testing.assert_close(sym3.unpack(p, dim), s)
        torch.testing.assert_close(p.norm(dim=dim), s.norm(dim=(-1, -2)))
    torch.testing.assert_close(sym3.pack(2 * m), sym3.pack(s))


def test_determinant_and_trace() -> None:
    p = random_spd(30, 1)
    torch.testing.assert_close(sym3.det(p), torch.linalg.det(sym3.unpack(p)))
    torch.testing.assert_close(sym3.trace(p), sym3.eigvals(p).sum(1))
