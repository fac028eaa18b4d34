"""Bases of equivariant kernels: their number, the constraint, and the two ways to the same space."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mvnet.equivariant import FieldType, GroupConv, field_type, group
from mvnet.equivariant.expansion import KernelExpansion
from mvnet.equivariant.kernels import constraint_error, solve_kernels, taps, tie_weights
from mvnet.equivariant.representations import REPRESENTATIONS

from .cases import PLANE, SPACE, Traceless, generator, representations

COUNTS = [
    ("C4", "trivial", "regular", 3, 9),
    ("C4", "regular", "regular", 3, 36),
    ("C4", "regular", "regular", 5, 100),
    ("D4", "trivial", "regular", 3, 9),
    ("D4", "regular", "regular", 3, 72),
    ("D4", "regular", "regular", 5, 200),
    ("O", "trivial", "regular", 3, 27),
    ("O", "regular", "regular", 3, 648),
    ("O", "regular", "regular", 5, 3000),
    ("Oh", "trivial", "regular", 3, 27),
    ("Oh", "regular", "regular", 3, 1296),
    ("O", "sym2", "sym2", 1, 3),
    ("O", "sym2", "sym2", 3, 45),
    ("O", "sym2", "sym2", 5, 195),
    ("O", "sym2", "regular", 1, 6),
    ("O", "sym2", "regular", 3, 162),
    ("O", "sym2", "trivial", 3, 9),
    ("Oh", "sym2", "sym2", 1, 3),
    ("Oh", "sym2", "sym2", 3, 30),
    ("Oh", "sym2", "sym2", 5, 117),
    ("Oh", "sym2", "regular", 1, 6),
    ("Oh", "sym2", "regular", 3, 162),
    ("Oh", "sym2", "trivial", 3, 8),
]


@pytest.mark.parametrize("name, ins, outs, size, count", COUNTS)
def test_counts(name, ins, outs, size, count):
    g = group(name)
    rho_in, rho_out = REPRESENTATIONS[ins](g), REPRESENTATIONS[outs](g)
    if rho_in.is_monomial and rho_out.is_monomial:
        assert tie_weights(rho_out, rho_in, size).count == count
    else:
        assert len(solve_kernels(rho_out, rho_in, size)) == count


@pytest.mark.parametrize("name", [*PLANE, *SPACE])
def test_counts_are_the_mean_character(name):
    """The fixed vectors of rho_2 (x) rho_1 (x) taps are as many as the mean of its trace."""
    g = group(name)
    for a in representations(g)[:4]:
        for b in representations(g)[-3:]:
            of_pair = [rho.matrices.diagonal(dim1=1, dim2=2).sum(1) for rho in (a, b, taps(g, 3))]
            expected = round(float((of_pair[0] * of_pair[1] * of_pair[2]).mean()))
            assert len(solve_kernels(a, b, 3)) == expected


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("name", [*PLANE, *SPACE])
def test_constraint_for_every_pair(name, size):
    g = group(name)
    for a in representations(g):
        for b in representations(g):
            expansion = KernelExpansion(FieldType((1, b)), FieldType((1, a)), size)
            weights = torch.randn(expansion.count, generator=generator(0), dtype=torch.float64)
            if expansion.count:
                assert constraint_error(expansion(weights), a, b) < 1e-12, (a, b)


def test_constraint_error_sees_a_violation():
    g = group("D4")
    rho = REPRESENTATIONS["regular"](g)
    kernel = torch.randn(8, 8, 3, 3, generator=generator(0), dtype=torch.float64)
    assert constraint_error(kernel, rho, rho) > 0.1


@pytest.mark.parametrize(
    "name, pair",
    [
        ("D4", ("vector", "matrix")),
        ("D4", ("regular", "vector")),
        ("Oh", ("vector", "faces")),
        ("D4h-k", ("sign", "pseudo-vector")),
    ],
)
def test_tied_and_solved_span_the_same_space(name, pair):
    g = group(name)
    rho_out, rho_in = (REPRESENTATIONS[p](g) for p in pair)
    orbits = tie_weights(rho_out, rho_in, 3)
    dense = torch.zeros(orbits.count, len(orbits.index), dtype=torch.float64)
    dense[orbits.index, torch.arange(len(orbits.index))] = orbits.sign.double()
    basis = solve_kernels(rho_out, rho_in, 3).flatten(1)
    assert_close(basis @ basis.mT, torch.eye(len(basis), dtype=torch.float64), rtol=0, atol=1e-12)
    assert len(basis) == orbits.count
    assert_close(dense @ basis.mT @ basis, dense, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "name, fields", [("D4", {"trivial": 1, "vector": 2, "regular": 1}), ("Oh", {"vector": 1, "sym2": 2})]
)
def test_expansion_is_linear_with_the_right_gradient(name, fields):
    g = group(name)
    expansion = KernelExpansion(field_type(g, fields), field_type(g, fields), 3)
    w = torch.randn(2, expansion.count, generator=generator(0), dtype=torch.float64)
    assert_close(expansion(w[0] + 2 * w[1]), expansion(w[0]) + 2 * expansion(w[1]), rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(expansion, w[0].requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("name", ["D4", "Oh"])
def test_variance_is_kept_at_initialisation(name):
    """Gain 2 gives twice the variance of white noise, away from the border."""
    g = group(name)
    fields = FieldType(*((2, rho) for rho in representations(g)))
    torch.manual_seed(0)
    with torch.no_grad():
        ratios = []
        for _ in range(10):
            layer = GroupConv(fields, fields, 3, padding=0)
            x = torch.randn(4, fields.channels, *(6,) * g.dim, generator=generator(1))
            ratios.append(float(layer(x).square().mean()))
    assert 1.4 < sum(ratios) / len(ratios) < 2.8


def test_errors():
    c8, d4, c4 = group("C8"), group("D4"), group("C4")
    trivial = REPRESENTATIONS["trivial"]
    with pytest.raises(ValueError, match="C8 on a 3-tap grid"):
        taps(c8, 3)
    with pytest.raises(ValueError, match="signed permutations"):
        tie_weights(Traceless(group("Oh")), Traceless(group("Oh")), 3)
    with pytest.raises(ValueError, match="groups C4 and D4"):
        KernelExpansion(FieldType((1, trivial(c4))), FieldType((1, trivial(d4))), 3)
