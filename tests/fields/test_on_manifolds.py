"""Convex functions on Sym+(3) and the flows that they make; T*SO(3)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from mvnet.errors import MvnetError
from mvnet.fields import RotationGradientFlow, RotorField, SPDGradientFlow, TimeGrid
from mvnet.fields.on_manifolds import CONVEX
from mvnet.integrators import odeint
from mvnet.linalg import so3
from mvnet.manifolds import SPD
from tests.fields.cases import DTYPE, TIME, generator, make, motions, normal, rotations, spd

SPACE = SPD(3)


def functions(name: str, count: int = 3):
    return CONVEX[name](3, count, TimeGrid(), generator=generator(0)).double()


@pytest.mark.parametrize("name", CONVEX)
def test_descent(name):
    """xi P + P xi^T is minus the Riemannian gradient of the value."""
    kind, p = functions(name), spd(4, seed=1)
    value, xi = kind(TIME, p)
    derivative = jacobian(lambda x: kind(TIME, (x + x.mT) / 2).value.sum(0), p)  # (m, B, 3, 3)
    for k in range(3):
        gradient = SPACE.riemannian_gradient(p, derivative[k])
        torch.testing.assert_close(xi[:, k] @ p + p @ xi[:, k].mT, -gradient, rtol=1e-9, atol=1e-9)
    assert value.shape == (4, 3)


@pytest.mark.parametrize("name", CONVEX)
def test_geodesic_convexity(name):
    """At the middle of geodesics, near and far; log det is linear."""
    kind, p, q = functions(name), spd(200, seed=1), spd(200, seed=2)
    for reach in (1.0, 1.5):
        x, y = SPACE.geodesic(p, q, torch.tensor(1 - reach)), SPACE.geodesic(p, q, torch.tensor(reach))
        middle = SPACE.geodesic(x, y, torch.tensor(0.5))
        ends = (kind(TIME, x).value + kind(TIME, y).value) / 2
        gap = (ends - kind(TIME, middle).value) / (1 + ends.abs())
        assert (gap > -1e-9).all()
        assert name != "log_det" or gap.abs().max() < 1e-9


def test_busemann():
    """The limit that defines it, and unit speed."""
    kind, p = functions("busemann"), spd(4, seed=1)
    value, xi = kind(TIME, p)
    velocity = xi @ p[:, None] + p[:, None] @ xi.mT
    points = p[:, None].expand(4, 3, 3, 3)
    torch.testing.assert_close(SPACE.norm(points, velocity), torch.ones(4, 3, dtype=DTYPE))
    # from the identity the ray runs along its own descent
    identity = torch.eye(3, dtype=DTYPE)
    direction = 2 * kind(TIME, identity).xi  # (3, 3, 3), symmetric
    torch.testing.assert_close(direction, direction.mT)
    gaps = []
    for t in (10.0, 20.0):
        ray = torch.matrix_exp(t * direction)
        gaps.append((SPACE.dist(points, ray) - t - value).abs().max())
    assert gaps[1] < 0.6 * gaps[0] < 0.6


def separation_rate(field, t: Tensor, p: Tensor, q: Tensor) -> Tensor:
    """d/dt of d(p, q)^2 / 2 along the field."""
    velocities = [field(t, x) @ x + x @ field(t, x).mT for x in (p, q)]
    return -SPACE.inner(p, velocities[0], SPACE.log(p, q)) - SPACE.inner(q, velocities[1], SPACE.log(q, p))


@pytest.mark.parametrize("sigma", ["sigmoid", "relu"])
def test_no_two_solutions_move_apart(sigma):
    """The one-sided bound on a Hadamard manifold, 0, for points near and far, and at the ends of a flow."""
    field = make("spd_gradient_flow", sigma=sigma)
    assert field.one_sided_bound() == 0
    p, q = spd(200, seed=1), spd(200, seed=2)
    for reach in (1e-3, 1.0, 2.0):
        end = SPACE.geodesic(p, q, torch.tensor(reach))
        assert (separation_rate(field, TIME, p, end) <= 1e-12).all()
    times = torch.linspace(0, 2e-3, 3, dtype=DTYPE)
    p1, q1 = (odeint(field, x[:20], times, method="rkmk3", save="last") for x in (p, q))
    assert (SPACE.dist(p1, q1) < SPACE.dist(p[:20], q[:20])).all()


def test_a_sigma_of_both_signs_has_no_bound():
    assert make("spd_gradient_flow", sigma="tanh").one_sided_bound() is None
    with pytest.raises(MvnetError, match=r"functions: found \['entropy'\], expected some of distance, busemann"):
        SPDGradientFlow(3, functions=("entropy",))


def test_log_det_scales():
    """Alone it makes P' = -w sigma P: all tensors shrink alike, as a congruence by a multiple of I."""
    field = SPDGradientFlow(3, hidden=1, functions=("log_det",), generator=generator(0)).double()
    p = spd(4, seed=1)
    xi = field(TIME, p)
    identity = torch.eye(3, dtype=DTYPE)
    torch.testing.assert_close(xi, xi[:, :1, :1] * identity)
    assert (xi[:, 0, 0] < 0).all()


def test_gradient_on_rotations():
    field = RotationGradientFlow(4, generator=generator(0)).double()
    r, w = rotations(5, seed=1), normal(5, 3, seed=2)
    rate = torch.func.jvp(lambda x: field.energy(TIME, x), (r,), (so3.hat(w) @ r,))[1]
    torch.testing.assert_close(rate, -(field(TIME, r) * w).sum(-1))


def test_lie_poisson():
    """The free body: m' = w x m, and the momentum in the other frame, R^T m, is constant; |m| at every step size."""
    field = RotorField(0).double()
    z = motions(4, seed=1)
    xi, m = field(TIME, z), z[..., 3]
    torch.testing.assert_close(xi[:, :3], m / field.inertia)
    assert (xi[:, 3:] == 0).all()
    coarse = odeint(field, z, torch.linspace(0, 20, 11, dtype=DTYPE), method="rkmk4")
    torch.testing.assert_close(coarse[..., 3].norm(dim=-1), m.norm(dim=-1).expand(11, 4), rtol=1e-13, atol=0)
    moments = (coarse[..., :3].mT @ coarse[..., 3:])[..., 0]
    torch.testing.assert_close(moments, moments[:1].expand(11, 4, 3), rtol=1e-13, atol=1e-13)


def test_rotor_by_hamiltons_equations():
    """dH = m' - w x m paired with a rotation, w with a momentum: right-trivialised equations from H alone."""
    field = make("rotor")
    z, w = motions(5, seed=1), normal(5, 3, seed=3)
    turned = torch.cat((so3.hat(w) @ z[..., :3], torch.zeros(5, 3, 1, dtype=DTYPE)), -1)
    rate = torch.func.jvp(lambda x: field.energy(TIME, x), (z,), (turned,))[1]
    torch.testing.assert_close(rate, -(field(TIME, z)[:, 3:] * w).sum(-1))
    gradient = torch.func.grad(lambda x: field.energy(TIME, x).sum())(z)[..., 3]
    torch.testing.assert_close(gradient, field(TIME, z)[:, :3])
