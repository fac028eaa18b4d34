"""One battery for all layers: inverse, log-determinant against autograd, signs, context, errors, state, gradients."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import Tensor

from mvnet.errors import MvnetError

from .cases import IDS, LAYERS, build, context, latent

BOUND = {torch.float32: 1e-5, torch.float64: 1e-10}
every = pytest.mark.parametrize("case", LAYERS, ids=IDS)


def error(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to numbers above 1."""
    return float((a.detach().double() - b.detach().double()).abs().max() / max(1.0, float(b.detach().abs().max())))


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@every
def test_inverse_in_both_orders(case, dtype):
    layer, z, c = build(case, dtype), latent(case, dtype), context(case, dtype)
    x, back = layer.inverse(z, c)
    again, there = layer(x, c)
    assert x.dtype == again.dtype == there.dtype == dtype
    assert there.shape == back.shape == (len(z),)
    limit = max(BOUND[dtype], case.error)
    assert error(again, z) < limit and error(layer.inverse(again, c)[0], x) < limit
    assert error(there, -back) < limit


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@every
def test_log_determinant_is_that_of_autograd(case, dtype):
    oracle, z, c = build(case), latent(case), context(case)

    def inverse_of_sample(sample: Tensor, i: int) -> Tensor:
        return oracle.inverse(sample[None], None if c is None else c[i : i + 1])[0][0]

    for i, sample in enumerate(z):
        x = inverse_of_sample(sample, i).detach()
        matrix = torch.autograd.functional.jacobian(lambda s, i=i: inverse_of_sample(s, i), sample)
        columns = matrix.flatten(x.ndim).movedim(-1, 0)
        if case.tangent is not None:
            columns = case.tangent(x.expand_as(columns), columns)
        expected = torch.linalg.slogdet(columns.flatten(1)).logabsdet
        layer = build(case, dtype)
        only = None if c is None else c[i : i + 1].to(dtype)
        assert error(layer.inverse(sample[None].to(dtype), only)[1], expected[None]) < max(BOUND[dtype], case.error)


@every
def test_first_derivatives(case):
    layer, z, c = build(case), latent(case, batch=1), context(case, batch=1)
    x = layer.inverse(z, c)[0].detach().requires_grad_()
    inputs = [x] + ([] if c is None else [c.requires_grad_()])

    def both(*values: Tensor) -> tuple[Tensor, ...]:
        """Parameters are among the values, which gradcheck changes in place."""
        return layer(values[0], values[1] if c is not None else None)

    assert torch.autograd.gradcheck(both, (*inputs, *layer.parameters()), fast_mode=True, eps=1e-6, atol=1e-5)


@every
def test_gradients_of_the_inverse(case):
    """The vector-Jacobian product of the inverse undoes that of the layer."""
    layer, z, c = build(case), latent(case, batch=1).requires_grad_(), context(case, batch=1)
    x = layer.inverse(z, c)[0]
    leaf = x.detach().requires_grad_()
    again = layer(leaf, c)[0]
    cotangent = torch.randn(again.shape, generator=torch.Generator().manual_seed(5), dtype=again.dtype)
    (through,) = torch.autograd.grad(again, leaf, cotangent)
    (back,) = torch.autograd.grad(x, z, through)
    assert error(back, cotangent) < 1e-6


@every
def test_batch_is_independent(case):
    layer, z, c = build(case), latent(case, batch=3), context(case, batch=3)
    x, _ = layer.inverse(z, c)
    whole, change = layer(x, c)
    one, part = layer(x[1:2], None if c is None else c[1:2])
    assert error(one, whole[1:2]) < 1e-10 and error(part, change[1:2]) < 1e-10


@every
def test_context_is_checked(case):
    layer, z, c = build(case), latent(case), context(case)
    if c is None:
        c = torch.ones(2, 1, dtype=z.dtype)
    else:
        with pytest.raises(MvnetError, match="context: found None, expected"):
            layer.inverse(z)
    for bad in (c[:1], c[:, :0], torch.full_like(c, torch.nan)):
        with pytest.raises(MvnetError, match="context: found"):
            layer.inverse(z, bad)
    with pytest.raises(MvnetError, match="z: found"):
        layer.inverse(torch.tensor(1))


@every
def test_state_is_the_layer(case):
    layer = build(case)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(layer)
    with torch.no_grad():
        for p in other.parameters():
            p.zero_()
    other.load_state_dict(torch.load(file))
    z, c = latent(case), context(case)
    assert torch.equal(other.inverse(z, c)[0], layer.inverse(z, c)[0])


@every
def test_lipschitz_constants_are_bounds(case):
    layer, z, c = build(case), latent(case), context(case)
    bounds = layer.lipschitz(radius=10.0)
    if bounds is not None:
        x = layer.inverse(z, c)[0].detach()
        shape = x[0].numel()
        for function, at, bound in ((layer, x, bounds[0]), (layer.inverse, z, bounds[1])):
            first = None if c is None else c[:1]
            j = torch.autograd.functional.jacobian(lambda v, f=function, k=first: f(v[None], k)[0][0], at[0])
            assert float(torch.linalg.matrix_norm(j.reshape(-1, shape), 2)) <= bound * (1 + 1e-9)
