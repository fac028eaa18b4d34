"""Group actions: axioms, differentials and layouts."""

from __future__ import annotations

import math

import pytest
import torch

from mvnet.integrators import CircleAction, Congruence, RotationAction, Translation
from mvnet.linalg import so3
from mvnet.manifolds.actions import MOST_COMMUTATORS


def algebra(flow, seed: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(flow.action.algebra_shape(flow.z0), generator=generator, dtype=torch.float64)


def along(flow, function, u, v):
    """d/ds function(u + s v, z) at s = 0, by autograd."""
    zero = torch.zeros((), dtype=torch.float64)
    derivative = torch.autograd.functional.jacobian(lambda s: function(u + s * v, flow.z0), zero)
    return derivative.reshape(flow.z0.shape)  # pyright: ignore[reportAttributeAccessIssue]


def test_one_parameter_subgroups(flow):
    """exp(0) . z = z, exp(u) . (exp(u) . z) = exp(2 u) . z, exp(-u) . exp(u) . z = z"""
    u, act = algebra(flow, 0), flow.action.act
    twice = act(2 * u, flow.z0)
    assert flow.difference(act(0 * u, flow.z0), flow.z0).abs().max() < 1e-15
    assert flow.difference(act(u, act(u, flow.z0)), twice).abs().max() < 1e-12 * twice.abs().max()
    assert flow.difference(act(-u, act(u, flow.z0)), flow.z0).abs().max() < 1e-12


def test_generator(flow):
    """Both coordinates start with velocity xi . z."""
    xi = algebra(flow, 1)
    for function in (flow.action.act, flow.action.cay_act):
        derivative = along(flow, function, 0 * xi, xi)
        torch.testing.assert_close(derivative, flow.velocity(xi, flow.z0), rtol=1e-11, atol=1e-11)


def test_bracket_is_a_lie_bracket(flow):
    a, b, c = (algebra(flow, s) for s in range(3))
    bracket = flow.action.bracket
    torch.testing.assert_close(bracket(a, b), -bracket(b, a))
    jacobi = bracket(a, bracket(b, c)) + bracket(b, bracket(c, a)) + bracket(c, bracket(a, b))
    assert jacobi.abs().max() < 1e-12


def test_dexpinv_is_the_inverse_differential(flow):
    """d/ds exp(u + s dexpinv_u(v)) . z = v . (exp(u) . z), up to the truncation, which falls as |u|^6."""
    errors = []
    for scale in (0.2, 0.1):
        u, v = algebra(flow, 3, scale), algebra(flow, 4)
        moved = along(flow, flow.action.act, u, flow.action.dexpinv(u, v, MOST_COMMUTATORS))
        errors.append((moved - flow.velocity(v, flow.action.act(u, flow.z0))).abs().max().item())
    assert errors[0] < 1e-3
    assert errors[1] < 1e-11 or math.log2(errors[0] / errors[1]) == pytest.approx(6, abs=0.5)


def test_dcayinv_is_the_inverse_differential(flow):
    u, v = algebra(flow, 5, 0.3), algebra(flow, 6)
    moved = along(flow, flow.action.cay_act, u, flow.action.dcayinv(u, v))
    expected = flow.velocity(v, flow.action.cay_act(u, flow.z0))
    torch.testing.assert_close(moved, expected, rtol=1e-11, atol=1e-11)


def test_dexpinv_series_of_rotations_is_the_closed_form():
    generator = torch.Generator().manual_seed(7)
    u, v = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    u = 0.05 * u  # the next term is [u, ... [u, v]] / 30240, six deep
    torch.testing.assert_close(RotationAction().dexpinv(u, v, 4), so3.dexpinv(u, v), rtol=0, atol=1e-9)


@pytest.mark.parametrize("order", [-1, MOST_COMMUTATORS + 1])
def test_dexpinv_refuses_orders_it_has_no_coefficients_for(order):
    with pytest.raises(ValueError, match="order: found"):
        RotationAction().dexpinv(torch.zeros(3), torch.zeros(3), order)


@pytest.mark.parametrize("angle", [-math.pi, math.pi, 3.5, -3.5, 100.0])
def test_angles_stay_in_the_half_open_interval(angle):
    end = CircleAction().act(torch.tensor(angle, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    assert -math.pi < end <= math.pi
    assert math.sin(end) == pytest.approx(math.sin(angle), abs=1e-13)


@pytest.mark.parametrize(
    ("action", "shape", "expected"),
    [
        (Congruence(), (6, 5), "symmetric matrices"),
        (Congruence(dim=1), (2, 9, 4), "6 Mandel planes at dim 1"),
        (Congruence(dim=0), (2, 6), "6 Mandel planes at dim 0"),
        (RotationAction(), (3,), "rotations"),
    ],
)
def test_wrong_layouts_are_named(action, shape, expected):
    with pytest.raises(ValueError, match=f"z: found shape .*{expected}"):
        action.algebra_shape(torch.zeros(shape))


def test_translation_keeps_any_layout():
    assert Translation().algebra_shape(torch.zeros(2, 5)) == (2, 5)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_planes_may_sit_at_any_dim(dim):
    generator = torch.Generator().manual_seed(8)
    p = torch.tensor([2.0, 1.0, 3.0, 0.1, 0.2, 0.3]).expand(4, 6) + 0.0
    xi = torch.randn(4, 9, generator=generator)
    expected = Congruence(dim=1).act(xi, p)
    got = Congruence(dim).act(xi.movedim(1, dim), p.movedim(1, dim))
    torch.testing.assert_close(got.movedim(dim, 1), expected)
