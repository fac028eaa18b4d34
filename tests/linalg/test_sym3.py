"""Spectral functions in closed form: LAPACK as the oracle, both dtypes, every kind of repeated eigenvalue."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mvnet.linalg import gl3, sym3
from tests.linalg.matrices import KINDS, assemble, generator, moderate, planes, spectra

Spectral = Callable[[Tensor], Tensor]

FUNCTIONS: dict[str, tuple[Spectral, Spectral]] = {
    "log": (sym3.log, torch.log),
    "exp": (sym3.exp, torch.exp),
    "sqrt": (sym3.sqrt, torch.sqrt),
    "invsqrt": (sym3.invsqrt, torch.rsqrt),
    "inverse": (sym3.inverse, torch.reciprocal),
    "power 0.3": (lambda p: sym3.power(p, 0.3), lambda w: w**0.3),
    "power -1.7": (lambda p: sym3.power(p, -1.7), lambda w: w**-1.7),
}


def oracle(m: Tensor, scalar: Spectral) -> Tensor:
    """f(A) through an eigendecomposition in the dtype of A; functions of positive numbers see at least eps |A|."""
    w, v = torch.linalg.eigh(m)
    if scalar is not torch.exp:
        w = torch.maximum(w, torch.finfo(m.dtype).eps * w[..., 2:])
    return (v * scalar(w).unsqueeze(-2)) @ v.mT


def inputs(name: str, kind: str) -> Tensor:
    """(n, 3, 3) float64; for exp the logarithms, so that nothing overflows."""
    values = spectra(kind, 2000)
    return assemble(values.log() if name == "exp" else values)


def relative_error(found: Tensor, expected: Tensor) -> Tensor:
    """Norm of the difference over that of the expected matrix, in float64."""
    expected = expected.double()
    return (found.double() - expected).norm(dim=(-2, -1)) / expected.norm(dim=(-2, -1)).clamp_min(1e-30)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_is_as_accurate_as_lapack(name: str, kind: str):
    """Mean and 99.9th percentile within 4x of eigh in float32, the float64 eigendecomposition as the truth."""
    ours, scalar = FUNCTIONS[name]
    m = inputs(name, kind).float()
    truth = oracle(m.double(), scalar)
    mine = relative_error(sym3.unpack(ours(sym3.pack(m, dim=0)[None]))[0], truth)
    lapack = relative_error(oracle(m, scalar), truth)
    floor = 4 * torch.finfo(torch.float32).eps
    assert mine.mean() <= 4 * lapack.mean() + floor
    assert mine.quantile(0.999) <= 4 * lapack.quantile(0.999) + floor


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64_is_as_accurate_as_lapack(name: str, kind: str):
    """The same in float64, against the eigendecomposition the matrices were assembled from."""
    ours, scalar = FUNCTIONS[name]
    values = spectra(kind, 2000)
    values = values.log() if name == "exp" else values
    m, truth = assemble(values), assemble(scalar(values))
    mine = relative_error(sym3.unpack(ours(sym3.pack(m, dim=0)[None]))[0], truth)
    lapack = relative_error(oracle(m, scalar), truth)
    floor = 4 * torch.finfo(torch.float64).eps
    assert mine.mean() <= 4 * lapack.mean() + floor
    assert mine.quantile(0.999) <= 4 * lapack.quantile(0.999) + floor


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_eigenvalues(kind: str, dtype: torch.dtype):
    """Ascending, with an absolute error of a few roundings of the largest, as LAPACK's."""
    m = assemble(spectra(kind, 2000)).to(dtype)
    found = sym3.eigvals(sym3.pack(m, dim=0), dim=0).T
    assert bool((found.diff(dim=-1) >= 0).all())
    truth = torch.linalg.eigvalsh(m.double())
    error = (found.double() - truth).abs().amax(-1) / truth[:, 2]
    assert float(error.max()) < 16 * torch.finfo(dtype).eps


@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_and_second_derivatives(name: str):
    ours, _ = FUNCTIONS[name]
    p = moderate(3).requires_grad_()
    assert torch.autograd.gradcheck(ours, (p,))
    assert torch.autograd.gradgradcheck(ours, (p,))


@pytest.mark.parametrize("kind", ["double", "near double", "nearer double", "triple", "near triple"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivative_at_repeated_eigenvalues(name: str, kind: str):
    """Finite, and the directional derivative of finite differences."""
    ours, _ = FUNCTIONS[name]
    p = planes(kind, 16)
    p = p / p.norm(dim=1, keepdim=True) + (0 if name != "exp" else 1)
    direction = torch.randn(p.shape, generator=generator(7), dtype=torch.float64)
    direction = direction * p.norm(dim=1, keepdim=True) * 0.1
    weight = torch.randn(p.shape, generator=generator(8), dtype=torch.float64)
    lowest = sym3.eigvals(p).amin()
    step = 1e-5 * float(lowest.clamp_max(1))
    leaf = p.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((ours(leaf) * weight).sum(), leaf)
    assert bool(gradient.isfinite().all())
    found = (gradient * direction).sum(1)
    expected = ((ours(p + step * direction) - ours(p - step * direction)) * weight).sum(1) / (2 * step)
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=2e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_derivatives_at_the_identity(name: str, dtype: torch.dtype):
    """f(I + H) = f(1) I + f'(1) H to first order: the gradient of a sum of all entries is f'(1) times it."""
    ours, scalar = FUNCTIONS[name]
    p = sym3.pack(torch.eye(3, dtype=dtype).expand(4, 3, 3), dim=0)[None].clone().requires_grad_()
    weight = torch.randn(1, 6, 4, generator=generator(), dtype=torch.float64).to(dtype)
    (gradient,) = torch.autograd.grad((ours(p) * weight).sum(), p, create_graph=True)
    one = torch.ones((), dtype=dtype, requires_grad=True)
    (slope,) = torch.autograd.grad(scalar(one), one)
    torch.testing.assert_close(gradient.detach(), slope * weight)
    (second,) = torch.autograd.grad(gradient.sum(), p)
    assert bool(second.isfinite().all())


def test_round_trips():
    p = planes("distinct", 500)
    torch.testing.assert_close(sym3.exp(sym3.log(p)), p, rtol=1e-11, atol=1e-13)
    root = sym3.sqrt(p)
    torch.testing.assert_close(sym3.congruence(root, sym3.pack(torch.eye(3).double(), dim=0)[None, :, None]), p)
    whitened = sym3.congruence(sym3.invsqrt(p), p)
    identity = sym3.pack(torch.eye(3, dtype=torch.float64).expand(500, 3, 3), dim=0)[None]
    torch.testing.assert_close(whitened, identity, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_planes_may_lie_along_any_dim(dim: int):
    p = moderate(12)[0]  # (6, 12)
    expected = sym3.log(p, dim=0).reshape(6, 3, 4)
    placed = p.reshape(6, 3, 4).movedim(0, dim)
    torch.testing.assert_close(sym3.log(placed, dim=dim).movedim(dim, 0), expected, rtol=0, atol=1e-14)


def test_blocks_equal_one_piece(monkeypatch):
    from mvnet.linalg import planes as layout

    p = moderate(1000).reshape(1, 6, 1000).expand(3, 6, 1000).contiguous()
    whole = sym3.log(p)
    monkeypatch.setattr(layout, "BLOCK_BYTES", 8 * 333)
    torch.testing.assert_close(sym3.log(p), whole, rtol=0, atol=0)


def test_pack_is_an_isometry_and_unpack_its_inverse():
    m = assemble(spectra("distinct", 20))
    packed = sym3.pack(m)
    torch.testing.assert_close(packed.norm(dim=-1), m.norm(dim=(-2, -1)))
    torch.testing.assert_close(sym3.unpack(packed, dim=-1), m)
    assert sym3.pack(m, dim=0).shape == (6, 20)


def test_congruence_general_and_symmetric():
    p = planes(n=10)
    a = torch.randn(10, 3, 3, generator=generator(), dtype=torch.float64)
    expected = a @ sym3.unpack(p)[0] @ a.mT
    general = sym3.congruence(gl3.from_matrix(a, dim=0)[None], p)
    torch.testing.assert_close(sym3.unpack(general)[0], expected)
    s = a + a.mT
    symmetric = sym3.congruence(sym3.pack(s, dim=0)[None], p)
    torch.testing.assert_close(sym3.unpack(symmetric)[0], s @ sym3.unpack(p)[0] @ s)


def test_trace_and_determinant():
    p = planes(n=30)
    m = sym3.unpack(p)[0]
    torch.testing.assert_close(sym3.trace(p)[0], m.diagonal(dim1=-2, dim2=-1).sum(-1))
    torch.testing.assert_close(sym3.det(p)[0], torch.linalg.det(m), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: sym3.log(torch.ones(2, 5, 3)), r"6 .*\(2, 5, 3\)"),
        (lambda: sym3.log(torch.ones(6, 3)), r"6 .*\(6, 3\)"),
        (lambda: sym3.eigvals(torch.ones(1, 6, 2, dtype=torch.int64)), "int64"),
        (lambda: sym3.pack(torch.ones(2, 3)), r"\(2, 3\)"),
        (lambda: sym3.congruence(torch.ones(1, 7, 2), torch.ones(1, 6, 2)), r"\(1, 7, 2\)"),
    ],
)
def test_wrong_shapes_are_named(call, words: str):
    with pytest.raises(ValueError, match=words):
        call()
