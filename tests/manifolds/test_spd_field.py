"""Planes at any dim are the matrices of `SPD(3)` in another layout."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mvnet.linalg import sym3
from mvnet.manifolds import SPD, SPDField

MATRICES = SPD(3)
SHAPE = (2, 3, 4)


@pytest.mark.parametrize("dim", [0, 1, 3, -1, -2])
def test_every_method_is_that_of_the_matrices(dim):
    field, g = SPDField(dim), torch.Generator().manual_seed(0)
    a, b = (MATRICES.random_point(SHAPE, generator=g, dtype=torch.float64) for _ in range(2))
    u, v = (MATRICES.random_tangent(a, generator=g) for _ in range(2))
    x, y, p, q = (sym3.pack(m, dim=dim) for m in (a, b, u, v))
    t = torch.rand(SHAPE, generator=g, dtype=torch.float64)
    assert field.batch_shape(x) == SHAPE
    for name, planes, matrices in (
        ("exp", (x, p), (a, u)),
        ("log", (x, y), (a, b)),
        ("transport", (x, y, p), (a, b, u)),
        ("retract", (x, p), (a, u)),
        ("riemannian_gradient", (x, p), (a, u)),
        ("to_tangent", (x, p), (a, u)),
        ("geodesic", (x, y, t), (a, b, t)),
        ("geodesic", (x, y, 0.3), (a, b, 0.3)),
        ("project", (x - y,), (a - b,)),
    ):
        expected = sym3.pack(getattr(MATRICES, name)(*matrices), dim=dim)
        assert_close(getattr(field, name)(*planes), expected, rtol=1e-9, atol=1e-10)
    for name, planes, matrices in (
        ("dist", (x, y), (a, b)),
        ("squared_dist", (x, y), (a, b)),
        ("inner", (x, p, q), (a, u, v)),
        ("norm", (x, p), (a, u)),
        ("violation", (x,), (a,)),
    ):
        assert_close(getattr(field, name)(*planes), getattr(MATRICES, name)(*matrices), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_mean_is_that_of_the_matrices(dim, axis):
    g = torch.Generator().manual_seed(1)
    a = MATRICES.random_point(SHAPE, generator=g, dtype=torch.float64)
    w = torch.rand(SHAPE, generator=g, dtype=torch.float64)
    expected = sym3.pack(MATRICES.mean(a, w, axis), dim=dim)
    assert_close(SPDField(dim).mean(sym3.pack(a, dim=dim), w, axis), expected, rtol=1e-8, atol=1e-9)


def test_a_point_and_a_random_point_have_the_layout():
    field, g = SPDField(1), torch.Generator().manual_seed(2)
    x = field.random_point(SHAPE, generator=g)
    assert x.shape == (2, 6, 3, 4)
    field.check_point(x)
    assert (x + field.point_like(x)).shape == x.shape
    assert field.tangent_basis(x).shape == (2, 6, 6, 3, 4)
    with pytest.raises(ValueError, match=r"^x: found shape \(2, 5\), expected 6 Mandel planes at dim 1"):
        field.check_point(torch.zeros(2, 5))
