"""so(3): scipy and the matrix exponential as oracles, with care at zero, at pi and at the identity."""

import math

import pytest
import torch
from torch import Tensor

from mvnet.linalg import so3
from tests.linalg.matrices import generator

ANGLES = (0.0, 1e-12, 1e-6, 1e-3, 9.9e-3, 1.01e-2, 0.5, 2.0, 3.0, math.pi - 1e-3, math.pi - 1e-6, math.pi - 1e-9)


def axes(n: int = 50, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(n, 3, generator=generator(seed), dtype=torch.float64), dim=-1)


@pytest.mark.parametrize("angle", ANGLES)
def test_exp_is_the_matrix_exponential(angle: float):
    u = angle * axes()
    torch.testing.assert_close(so3.exp(u), torch.linalg.matrix_exp(so3.hat(u)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("angle", ANGLES)
def test_log_inverts_exp(angle: float):
    u = angle * axes()
    torch.testing.assert_close(so3.log(so3.exp(u)), u, rtol=1e-7 if angle > 3 else 1e-11, atol=1e-15)


@pytest.mark.parametrize("angle", [0.0, 1e-4, 1e-2, 1.0, 3.0, math.pi - 1e-3])
def test_float32_log(angle: float):
    u = (angle * axes()).float()
    error = (so3.exp(so3.log(so3.exp(u))) - so3.exp(u)).abs().max()
    assert float(error) < 8 * torch.finfo(torch.float32).eps


def test_half_turns():
    rotation = 2 * axes().unsqueeze(-1) * axes().unsqueeze(-2) - torch.eye(3, dtype=torch.float64)
    u = so3.log(rotation)
    torch.testing.assert_close(u.norm(dim=-1), torch.full((50,), math.pi, dtype=torch.float64))
    torch.testing.assert_close(so3.exp(u), rotation, rtol=0, atol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 0.02, 1.0, 3.0])
def test_dexp_is_the_differential_of_exp(angle: float):
    u, v = angle * axes(4), axes(4, 1)
    step = 1e-6
    difference = (so3.exp(u + step * v) - so3.exp(u - step * v)) / (2 * step) @ so3.exp(u).mT
    torch.testing.assert_close(so3.dexp(u, v), so3.vee(difference), rtol=0, atol=1e-8)
    torch.testing.assert_close(so3.dexpinv(u, so3.dexp(u, v)), v, rtol=1e-11, atol=1e-12)


def test_cayley_and_its_differential():
    u, v = 0.8 * axes(4), axes(4, 1)
    identity = torch.eye(3, dtype=torch.float64)
    expected = torch.linalg.solve(identity - so3.hat(u) / 2, identity + so3.hat(u) / 2)
    torch.testing.assert_close(so3.cayley(u), expected)
    step = 1e-6
    difference = (so3.cayley(u + step * v) - so3.cayley(u - step * v)) / (2 * step) @ so3.cayley(u).mT
    torch.testing.assert_close(so3.dcayinv(u, so3.vee(difference)), v, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "function", [so3.exp, so3.cayley, lambda u: so3.dexp(u, u + 1), lambda u: so3.dexpinv(u, u + 1)]
)
@pytest.mark.parametrize("angle", [0.0, 1e-5, 0.02, 1.3])
def test_derivatives(function, angle: float):
    assert torch.autograd.gradcheck(function, ((angle * axes(2)).requires_grad_(),))


def test_log_gradient_is_finite_at_the_identity_and_at_pi():
    half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    for rotation in (torch.eye(3, dtype=torch.float64), half_turn):
        leaf = rotation.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(so3.log(leaf).sum(), leaf)
        assert bool(gradient.isfinite().all())


def test_hat_and_vee():
    u, v = axes(5), axes(5, 1)
    torch.testing.assert_close((so3.hat(u) @ v.unsqueeze(-1))[..., 0], torch.linalg.cross(u, v))
    torch.testing.assert_close(so3.vee(so3.hat(u)), u)


def test_project_gives_the_nearest_rotation():
    m = torch.randn(20, 3, 3, generator=generator(), dtype=torch.float64)
    r = so3.project(m)
    identity = torch.eye(3, dtype=torch.float64).expand(20, 3, 3)
    torch.testing.assert_close(r @ r.mT, identity)
    assert bool((torch.linalg.det(r) > 0).all())
    for other in (so3.exp(0.1 * axes(20)) @ r, so3.exp(-0.1 * axes(20, 3)) @ r):
        assert bool(((m - r).norm(dim=(-2, -1)) <= (m - other).norm(dim=(-2, -1))).all())


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(4,\)"):
        so3.exp(torch.ones(4))
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        so3.log(torch.ones(3, 2))
