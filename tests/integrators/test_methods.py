"""One battery over every method of the registry and every flow of conftest.py."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from mvnet.integrators import (
    METHODS,
    CircleAction,
    Congruence,
    RigidMotionAction,
    RotationAction,
    Translation,
    odeint,
    step,
)
from mvnet.integrators.lie_group.munthe_kaas import Cayley, MuntheKaas
from mvnet.linalg import affine_invariant, gl3, so3, sym3
from tests.integrators.flows import PAIRS

LIE_GROUP = [n for n, m in METHODS.items() if m.kind == "lie_group"]
CAYLEY = [n for n, m in METHODS.items() if isinstance(m, MuntheKaas) and isinstance(m.coordinates, Cayley)]
EXPONENTIAL = [n for n in LIE_GROUP if n not in CAYLEY]
EXPONENTIAL_PAIRS = [pair for pair in PAIRS if pair.values[0] not in CAYLEY]


def steps(n: int) -> torch.Tensor:
    return torch.linspace(0, 1, n + 1, dtype=torch.float64)


@pytest.mark.parametrize(("method", "flow"), PAIRS)
def test_order(method, flow):
    """The error falls as h^order, nominal order within 0.1."""
    ends = [odeint(flow.xi, flow.z0, steps(n), action=flow.action, method=method)[-1] for n in (32, 64)]
    errors = [flow.difference(end, flow.solution).norm() for end in ends]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(METHODS[method].order, abs=0.1)


@pytest.mark.parametrize(("method", "flow"), PAIRS)
def test_stays_on_the_manifold(method, flow):
    """At steps too large to be accurate: symmetric positive definite, R R^T = I, angles in range."""
    states = odeint(flow.xi, flow.z0, torch.arange(5.0), action=flow.action, method=method)
    assert not torch.allclose(states[1], flow.solution, rtol=0, atol=1e-6)
    assert all(flow.defect(z) < 1e-13 for z in states)


@pytest.mark.parametrize(("method", "flow"), EXPONENTIAL_PAIRS)
def test_exact_for_a_constant_velocity(method, flow):
    xi = flow.xi(torch.tensor(0.3), flow.z0).detach()
    end = odeint(lambda t, z: xi, flow.z0, steps(3), action=flow.action, method=method)[-1]
    torch.testing.assert_close(end, flow.action.act(xi, flow.z0), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("method", "flow"), PAIRS)
def test_equivariance(method, flow):
    """Moving the start by g and the field by Ad_g moves every state by g."""

    def moved(t, z):
        return flow.adjoint(flow.g, flow.xi(t, flow.translate(flow.inverse(flow.g), z)))

    z = odeint(flow.xi, flow.z0, steps(2), action=flow.action, method=method)
    w = odeint(moved, flow.translate(flow.g, flow.z0), steps(2), action=flow.action, method=method)
    for a, b in zip(z, w, strict=True):
        assert flow.difference(flow.translate(flow.g, a), b).abs().max() < 1e-12


@pytest.mark.parametrize(("method", "flow"), PAIRS)
def test_gradient_through_the_steps(method, flow):
    """Against finite differences, with respect to start, parameters and times."""

    def end(z0, theta, t):
        return odeint(lambda s, z: flow.field(s, z, theta), z0, t, action=flow.action, method=method)[-1]

    # fast mode: random projections of the Jacobian, whose full form the other flows share
    inputs = (flow.z0[:1], flow.theta, torch.tensor([0.0, 0.3, 0.5], dtype=torch.float64))
    inputs = tuple(x.clone().requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(end, inputs, fast_mode=True, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", LIE_GROUP)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_is_finite_at_the_identity(method, dtype):
    """z = I, xi = 0: where eigenvalues repeat and rotation angles vanish."""
    identity = torch.eye(3, dtype=dtype)[None]
    starts = {
        Congruence(): (identity, torch.zeros(1, 3, 3, dtype=dtype)),
        Congruence(dim=1): (sym3.pack(identity, dim=1), torch.zeros(1, 9, dtype=dtype)),
        RotationAction(): (identity, torch.zeros(1, 3, dtype=dtype)),
        RigidMotionAction(): (torch.eye(3, 4, dtype=dtype)[None], torch.zeros(1, 6, dtype=dtype)),
        CircleAction(): (torch.zeros(1, dtype=dtype), torch.zeros(1, dtype=dtype)),
    }
    for action, (z0, xi) in starts.items():
        xi.requires_grad_()
        field = partial(lambda xi, t, z: (1 + t) * xi, xi)
        end = odeint(field, z0, [0.0, 0.5, 1.0], action=action, method=method)[-1]
        weights = torch.arange(1, end.numel() + 1).reshape(end.shape)
        (gradient,) = torch.autograd.grad((weights * end).sum(), xi)
        assert end.dtype == dtype
        assert gradient.isfinite().all() and gradient.abs().max() > 0.1


@pytest.mark.parametrize("method", LIE_GROUP)
def test_planes_equal_points(method):
    """The field layout (6 and 9 planes of a volume) does what the point layout does."""
    generator = torch.Generator().manual_seed(0)
    a, m = (torch.randn(2, 3, 2, 2, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    p = a @ a.mT + torch.eye(3, dtype=torch.float64)

    def field(t, z):
        return (1 + t) * m @ z / (1 + z.diagonal(dim1=-2, dim2=-1).sum(-1))[..., None, None]

    def plane_field(t, z):
        return gl3.from_matrix(field(t, sym3.unpack(z, dim=1)), dim=1)

    points = odeint(field, p, steps(2), action=Congruence(), method=method)
    planes = odeint(plane_field, sym3.pack(p, dim=1), steps(2), action=Congruence(dim=1), method=method)
    torch.testing.assert_close(sym3.unpack(planes, dim=2), points, rtol=1e-11, atol=1e-12)


def test_lie_euler_is_the_geodesic_step():
    """xi = V P^-1 / 2 gives the velocity xi P + P xi^T = V, and exp(xi) P exp(xi)^T = Exp_P(V)."""
    generator = torch.Generator().manual_seed(1)
    a, v = (torch.randn(20, 3, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    p, v = a @ a.mT + torch.eye(3, dtype=torch.float64), v + v.mT

    end = step("lie_euler", lambda t, z: v @ torch.linalg.inv(z) / 2, 0.0, 1.0, p, Congruence())
    geodesic = affine_invariant.exp(sym3.pack(p, dim=1), sym3.pack(v, dim=1))
    torch.testing.assert_close(end, sym3.unpack(geodesic), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("method", CAYLEY)
def test_cayley_moves_rotations_and_tensors_within_their_group(method):
    """The Cayley map of a skew matrix is a rotation, also as a congruence: eigenvalues stay."""
    w = torch.tensor([0.3, -1.2, 0.8], dtype=torch.float64)
    p = torch.diag(torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64))
    end = odeint(lambda t, z: so3.hat((1 + t) * w), p, steps(2), action=Congruence(), method=method)[-1]
    torch.testing.assert_close(torch.linalg.eigvalsh(end), p.diagonal(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", EXPONENTIAL)
def test_commutative_groups_give_one_runge_kutta_method(method):
    """Away from the cut the circle and the line agree."""
    z0 = torch.tensor([0.1, 0.3], dtype=torch.float64)
    circle, line = (
        odeint(lambda t, z: z.cos() * t, z0, steps(4), action=action, method=method)[-1]
        for action in (CircleAction(), Translation())
    )
    torch.testing.assert_close(circle, line, rtol=1e-14, atol=1e-14)
