"""Rotations: exponential, logarithm, their differentials, Cayley map and projection."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from mvnet.linalg import so3

ANGLES = [0.0, 1e-12, 1e-6, 1e-3, 0.1, 0.999, 1.0, 1.001, 2.0, 3.0, math.pi - 1e-3, math.pi - 1e-7]


def axes(angle: float, count: int = 40, dtype: torch.dtype = torch.float64) -> Tensor:
    """Vectors of length `angle` in random directions, the coordinate axes among them."""
    u = torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u = torch.cat((torch.eye(3, dtype=torch.float64), -torch.eye(3, dtype=torch.float64), u))
    return (angle * u / u.norm(dim=-1, keepdim=True)).to(dtype)


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exponential_and_logarithm(angle: float, dtype: torch.dtype) -> None:
    u = axes(angle, dtype=dtype)
    eps = torch.finfo(dtype).eps
    r = so3.exp(u)
    assert (r.double() - torch.linalg.matrix_exp(so3.hat(u.double()))).abs().max() <= 16 * eps
    assert (r @ r.mT - torch.eye(3, dtype=dtype)).abs().max() <= 8 * eps
    error = (so3.log(r) - u).norm(dim=-1)
    if math.pi - angle < 1e-6 and dtype == torch.float32:  # u and -u are one rotation within rounding
        error = torch.minimum(error, (so3.log(r) + u).norm(dim=-1))
    assert error.max() <= 16 * eps * max(angle, 0.1)


def test_logarithm_of_half_turns() -> None:
    u = axes(math.pi)
    v = so3.log(so3.exp(u))
    torch.testing.assert_close(v.norm(dim=-1), torch.full((46,), math.pi, dtype=torch.float64))
    torch.testing.assert_close(so3.exp(v), so3.exp(u))
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    torch.testing.assert_close(so3.log(flip).abs(), torch.tensor([math.pi, 0, 0]))


@pytest.mark.parametrize("angle", ANGLES)
def test_differentials_are_inverse_and_differentials(angle: float) -> None:
    u, v = axes(angle), axes(1.0).flip(0)
    torch.testing.assert_close(so3.dexpinv(u, so3.dexp(u, v)), v)
    torch.testing.assert_close(so3.dexp(u, so3.dexpinv(u, v)), v)
    rate = torch.func.jvp(so3.exp, (u,), (v,))[1]
    torch.testing.assert_close(rate, so3.hat(so3.dexp(u, v)) @ so3.exp(u))
    rate = torch.func.jvp(so3.cayley, (u,), (v,))[1]
    torch.testing.assert_close(so3.dcayinv(u, so3.vee(rate @ so3.cayley(u).mT)), v)


def test_cayley() -> None:
    u = axes(1.3)
    eye = torch.eye(3, dtype=torch.float64)
    expected = torch.linalg.solve(eye - so3.hat(u) / 2, eye + so3.hat(u) / 2)
    torch.testing.assert_close(so3.cayley(u), expected)
    angle = so3.log(so3.cayley(u)).norm(dim=-1)
    torch.testing.assert_close(angle, torch.full_like(angle, 2 * math.atan(0.65)))


def test_hat_and_vee(generator: torch.Generator) -> None:
    u, v = torch.randn(2, 7, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close((so3.hat(u) @ v.unsqueeze(-1)).squeeze(-1), torch.linalg.cross(u, v))
    torch.testing.assert_close(so3.vee(so3.hat(u)), u)


def test_projection_is_the_nearest_rotation(generator: torch.Generator) -> None:
    m = torch.randn(50, 3, 3, generator=generator, dtype=torch.float64)
    r = so3.project(m)
    torch.testing.assert_close(torch.linalg.det(r), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(so3.project(r), r)
    others = so3.exp(torch.randn(50, 3, generator=generator, dtype=torch.float64)) @ r
    assert ((m - others).norm(dim=(-1, -2)) >= (m - r).norm(dim=(-1, -2))).all()


@pytest.mark.parametrize("angle", [0.0, 0.5, 1.5, 3.0])
@pytest.mark.parametrize("name", ["exp", "cayley", "dexp", "dexpinv", "dcayinv", "log", "project"])
def test_derivatives(name: str, angle: float) -> None:
    u = axes(angle, 1)[-2:].clone().requires_grad_()
    v = axes(1.0, 1)[:2].clone().requires_grad_()
    inputs = {"exp": (u,), "cayley": (u,)}.get(name, (u, v))
    if name in ("log", "project"):
        inputs = (so3.exp(u).detach().requires_grad_(),)  # at the identity all singular values are equal
    assert gradcheck(getattr(so3, name), inputs)
    assert gradgradcheck(getattr(so3, name), inputs, fast_mode=True)


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"u: found shape \(2, 4\), expected \(..., 3\)"):
        so3.exp(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"r: found shape \(3,\), expected \(..., 3, 3\)"):
        so3.log(torch.zeros(3))
    with pytest.raises(ValueError, match=r"v: found shape"):
        so3.dexp(torch.zeros(3), torch.zeros(4))
