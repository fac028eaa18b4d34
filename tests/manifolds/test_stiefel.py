"""Stiefel and Grassmann against manifolds that they contain, and the ways back to orthonormal columns."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mvnet.errors import MvnetError
from mvnet.linalg.polar import cholesky_qr, polar
from mvnet.manifolds import Grassmann, MatrixGroup, Sphere, Stiefel

from .cases import generator, unit_tangent

F64 = torch.float64


def test_one_column_is_a_sphere():
    sphere, stiefel = Sphere(5), Stiefel(5, 1)
    x, y = sphere.random_point((2, 3), generator=generator(0), dtype=F64)
    u = sphere.random_tangent(x, generator=generator(1))
    columns = [t.unsqueeze(-1) for t in (x, y, u)]
    assert_close(stiefel.dist(*columns[:2]), sphere.dist(x, y))
    assert_close(stiefel.transport(*columns).squeeze(-1), sphere.transport(x, y, u))
    assert_close(stiefel.exp(columns[0], columns[2]).squeeze(-1), sphere.exp(x, u))


def test_all_columns_are_the_orthogonal_group_with_half_its_metric():
    stiefel, group = Stiefel(3, 3), MatrixGroup("O", 3)
    x = group.random_point((3,), generator=generator(2), dtype=F64)
    v = unit_tangent(group, x, generator(3))
    assert_close(stiefel.exp(x, v), group.exp(x, v))
    assert_close(stiefel.inner(x, v, v), group.inner(x, v, v) / 2)


@pytest.mark.parametrize("length", [1.0, 2.0])
@pytest.mark.parametrize("dtype", [F64, torch.float32])
def test_logarithms_of_large_matrices_reach_their_radius(length, dtype):
    m = Stiefel(40, 6)
    x = m.random_point((2,), generator=generator(4), dtype=dtype)
    v = unit_tangent(m, x, generator(5), length)
    y = m.exp(x, v)
    assert_close(m.log(x, y), v, rtol=0, atol=100 * torch.finfo(dtype).eps)


def test_distances_of_subspaces_are_their_principal_angles_whatever_the_basis():
    m = Grassmann(7, 3)
    x, y = m.random_point((2, 4), generator=generator(6), dtype=F64)
    angles = torch.linalg.svdvals(x.mT @ y).clamp(max=1).acos()
    turn = MatrixGroup("O", 3).random_point((4,), generator=generator(7), dtype=F64)
    assert_close(m.dist(x, y), angles.square().sum(-1).sqrt())
    assert_close(m.dist(x, y @ turn), m.dist(x, y))
    assert_close(m.log(x, y @ turn), m.log(x, y))
    u = m.random_tangent(x, generator=generator(8))
    assert_close(m.transport(x @ turn, y, u @ turn), m.transport(x, y, u))


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 30.0])
@pytest.mark.parametrize("dtype", [F64, torch.float32])
def test_tangent_steps_of_any_size_lead_back(size, dtype):
    """Newton's step, one pass and two passes of Cholesky."""
    m = Stiefel(20, 5)
    x = m.random_point((2,), generator=generator(9), dtype=dtype)
    y = cholesky_qr(x + size * m.random_tangent(x, generator=generator(10)))
    assert m.violation(y).max() < 10 * torch.finfo(dtype).eps
    if dtype == F64 and size == 1.0:
        assert torch.autograd.gradcheck(cholesky_qr, (2 * y).requires_grad_(), fast_mode=True)


def test_the_polar_factor_differentiates_also_at_repeated_singular_values():
    a = torch.randn(2, 4, 3, generator=generator(11), dtype=F64)
    for x in (a, polar(a), 2 * polar(a)):
        assert torch.autograd.gradcheck(polar, x.detach().requires_grad_(), fast_mode=True)
    square = torch.randn(2, 3, 3, generator=generator(12), dtype=F64)
    assert_close(torch.linalg.det(polar(square, True)), torch.ones(2, dtype=F64))
    assert torch.autograd.gradcheck(lambda x: polar(x, True), square.requires_grad_(), fast_mode=True)
    assert polar(torch.zeros(3, 2, dtype=F64, requires_grad=True)).isfinite().all()


def test_more_columns_than_rows_are_refused():
    with pytest.raises(MvnetError, match=r"^n, p: found 3, 4, expected 1 <= p <= n"):
        Stiefel(3, 4)
