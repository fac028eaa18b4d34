"""Every group of KINDS: membership, the laws of a geometry in short, and what is special to one; O(n) to the affine."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from mvnet.errors import MvnetError
from mvnet.manifolds import MatrixGroup, Rotations, evolve
from mvnet.manifolds.matrix_groups import KINDS

from .cases import generator, nearby, unit_tangent

F64 = torch.float64
GROUPS = [MatrixGroup(name, 4 if KINDS[name].even else 3) for name in KINDS]
EVERY = pytest.mark.parametrize("m", GROUPS, ids=[f"{m.name}({m.n})" for m in GROUPS])


@EVERY
def test_a_group_and_its_geometry(m):
    g = generator(1)
    x = m.random_point((2,), generator=g, dtype=F64)
    y = nearby(m, x, g)
    # a group
    m.check_point(x @ y, "product", atol=1e-9)
    m.check_point(torch.linalg.inv(x), "inverse", atol=1e-9)
    one = torch.eye(*m.point_shape, dtype=F64)
    basis = m.tangent_basis(one)
    assert len(basis) == m.dim
    assert_close(m.algebra(basis), basis)
    # a geometry
    v, u = m.log(x, y), m.random_tangent(x, generator=g)
    assert_close(m.exp(x, v), y, rtol=1e-9, atol=1e-10)
    carried = m.transport(x, y, u)
    assert_close(m.inner(y, carried, carried), m.inner(x, u, u))
    assert_close(m.transport(x, y, v), -m.log(y, x), rtol=1e-8, atol=1e-9)
    ambient = torch.randn(x.shape, generator=g, dtype=F64)
    tangent = m.to_tangent(x, ambient)
    assert_close(m.coordinates(x, tangent), m.algebra(m.coordinates(x, tangent)))
    assert_close(m.to_tangent(x, m.from_coordinates(x, ambient)), m.from_coordinates(x, ambient))
    assert abs(((ambient - tangent) * m.from_coordinates(x, ambient)).sum()) < 1e-9
    gradient = m.riemannian_gradient(x, ambient)
    assert_close(m.inner(x, gradient, u), (ambient * u).sum((-2, -1)))
    # a way back
    m.check_point(m.project(3 * ambient))
    near = m.project(x + 1e-6 * ambient)
    assert_close(near, x + 1e-6 * tangent, rtol=0, atol=3e-10)


@EVERY
def test_steps_stay_in_the_group(m):
    g = generator(2)
    x = m.random_point((2,), generator=g, dtype=F64)
    v = unit_tangent(m, x, g)
    errors = []
    for h in (0.04, 0.02):
        end, carried = m.move(x, h * v, v)
        m.check_point(end)
        errors.append((end - m.exp(x, h * v)).norm().item())
        assert_close(m.to_tangent(end, carried), carried)
    assert math.log2(errors[0] / errors[1]) > m.retraction_order + 0.8 or errors[0] < 1e-9
    x, v = x.float(), v.float()
    for _ in range(20):
        x = m.exp(x, 0.05 * m.to_tangent(x, v))
    m.check_point(x)


@pytest.mark.parametrize("how", ["exp", "cayley", "qr", "polar"])
def test_the_evolution_of_a_parameter_stays_on_what_the_group_moves(how):
    g = generator(3)
    m = torch.randn(4, 4, generator=g, dtype=F64)
    m, x = (m - m.mT) / 2, torch.linalg.qr(torch.randn(4, 2, generator=g, dtype=F64))[0]
    errors = []
    for h in (0.1, 0.05):
        y = evolve(x, m, h, how)
        assert_close(y.mT @ y, torch.eye(2, dtype=F64))
        errors.append((y - torch.linalg.matrix_exp(h * m) @ x).norm().item())
    order = {"exp": 0, "qr": 1}.get(how, 2)
    assert errors[1] < 1e-14 if how == "exp" else math.log2(errors[0] / errors[1]) > order + 0.8
    w = MatrixGroup("Sp", 4).algebra(torch.randn(4, 4, generator=g, dtype=F64))
    if how in ("exp", "cayley"):
        MatrixGroup("Sp", 4).check_point(evolve(torch.eye(4, dtype=F64), w, 0.3, how))
    with pytest.raises(MvnetError, match=r"^how: found 'euler', expected one of 'exp'"):
        evolve(x, m, how="euler")


def test_rotations_of_space_are_those_of_the_class_rotations():
    ours, theirs = MatrixGroup("SO", 3), Rotations()
    x, y = theirs.random_point((2, 4), generator=generator(4), dtype=F64)
    assert_close(ours.dist(x, y), 2**0.5 * theirs.dist(x, y))
    assert_close(ours.log(x, y), theirs.log(x, y))
    u = theirs.random_tangent(x, generator=generator(5))
    assert_close(ours.transport(x, y, u), theirs.transport(x, y, u))


def test_the_two_parts_of_a_group_are_infinitely_far_apart():
    x = torch.eye(3, dtype=F64)
    for name in ("O", "GL"):
        assert MatrixGroup(name, 3).dist(x, x.flip(0)).item() == math.inf
    with pytest.raises(MvnetError, match=r"^x: found 1 of 1 points off MatrixGroup"):
        MatrixGroup("SO", 3).check_point(x.flip(0))
    broken = torch.eye(4, dtype=F64)
    broken[3, 0] = 0.1
    assert MatrixGroup("SE", 3).violation(broken) > 0.05


def test_unknown_groups_and_sizes_are_named():
    with pytest.raises(MvnetError, match=r"^name: found 'E8', expected one of 'O', 'SO'"):
        MatrixGroup("E8", 3)
    with pytest.raises(MvnetError, match=r"^n: found 3, expected an even size for Sp"):
        MatrixGroup("Sp", 3)
