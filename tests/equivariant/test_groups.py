"""Group axioms, and the action on fields."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from mvnet.equivariant import GROUPS, group, voxel_group
from mvnet.equivariant.groups import interpolate, permute_axes, rotation_2d

from .cases import generator

ORDERS = {"C4": 4, "D4": 8, "C16": 16, "D16": 32, "O": 24, "Oh": 48, "D2h": 8, "D4h-i": 16, "D4h-j": 16, "D4h-k": 16}
ON_GRID = [name for name in GROUPS if all(group(name).on_grid)]


@pytest.mark.parametrize("name", ORDERS)
def test_orders(name):
    assert group(name).order == ORDERS[name]


@pytest.mark.parametrize("name", GROUPS)
def test_axioms(name):
    g = group(name)
    elements = torch.arange(g.order)
    assert_close(g.matrices[0], torch.eye(g.dim, dtype=torch.float64), rtol=0, atol=0)
    assert_close(g.matrices @ g.matrices.mT, torch.eye(g.dim, dtype=torch.float64).expand_as(g.matrices))
    assert torch.equal(g.table[0], elements) and torch.equal(g.table[:, 0], elements)
    assert torch.equal(g.table.sort(0)[0], elements[:, None].expand_as(g.table))
    assert torch.equal(g.table[g.table], g.table[:, g.table])  # (a b) c = a (b c)
    assert torch.equal(g.table[elements, g.inverse], torch.zeros_like(elements))
    products = torch.einsum("aij,bjk->abik", g.matrices, g.matrices)
    assert_close(g.matrices[g.table], products, rtol=0, atol=1e-12)
    assert torch.equal(g.index(g.faithful), elements)


def test_subgroups():
    """Every box group is inside Oh, as O is."""
    for name in ("O", "D2h", "D4h-i", "D4h-j", "D4h-k"):
        assert len(group("Oh").index(group(name).matrices).unique()) == group(name).order


@pytest.mark.parametrize("name", ON_GRID)
def test_act_is_an_action(name):
    """a . (b . x) = (ab) . x, and each g . x holds the same numbers."""
    g = group(name)
    x = torch.randn(2, *(4,) * g.dim, generator=generator(0))
    moved = [g.act(a, x) for a in range(g.order)]
    assert torch.equal(moved[0], x)
    for a in range(g.order):
        assert torch.equal(moved[a].flatten().sort()[0], x.flatten().sort()[0])
        for b in range(g.order):
            assert torch.equal(g.act(a, moved[b]), moved[int(g.table[a, b])])


@pytest.mark.parametrize("name", ["D4", "Oh"])
def test_act_moves_points_as_the_matrix_does(name):
    """(g . x)(p) = x(M^-1 p): the peak at q goes to M q."""
    g, q = group(name), torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64)[: group(name).dim]
    x = torch.zeros((5,) * g.dim)
    x[tuple((q + 2).long())] = 1
    for a in range(g.order):
        assert g.act(a, x)[tuple((g.matrices[a] @ q + 2).round().long())] == 1


def test_interpolation_is_the_permutation_where_both_apply():
    for name, n in (("D4", 7), ("Oh", 5)):
        g = group(name)
        x = torch.randn(2, *(n,) * g.dim, generator=generator(0), dtype=torch.float64)
        for matrix in g.matrices:
            assert_close(interpolate(matrix, x), permute_axes(matrix, x), rtol=0, atol=1e-12)


def test_rotation_off_the_grid_turns_a_smooth_field():
    axis = torch.linspace(-1, 1, 65, dtype=torch.float64)
    r, c = torch.meshgrid(axis, axis, indexing="ij")

    def bump(r, c):
        return torch.exp(-20 * ((r - 0.3) ** 2 + (c + 0.1) ** 2))

    m = rotation_2d(math.pi / 4)
    expected = bump(m[0, 0] * r + m[1, 0] * c, m[0, 1] * r + m[1, 1] * c)  # M^-1 p = M^T p
    # torch's bicubic kernel (A = -0.75) misses a linear function by up to 0.048 of its slope per pixel, 0.12 here
    assert_close(interpolate(m, bump(r, c)), expected, rtol=0, atol=1e-2)


def test_exchanged_axes_must_be_equal():
    g = group("D4")
    x = torch.zeros(1, 4, 6)
    exchanging = [a for a in range(g.order) if g.matrices[a, 0, 0] == 0]
    for a in range(g.order):
        if a in exchanging:
            with pytest.raises(ValueError, match="equal lengths"):
                g.act(a, x)
        else:
            assert g.act(a, x).shape == x.shape
    with pytest.raises(ValueError, match="equal lengths"):
        interpolate(rotation_2d(0.3), x)


@pytest.mark.parametrize(
    "spacing, name",
    [
        ((2, 2, 2), "Oh"),
        ((1.25, 1.2501, 1.2499), "Oh"),
        ((2, 2, 2.5), "D4h-k"),
        ((2, 3, 2), "D4h-j"),
        ((5, 1, 1), "D4h-i"),
        ((1, 2, 3), "D2h"),
    ],
)
def test_voxel_group(spacing, name):
    g = voxel_group(spacing)
    assert g is group(name)
    box = torch.tensor(spacing, dtype=torch.float64)
    assert_close(g.matrices.abs() @ box, box.expand(g.order, 3), rtol=1e-3, atol=0)


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, -1, 1)])
def test_voxel_group_errors(spacing):
    with pytest.raises(ValueError, match="spacing"):
        voxel_group(spacing)


def test_unknown_group_and_foreign_matrix():
    with pytest.raises(ValueError, match="found 'SO3'"):
        group("SO3")
    with pytest.raises(ValueError, match="outside C4"):
        group("C4").index(rotation_2d(0.3))
