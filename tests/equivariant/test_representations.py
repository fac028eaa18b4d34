"""Representations are homomorphisms into the orthogonal group; field types are their direct sums."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mvnet.equivariant import (
    REPRESENTATIONS,
    FieldType,
    Kronecker,
    Points,
    PseudoVector,
    Quotient,
    Regular,
    Sym2,
    Trivial,
    Vector,
    field_type,
    group,
)
from mvnet.equivariant.pooling import corners, details
from mvnet.equivariant.representations import fixed_vectors
from mvnet.linalg import sym3

from .cases import PLANE, SPACE, field, generator, representations

PLANAR = ("sides", "corners", "waves-sides", "waves-corners", "waves")
SPATIAL = ("pseudo-vector", "sym2", "faces", "vertices", "edges", "flags", "faces-edges")


def every(g):
    """All registered ones that the group has, those of the cases and products."""
    names = [name for name in REPRESENTATIONS if name not in (SPATIAL if g.dim == 2 else PLANAR)]
    named = [REPRESENTATIONS[name](g) for name in names]
    return [*named, *representations(g), corners(g), details(g), Kronecker(Vector(g), corners(g))]


@pytest.mark.parametrize("name", [*PLANE, *SPACE])
def test_orthogonal_homomorphism(name):
    g = group(name)
    for rho in every(g):
        assert rho.matrices.shape == (g.order, rho.size, rho.size), rho
        eye = torch.eye(rho.size, dtype=torch.float64)
        assert_close(rho.matrices[0], eye, rtol=0, atol=1e-12)
        assert_close(rho.matrices @ rho.matrices.mT, eye.expand(g.order, -1, -1), rtol=0, atol=1e-12)
        if rho.size <= 24:
            products = torch.einsum("aij,bjk->abik", rho.matrices, rho.matrices)
            assert_close(products, rho.matrices[g.table], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [*PLANE, *SPACE])
def test_monomial_and_permutation_are_what_the_matrices_say(name):
    for rho in every(group(name)):
        one_each = ((rho.matrices.abs() - 1).abs() < 1e-9).sum(1).eq(1).all() and (
            rho.matrices.abs().sum(1) - 1
        ).abs().max() < 1e-9
        assert rho.is_monomial == bool(one_each), rho
        assert rho.is_permutation == (bool(one_each) and bool((rho.matrices > -1e-9).all())), rho
        if rho.is_monomial:
            x = torch.randn(rho.size, generator=generator(0), dtype=torch.float64)
            moved = torch.empty(len(rho.matrices), rho.size, dtype=torch.float64)
            moved.scatter_(1, rho.images, rho.signs * x)
            assert_close(moved, rho.matrices @ x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [*PLANE, *SPACE])
def test_invariants(name):
    """As many as the mean character says (the multiplicity of the trivial one), orthonormal and fixed; no other
    basis of the same space when the average is a little off, as it is on another machine."""
    for rho in every(group(name)):
        b = rho.invariants
        assert len(b) == round(float(rho.matrices.diagonal(dim1=1, dim2=2).sum(1).mean())), rho
        assert_close(b @ b.mT, torch.eye(len(b), dtype=torch.float64), rtol=0, atol=1e-12)
        assert_close((rho.matrices @ b.mT), b.mT.expand(len(rho.matrices), -1, -1), rtol=0, atol=1e-12)
        off = 1e-13 * torch.randn(rho.size, rho.size, generator=generator(0), dtype=torch.float64)
        assert_close(fixed_vectors(rho.matrices.mean(0) + off), b, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "name, point, size",
    [
        ("Oh", (1, 0, 0), 6),
        ("Oh", (1, 1, 1), 8),
        ("Oh", (1, 1, 0), 12),
        ("Oh", (2, 1, 1), 24),
        ("Oh", (2, 1, 0), 24),
        ("Oh", (3, 2, 1), 48),
        ("O", (3, 2, 1), 24),
        ("D4", (1, 0), 4),
        ("D4", (1, 1), 4),
        ("D4", (2, 1), 8),
    ],
)
def test_quotient_sizes(name, point, size):
    rho = Quotient(group(name), point)
    assert rho.size == size and rho.is_permutation and len(rho.invariants) == 1


def test_the_generic_orbit_is_the_regular_representation():
    g = group("D4")
    generic, regular = Quotient(g, (2, 1)), Regular(g)
    character = [rho.matrices.diagonal(dim1=1, dim2=2).sum(1) for rho in (generic, regular)]
    assert_close(*character)


def test_regular_moves_functions_on_the_group():
    """(rho(g) f)(h) = f(g^-1 h)."""
    g = group("Oh")
    f = torch.randn(g.order, generator=generator(0), dtype=torch.float64)
    assert_close(Regular(g).matrices @ f, f[g.table[g.inverse]], rtol=0, atol=0)


def test_sym2_is_conjugation():
    g = group("Oh")
    p = torch.randn(5, 6, generator=generator(0), dtype=torch.float64)
    for m, rho in zip(g.matrices, Sym2(g).matrices):
        assert_close(p @ rho.mT, sym3.pack(m @ sym3.unpack(p, 1) @ m.mT, 1), rtol=0, atol=1e-12)


def test_pseudo_vectors_are_cross_products():
    g = group("Oh")
    a, b = torch.randn(2, 3, generator=generator(0), dtype=torch.float64)
    for m, rho in zip(g.matrices, PseudoVector(g).matrices):
        assert_close(torch.linalg.cross(m @ a, m @ b), rho @ torch.linalg.cross(a, b), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["D4", "Oh"])
def test_fields_are_acted_on(name):
    """a . (b . f) = (ab) . f for fields of a sum, values moved by rho where points are moved by M."""
    g = group(name)
    fields = FieldType(*((2, rho) for rho in representations(g)))
    x = field(fields, size=3, batch=1)
    for a in range(0, g.order, 3):
        for b in range(0, g.order, 5):
            expected = fields.act(int(g.table[a, b]), x)
            assert_close(fields.act(a, fields.act(b, x)), expected, rtol=0, atol=1e-12)
        assert_close(fields.act(a, x), g.act(a, fields.act_on_values(a, x)), rtol=0, atol=1e-14)


def test_field_type():
    g = group("D4")
    fields = FieldType((2, Trivial(g)), (0, Vector(g)), (3, Regular(g)))
    assert fields.channels == 26 and fields.is_permutation and fields.is_monomial
    assert [rho.size for rho in fields.summands()] == [1, 1, 8, 8, 8]
    assert repr(fields) == "2 trivial[1] + 3 regular[8]"
    signed = FieldType((1, Vector(g)))
    assert signed.is_monomial and not signed.is_permutation


def test_errors():
    g = group("D4")
    with pytest.raises(ValueError, match="groups"):
        FieldType((1, Trivial(g)), (1, Trivial(group("C4"))))
    with pytest.raises(ValueError, match="channels"):
        FieldType((1, Vector(g))).act_on_values(0, torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="closed"):
        Points(g, torch.tensor([[1.0, 0.0]]))
    with pytest.raises(ValueError, match="group of space"):
        Sym2(g)
    with pytest.raises(ValueError, match="group of space"):
        PseudoVector(g)
    with pytest.raises(ValueError, match="found 'spinor'"):
        field_type(g, {"spinor": 1})
    with pytest.raises(ValueError, match="of C4"):
        Kronecker(Trivial(g), Trivial(group("C4")))
