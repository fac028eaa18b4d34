"""Blocks and Haar details: exactly invertible, orthogonal, of the type they claim."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from mvnet.equivariant import BlockPool, GroupConv, HaarPool, equivariance_error, field_type, group
from mvnet.equivariant.pooling import details, haar

from .cases import PLANE, SPACE, field, mixed, randomise

POOLS = [BlockPool, HaarPool]


@pytest.mark.parametrize("g", [*PLANE, *SPACE])
@pytest.mark.parametrize("pool", POOLS)
def test_inverse_and_norm(pool, g):
    layer, x = pool(mixed(group(g))), field(mixed(group(g)))
    y = layer(x)
    assert y.numel() == x.numel()
    assert_close(y.norm(), x.norm())
    assert_close(layer.inverse(y), x, rtol=0, atol=0 if pool is BlockPool else 1e-14)


@pytest.mark.parametrize("pool", POOLS)
def test_inverse_commutes_too(pool):
    layer = pool(mixed(group("D4")))
    y = field(layer.fields_out, size=3)
    assert equivariance_error(layer.inverse, "D4", y, layer.fields_out, layer.fields_in).largest < 1e-12
    assert_close(layer(layer.inverse(y)), y, rtol=0, atol=1e-14)


def test_blocks_are_pixels():
    fields = field_type(group("D4"), {"vector": 2})
    x = field(fields)
    assert torch.equal(BlockPool(fields)(x), F.pixel_unshuffle(x, 2))


@pytest.mark.parametrize("g, mean", [("D4", F.avg_pool2d), ("Oh", F.avg_pool3d)])
def test_first_haar_component_is_the_mean(g, mean):
    fields = mixed(group(g))
    layer, x = HaarPool(fields), field(fields)
    y = layer(x)
    assert_close(y[:, : fields.channels], mean(x, 2) * 2 ** (group(g).dim / 2))
    constant = torch.ones_like(x)
    assert_close(layer(constant)[:, fields.channels :], torch.zeros_like(y[:, fields.channels :]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dim", [2, 3])
def test_haar_is_orthogonal(dim):
    basis = haar(dim)
    assert_close(basis @ basis.mT, torch.eye(2**dim, dtype=torch.float64))


@pytest.mark.parametrize("g", [*PLANE, *SPACE])
def test_details_only_change_sign_and_place(g):
    rho = details(group(g))
    assert rho.is_monomial and rho.size == 2 ** group(g).dim - 1 and len(rho.invariants) == 0


@pytest.mark.parametrize("pool", POOLS)
def test_a_network_through_two_scales(pool):
    """Down, convolve, up, convolve: exact on even sizes."""
    g = group("D4")
    fields = field_type(g, {"regular": 1})
    down = pool(fields)
    inner, outer = GroupConv(down.fields_out, down.fields_out).double(), GroupConv(fields, fields).double()
    for layer in (inner, outer):
        randomise(layer)

    def network(x):
        return outer(x + down.inverse(inner(down(x))))

    assert equivariance_error(network, g, field(fields, size=8), fields, fields).largest < 1e-12


@pytest.mark.parametrize("pool", POOLS)
def test_errors(pool):
    fields = field_type(group("D4"), {"trivial": 1})
    for shape in ((1, 1, 5, 4), (1, 1, 4, 7), (1, 1, 4, 4, 4), (1, 1, 4)):
        with pytest.raises(ValueError, match="expected 2 even lengths"):
            pool(fields)(torch.zeros(shape))
    with pytest.raises(ValueError, match="y: found shape"):
        pool(fields).inverse(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="C8"):
        pool(field_type(group("C8"), {"trivial": 1}))
