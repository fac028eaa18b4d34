"""Distances, logs, transports and means commute with the isometries of each metric; cut loci; wrapping."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from mvnet.manifolds import SPD, Circle, Rotations, Sphere, wrap

from .cases import generator, nearby

F64 = torch.float64


def _matrix(n: int, seed: int) -> torch.Tensor:
    """A general element of GL(n), condition number of order 10."""
    return torch.randn(n, n, generator=generator(seed), dtype=F64) + 2 * torch.eye(n, dtype=F64)


def _rotation(seed: int) -> torch.Tensor:
    return Rotations().random_point((), generator=generator(seed), dtype=F64)


_A3, _A4, _R, _S = _matrix(3, 1), _matrix(4, 2), _rotation(3), _rotation(4)


def congruence(a):
    return lambda p: a @ p @ a.mT


def inversion_tangent(x, v):
    return -torch.linalg.solve(x, v) @ torch.linalg.inv(x)


# name, manifold, map of points, its differential (x, v) -> tangent vector at the image of x
ISOMETRIES = [
    ("GL(3) congruence", SPD(3), congruence(_A3), lambda x, v: congruence(_A3)(v)),
    ("GL(4) congruence", SPD(4), congruence(_A4), lambda x, v: congruence(_A4)(v)),
    ("inversion", SPD(3), torch.linalg.inv, inversion_tangent),
    ("inversion", SPD(2), torch.linalg.inv, inversion_tangent),
    ("rotation", SPD(3, "log-euclidean"), congruence(_R), lambda x, v: congruence(_R)(v)),
    ("scaling", SPD(4, "log-euclidean"), lambda p: 3 * p, lambda x, v: 3 * v),
    ("inversion", SPD(3, "log-euclidean"), torch.linalg.inv, inversion_tangent),
    ("left", Rotations(), lambda r: _R @ r, lambda x, v: _R @ v),
    ("right", Rotations(), lambda r: r @ _R, lambda x, v: v @ _R),
    ("both", Rotations(), lambda r: _R @ r @ _S, lambda x, v: _R @ v @ _S),
    ("inversion", Rotations(), lambda r: r.mT, lambda x, v: v.mT),
    ("rotation", Sphere(3), lambda p: p @ _R.mT, lambda x, v: v @ _R.mT),
    ("antipode", Sphere(3), lambda p: -p, lambda x, v: -v),
    ("shift", Circle(), lambda a: wrap(a + 2.5), lambda x, v: v),
    ("conjugation", Circle(), lambda a: -a, lambda x, v: -v),
]


@pytest.mark.parametrize(("name", "m", "move", "push"), ISOMETRIES, ids=[f"{i[1]}-{i[0]}" for i in ISOMETRIES])
def test_geometry_commutes_with_isometries(name, m, move, push):
    g = generator(0)
    x = m.random_point((6,), generator=g, dtype=F64)
    y = nearby(m, x, g)
    v = m.random_tangent(x, generator=g)
    assert_close(m.dist(move(x), move(y)), m.dist(x, y))
    assert_close(m.inner(move(x), push(x, v), push(x, v)), m.inner(x, v, v))
    assert_close(m.log(move(x), move(y)), push(x, m.log(x, y)))
    assert_close(m.transport(move(x), move(y), push(x, v)), push(y, m.transport(x, y, v)))
    cloud = nearby(m, x[:1].expand(6, *m.point_shape).contiguous(), g)
    assert_close(m.mean(move(cloud)), move(m.mean(cloud)), rtol=1e-7, atol=1e-8)


def test_angle_of_a_rotation_is_its_distance_from_the_identity():
    m, identity = Rotations(), torch.eye(3, dtype=F64)
    for angle in (1e-9, 0.3, 3.0, math.pi - 1e-7, math.pi):
        c, s = math.cos(angle), math.sin(angle)
        r = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=F64)
        assert_close(m.dist(identity, r).item(), angle, rtol=1e-9, atol=1e-12)
        assert_close(m.exp(identity, m.log(identity, r)), r)


def test_opposite_points_of_the_sphere_and_circle_are_pi_apart():
    m = Sphere(3)
    x = m.random_point((5,), generator=generator(1), dtype=F64)
    assert_close(m.dist(x, -x), torch.full((5,), math.pi, dtype=F64))
    assert_close(m.exp(x, m.log(x, -x)), -x)
    leaf = x.clone().requires_grad_()
    for out in (m.dist(leaf, -x), m.log(leaf, -x)):
        assert torch.autograd.grad(out.sum(), leaf)[0].isfinite().all()
    opposite = torch.tensor(-math.pi / 2, dtype=F64)
    assert Circle().log(torch.tensor(math.pi / 2, dtype=F64), opposite).item() == math.pi


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wrap_lands_in_the_half_open_interval_with_slope_one(dtype):
    turns = torch.arange(-50, 51, dtype=dtype)
    angle = (torch.linspace(-3, 3, 31, dtype=dtype) + 2 * math.pi * turns[:, None]).requires_grad_()
    wrapped = wrap(angle)
    assert_close(
        wrapped,
        torch.linspace(-3, 3, 31, dtype=dtype).expand(101, 31),
        rtol=0,
        atol=100 * 1e3 * torch.finfo(dtype).eps,
    )
    assert (torch.autograd.grad(wrapped.sum(), angle)[0] == 1).all()
    edges = wrap(torch.tensor([math.pi, -math.pi], dtype=dtype))
    assert (edges == torch.tensor(math.pi, dtype=dtype)).all()
