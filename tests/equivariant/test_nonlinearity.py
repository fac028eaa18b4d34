"""What each nonlinearity computes and refuses, and the products of tensors against matrix algebra."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from mvnet.equivariant import (
    FieldType,
    Gated,
    NormNonlinearity,
    Pointwise,
    PseudoVector,
    Sign,
    Sym2,
    TensorProduct,
    Trivial,
    Vector,
    field_type,
    group,
)
from mvnet.equivariant import tensor_product as tp
from mvnet.equivariant.nonlinearity import is_odd
from mvnet.linalg import sym3

from .cases import Traceless, field, generator, mixed

KINDS = (Trivial, Sign, Vector, PseudoVector, Sym2)
SIZES = {Trivial: 1, Sign: 1, Vector: 3, PseudoVector: 3, Sym2: 6}


def orthogonal(seed: int) -> Tensor:
    """A rotation of space for even seeds, a rotation and an inversion for odd ones."""
    q = torch.linalg.qr(torch.randn(3, 3, generator=generator(seed), dtype=torch.float64))[0]
    return q * torch.linalg.det(q) * (-1) ** seed


def turned(kind: type, q: Tensor, x: Tensor) -> Tensor:
    """The action of any Q in O(3) on components (..., n) of a kind."""
    sign = torch.linalg.det(q)
    if kind is Sym2:
        return sym3.pack(q @ sym3.unpack(x, x.ndim - 1) @ q.mT, x.ndim - 1)
    if kind in (Vector, PseudoVector):
        return (x @ q.mT) * (sign if kind is PseudoVector else 1)
    return x * (sign if kind is Sign else 1)


@pytest.mark.parametrize("left, right", tp.COUPLINGS, ids=lambda kind: kind.__name__)
def test_couplings_commute_with_every_rotation(left, right):
    """Random elements of O(3), not only of the cube."""
    a = torch.randn(7, SIZES[left], generator=generator(0), dtype=torch.float64)
    b = torch.randn(7, SIZES[right], generator=generator(1), dtype=torch.float64)
    for coupling in tp.COUPLINGS[left, right]:
        expected = coupling.map(a, b)
        assert expected.shape == (7, SIZES[coupling.out]) and expected.abs().max() > 0.1
        for seed in range(20):
            q = orthogonal(seed)
            found = coupling.map(turned(left, q, a), turned(right, q, b))
            assert_close(found, turned(coupling.out, q, expected), rtol=0, atol=1e-12)


def test_formulas_against_matrices():
    a, b = torch.randn(2, 9, 6, generator=generator(0), dtype=torch.float64)
    u, v = torch.randn(2, 9, 3, generator=generator(1), dtype=torch.float64)
    A, B = sym3.unpack(a, 1), sym3.unpack(b, 1)
    assert_close(tp.jordan_product(a, b), sym3.pack((A @ B + B @ A) / 2, 1))
    bracket = A @ B - B @ A
    axial = torch.stack((bracket[:, 2, 1], bracket[:, 0, 2], bracket[:, 1, 0]), -1)
    assert_close(tp.commutator(a, b), axial)
    assert_close(torch.linalg.cross(axial, v), (bracket @ v[..., None])[..., 0])
    assert_close(tp.inner(a, b)[:, 0], (A * B).sum((1, 2)))
    assert_close(tp.trace(a)[:, 0], A.diagonal(dim1=1, dim2=2).sum(1))
    assert_close(tp.apply(a, v), (A @ v[..., None])[..., 0])
    assert_close(tp.cross(u, v), torch.linalg.cross(u, v))
    uv = u[:, :, None] * v[:, None]
    assert_close(tp.outer(u, v), sym3.pack((uv + uv.mT) / 2, 1))


def test_matrix_couplings_are_complete():
    """Sym2 x Sym2 has 2 independent scalars, 1 pseudo-vector and 3 l = 2 tensors; traces give the scalars again."""
    couplings = tp.COUPLINGS[Sym2, Sym2]
    a, b = torch.randn(2, 40, 6, generator=generator(0), dtype=torch.float64)
    outputs = [c.map(a, b).flatten() for c in couplings if c.out is Sym2]
    assert torch.linalg.matrix_rank(torch.stack(outputs)) == 3
    assert_close(tp.trace(tp.jordan_product(a, b)), tp.inner(a, b))


@pytest.mark.parametrize("name", ["O", "Oh"])
def test_product_of_two_inputs(name):
    g = group(name)
    left = field_type(g, {"sym2": 2, "vector": 1, "trivial": 3})
    right = field_type(g, {"sym2": 2, "pseudo-vector": 1, "vector": 3})
    layer = TensorProduct(left, right)
    a, b = field(left, size=3), field(right, size=3).flip(0)
    expected = layer(a, b)
    for e in range(g.order):
        found = layer(left.act(e, a), right.act(e, b))
        assert_close(found, layer.fields_out.act(e, expected), rtol=0, atol=1e-12)
    # the first block is <A, B> of the two matrices of the first block
    assert_close(expected[:, 1], (a[:, 6:12] * b[:, 6:12]).sum(1))


def test_product_keeps_what_is_asked_for():
    fields = field_type(group("Oh"), {"sym2": 2})
    layer = TensorProduct(fields, outputs=(PseudoVector, Trivial))
    assert repr(layer.fields_out) == "2 trivial[1] + 2 pseudo-vector[3]"
    with pytest.raises(ValueError, match="outputs"):
        TensorProduct(fields, outputs=(Vector,))


def test_product_errors():
    g = group("Oh")
    sym2, faces = field_type(g, {"sym2": 2}), field_type(g, {"faces": 2})
    with pytest.raises(ValueError, match="multiplicities"):
        TensorProduct(sym2, field_type(g, {"sym2": 3}))
    with pytest.raises(ValueError, match="faces"):
        TensorProduct(sym2, faces)
    with pytest.raises(ValueError, match="in space"):
        TensorProduct(field_type(group("D4"), {"vector": 1}))
    with pytest.raises(ValueError, match="b: found shape"):
        TensorProduct(sym2)(torch.zeros(1, 12, 2, 2, 2), torch.zeros(1, 6, 2, 2, 2))


@pytest.mark.parametrize("fn", [torch.tanh, F.softsign, nn.Tanh(), lambda x: x**3])
def test_odd(fn):
    assert is_odd(fn)


@pytest.mark.parametrize("fn", [F.relu, F.gelu, nn.LeakyReLU(), torch.cos])
def test_not_odd(fn):
    assert not is_odd(fn)


def test_pointwise_names_what_it_refuses():
    g = group("Oh")
    with pytest.raises(ValueError, match=r"traceless\[5\], which mixes"):
        Pointwise(FieldType((1, Trivial(g)), (1, Traceless(g))), torch.tanh)
    with pytest.raises(ValueError, match=r"sym2\[6\], which changes signs"):
        Pointwise(field_type(g, {"sym2": 1}))
    with pytest.raises(ValueError, match=r"vector\[3\], which changes signs"):
        Pointwise(field_type(g, {"trivial": 1, "vector": 1}), F.relu)
    fields = field_type(g, {"faces": 1})
    x = field(fields)
    assert_close(Pointwise(fields)(x), F.relu(x))
    assert_close(Pointwise(fields, nn.GELU())(x), F.gelu(x))


@pytest.mark.parametrize("fn", ["relu", "softplus"])
def test_norm_nonlinearity_formula(fn):
    """Lengths change by the formula to eps, directions not at all."""
    fields = field_type(group("Oh"), {"sym2": 2, "vector": 1})
    layer = NormNonlinearity(fields, fn, threshold=1.0, eps=1e-6).double()
    x = field(fields)
    with torch.no_grad():
        y = layer(x)
    for start, stop in ((0, 6), (6, 12), (12, 15)):
        n = x[:, start:stop].norm(dim=1, keepdim=True)
        m = F.relu(n - 1) if fn == "relu" else F.softplus(n - 1) - math.log1p(math.exp(-1))
        assert_close(y[:, start:stop], x[:, start:stop] * m / n, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="fn: found 'gelu'"):
        NormNonlinearity(fields, "gelu")
    with pytest.raises(ValueError, match="threshold: found 0"):
        NormNonlinearity(fields, threshold=0)


@pytest.mark.parametrize("fn", ["relu", "softplus"])
def test_norm_nonlinearity_is_non_expansive(fn):
    fields = mixed(group("Oh"))
    layer = NormNonlinearity(fields, fn, threshold=0.7).double()
    draws = torch.randn(2, 5000, fields.channels, generator=generator(0), dtype=torch.float64)
    with torch.no_grad():
        x, y = draws[0], draws[0] + 0.01 * draws[1]
        assert ((layer(x) - layer(y)).norm(dim=1) <= (x - y).norm(dim=1)).all()


def test_gates_scale_whole_fields():
    fields = mixed(group("D4"))
    layer = Gated(fields)
    assert layer.fields_in.channels == fields.channels + layer.gates
    x = field(layer.fields_in)
    y, start = layer(x), 0
    for i, rho in enumerate(fields.summands()):
        part = x[:, layer.gates + start : layer.gates + start + rho.size]
        assert_close(y[:, start : (start := start + rho.size)], torch.sigmoid(x[:, i : i + 1]) * part)
