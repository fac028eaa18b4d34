"""Splines and radial maps: against zuko, at the edges, and what they commute with."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mvnet.equivariant import equivariance_error, field_type, group
from mvnet.errors import MvnetError
from mvnet.invertible import (
    EquivariantOrthogonal,
    Knots,
    Radial,
    SizeShape,
    knots,
    radial,
    radial_inverse,
    rational_quadratic,
    rational_quadratic_inverse,
)
from mvnet.linalg import sym3

from .cases import draws, randomise


def raw(bins: int = 6, batch: int = 50, scale: float = 1.0, dtype: torch.dtype = torch.float64):
    return scale * torch.randn(batch, 3 * bins + 1, generator=draws(), dtype=torch.float64).to(dtype)


def test_against_zuko():
    zuko = pytest.importorskip("zuko", reason="zuko is in the extra `peers`")
    spline = knots(raw(), 3.0)
    peer = zuko.transforms.MonotonicRQSTransform(torch.zeros(50, 6), torch.zeros(50, 6), torch.zeros(50, 5), bound=3.0)
    peer.horizontal, peer.vertical, peer.derivatives = spline.x, spline.y, spline.slope
    x = torch.linspace(-4, 4, 50, dtype=torch.float64)
    y, slope = rational_quadratic(x, spline)
    expected, change = peer.call_and_ladj(x)
    assert_close(y, expected, rtol=0, atol=1e-12)
    assert_close(slope, change, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.0, 1.0, 20.0])
@pytest.mark.parametrize("tails", [(False, False), (True, True)])
def test_inverse_is_finite_everywhere(scale, tails):
    """Steep and flat bins, arguments at the knots and far out, in float32: no negative discriminant."""
    spline = knots(raw(scale=scale, dtype=torch.float32), 3.0, tails=tails)
    x = torch.cat((spline.x, torch.tensor([-1e4, -3.5, 3.5, 1e4]).expand(50, -1)), -1).requires_grad_()
    wide = Knots(spline.table[:, None])
    for function in (rational_quadratic, rational_quadratic_inverse):
        y, slope = function(x, wide)
        (gradient,) = torch.autograd.grad((y + slope).sum(), x)
        assert torch.isfinite(y).all() and torch.isfinite(slope).all() and torch.isfinite(gradient).all()
    order = x.detach().sort(-1).values
    assert bool((rational_quadratic(order, wide)[0].diff(dim=-1) >= 0).all())


def test_identity_and_errors():
    x = torch.linspace(-5, 5, 11)
    assert_close(rational_quadratic(x, knots(torch.zeros(22)))[0], x)
    with pytest.raises(MvnetError, match="x: found numbers that are not finite"):
        rational_quadratic(torch.tensor([torch.nan]), knots(torch.zeros(22)))
    with pytest.raises(MvnetError, match="raw: found 21 numbers"):
        knots(torch.zeros(21))
    with pytest.raises(MvnetError, match="bound"):
        knots(torch.zeros(22), 0.0)


def test_radial_at_zero_and_far_out():
    spline = knots(raw(5, 1)[0], tails=(False, True))
    u = torch.zeros(2, 6, 3, dtype=torch.float64)
    u[1] = 1e5
    u.requires_grad_()
    v, change = radial(u, spline)
    back, _ = radial_inverse(v, spline)
    assert_close(back, u, rtol=1e-10, atol=0)
    (gradient,) = torch.autograd.grad(change.sum() + v.sum(), u)
    assert torch.isfinite(gradient).all()


def test_radial_maps_commute_with_orthogonal_ones():
    layer = Radial(6).double()
    randomise(layer, 1.0)
    u = torch.randn(4, 6, 5, generator=draws(), dtype=torch.float64)
    q = torch.linalg.qr(torch.randn(6, 6, generator=draws(1), dtype=torch.float64))[0]
    z, change = layer(u)
    turned, same = layer(q @ u)
    assert_close(turned, q @ z, rtol=0, atol=1e-12)
    assert_close(same, change, rtol=0, atol=1e-12)


def test_size_and_shape_commute_with_rotations():
    layer = SizeShape().double()
    randomise(layer, 0.5)
    s = torch.randn(3, 6, 4, generator=draws(), dtype=torch.float64)
    q = torch.linalg.qr(torch.randn(3, 3, generator=draws(1), dtype=torch.float64))[0].reshape(1, 9, 1)
    z, change = layer(s)
    turned, same = layer(sym3.congruence(q, s))
    assert_close(turned, sym3.congruence(q, z), rtol=0, atol=1e-12)
    assert_close(same, change, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["D4", "Oh"])
def test_equivariant_orthogonal(name):
    fields = field_type(group(name), {"trivial": 2, "vector": 2, "regular": 1})
    layer = EquivariantOrthogonal(fields, generator=draws()).double()
    matrix = layer.matrix().detach()
    assert_close(matrix @ matrix.mT, torch.eye(len(matrix), dtype=torch.float64), rtol=0, atol=1e-12)
    x = torch.randn(1, fields.channels, *(4,) * fields.group.dim, generator=draws(1), dtype=torch.float64)
    assert equivariance_error(lambda v: layer(v)[0], name, x, fields, fields).largest < 1e-12
