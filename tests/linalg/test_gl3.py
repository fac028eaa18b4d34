"""General 3x3 matrices in planes, against torch.linalg."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from mvnet.linalg import gl3

CASES = {
    "exp": (gl3.exp, torch.linalg.matrix_exp),
    "inverse": (gl3.inverse, torch.linalg.inv),
    "cayley": (gl3.cayley, lambda m: torch.linalg.inv(torch.eye(3) - m / 2) @ (torch.eye(3) + m / 2)),
    "matmul": (gl3.matmul, torch.matmul),
    "bracket": (gl3.bracket, lambda a, b: a @ b - b @ a),
}


def arguments(name: str, shape: tuple[int, ...], generator: torch.Generator) -> list[Tensor]:
    count = 2 if name in ("matmul", "bracket") else 1
    return [torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in range(count)]


@pytest.mark.parametrize("name", CASES)
def test_against_torch(name: str, generator: torch.Generator) -> None:
    ours, reference = CASES[name]
    planes = arguments(name, (2, 9, 5, 3), generator)
    found = gl3.to_matrix(ours(*planes))
    torch.testing.assert_close(
        found, reference(*(gl3.to_matrix(p).contiguous() for p in planes)), rtol=1e-9, atol=1e-12
    )
    last = ours(*(p.movedim(1, -1) for p in planes), dim=-1)
    torch.testing.assert_close(last.movedim(-1, 1), ours(*planes))


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name: str, generator: torch.Generator) -> None:
    planes = [p.requires_grad_() for p in arguments(name, (1, 9), generator)]
    assert gradcheck(CASES[name][0], planes)
    assert gradgradcheck(CASES[name][0], planes, fast_mode=True)


def test_exponential_at_zero_and_at_defective_matrices() -> None:
    zero = torch.zeros(1, 9, dtype=torch.float64, requires_grad=True)
    assert gradcheck(gl3.exp, (zero,))
    assert gradgradcheck(gl3.exp, (zero,), fast_mode=True)
    jordan = torch.tensor([[2.0, 1, 0, 0, 2, 1, 0, 0, 2]], dtype=torch.float64)
    torch.testing.assert_close(gl3.to_matrix(gl3.exp(jordan)), torch.linalg.matrix_exp(gl3.to_matrix(jordan)))


@pytest.mark.parametrize("size", [1e-8, 1e-3, 0.1, 1.0, 4.0, 10.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exponential_accuracy(size: float, dtype: torch.dtype, generator: torch.Generator) -> None:
    m = (torch.randn(300, 3, 3, generator=generator, dtype=torch.float64) * size / 3).to(dtype)
    found = gl3.to_matrix(gl3.exp(gl3.from_matrix(m)))
    truth = torch.linalg.matrix_exp(m.double())
    error = (found.double() - truth).flatten(1).norm(dim=1) / truth.flatten(1).norm(dim=1)
    assert error.max() <= 8 * (1 + size) * torch.finfo(dtype).eps


def test_inverse_keeps_its_digits() -> None:
    generator = torch.Generator().manual_seed(0)
    q = torch.linalg.qr(torch.randn(2, 300, 3, 3, generator=generator, dtype=torch.float64))[0]
    m = ((q[0] * torch.tensor([1.0, 10.0, 100.0])) @ q[1]).float()
    residual = m.double() @ gl3.to_matrix(gl3.inverse(gl3.from_matrix(m))).double() - torch.eye(3)
    assert residual.abs().max() <= 100 * 4 * torch.finfo(torch.float32).eps


def test_cayley_preserves_what_exp_preserves(generator: torch.Generator) -> None:
    skew = torch.randn(20, 3, 3, generator=generator, dtype=torch.float64)
    q = gl3.to_matrix(gl3.cayley(gl3.from_matrix(skew - skew.mT)))
    torch.testing.assert_close(q @ q.mT, torch.eye(3, dtype=torch.float64).expand_as(q))


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"x: found shape \(2, 6\), expected 9 component planes at dim 1"):
        gl3.exp(torch.zeros(2, 6))
    with pytest.raises(ValueError, match=r"y: found shape .*expected 9 component planes"):
        gl3.matmul(torch.zeros(2, 9), torch.zeros(2, 6))
    with pytest.raises(ValueError, match=r"m: found shape \(2, 9\), expected \(..., 3, 3\)"):
        gl3.from_matrix(torch.zeros(2, 9))
