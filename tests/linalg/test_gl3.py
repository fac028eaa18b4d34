"""General 3x3 matrices in planes against dense linear algebra."""

import pytest
import torch

from mvnet.linalg import gl3
from tests.linalg.matrices import generator


def matrices(scale: float, n: int = 200, seed: int = 0) -> torch.Tensor:
    return scale * torch.randn(n, 3, 3, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 0.3, 1.0, 3.0])
def test_exponential(scale: float):
    m = matrices(scale)
    found = gl3.to_matrix(gl3.exp(gl3.from_matrix(m, dim=0), dim=0), dim=0)
    expected = torch.linalg.matrix_exp(m)
    error = (found - expected).norm(dim=(-2, -1)) / expected.norm(dim=(-2, -1))
    assert float(error.max()) < 1e-11


@pytest.mark.parametrize("scale", [1e-3, 0.3, 1.0, 3.0])
def test_exponential_in_float32(scale: float):
    m = matrices(scale).float()
    found = gl3.to_matrix(gl3.exp(gl3.from_matrix(m, dim=0), dim=0), dim=0)
    expected = torch.linalg.matrix_exp(m.double())
    error = (found.double() - expected).norm(dim=(-2, -1)) / expected.norm(dim=(-2, -1))
    assert float(error.quantile(0.99)) < 64 * torch.finfo(torch.float32).eps * max(1.0, scale)


def test_products():
    a, b = matrices(1.0, seed=1), matrices(1.0, seed=2)
    x, y = (gl3.from_matrix(m, dim=0) for m in (a, b))
    torch.testing.assert_close(gl3.to_matrix(gl3.matmul(x, y, dim=0), dim=0), a @ b)
    torch.testing.assert_close(gl3.to_matrix(gl3.bracket(x, y, dim=0), dim=0), a @ b - b @ a)


def test_inverse_and_cayley():
    m = matrices(0.4) + 2 * torch.eye(3, dtype=torch.float64)
    inverse = gl3.to_matrix(gl3.inverse(gl3.from_matrix(m, dim=0), dim=0), dim=0)
    torch.testing.assert_close(inverse, torch.linalg.inv(m), rtol=1e-10, atol=1e-12)
    u = matrices(0.3)
    identity = torch.eye(3, dtype=torch.float64)
    expected = torch.linalg.solve(identity - u / 2, identity + u / 2)
    torch.testing.assert_close(gl3.to_matrix(gl3.cayley(gl3.from_matrix(u, dim=0), dim=0), dim=0), expected)


@pytest.mark.parametrize("function", [gl3.exp, gl3.inverse, gl3.cayley])
def test_derivatives(function):
    x = gl3.from_matrix(matrices(0.3, 2) + 0.8 * torch.eye(3, dtype=torch.float64), dim=0)[None]
    assert torch.autograd.gradcheck(function, (x.requires_grad_(),))


def test_exponential_of_zero_has_finite_derivatives():
    x = torch.zeros(1, 9, 2, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(gl3.exp(x)[:, 0].sum(), x)
    expected = torch.zeros_like(gradient)
    expected[:, 0] = 1
    torch.testing.assert_close(gradient, expected)


def test_wrong_planes_are_named():
    with pytest.raises(ValueError, match=r"\(1, 6, 2\)"):
        gl3.exp(torch.ones(1, 6, 2))
