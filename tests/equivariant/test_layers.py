"""One battery for all layers: equivariance over every element, gradients, dtype, state."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mvnet.equivariant import GROUPS, equivariance_error

from .cases import CASES, IDS, PLANE, SPACE, build, example

SMALL = [(name, g, make) for name, g, make in CASES if g in ("D4", "D4h-k")]
SMALL_IDS = [f"{name}-{g}" for name, g, _ in SMALL]
BOUND = {torch.float64: 1e-12, torch.float32: 1e-5}


def test_groups_of_the_battery_exist():
    assert {*PLANE, *SPACE} <= set(GROUPS)


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("name, g, make", CASES, ids=IDS)
def test_commutes_with_every_element(name, g, make, dtype):
    layer = build(make, g, dtype)
    x = example(layer, dtype)
    assert float(layer(x).detach().abs().max()) > 0.01, "an error relative to nothing says nothing"
    error = equivariance_error(layer, g, x, layer.fields_in, layer.fields_out)
    assert error.largest < BOUND[dtype]


@pytest.mark.parametrize("name, g, make", SMALL, ids=SMALL_IDS)
def test_shape_dtype_and_channels(name, g, make):
    layer = build(make, g, torch.float32)
    x = example(layer, torch.float32)
    y = layer(x)
    assert y.dtype == x.dtype and y.shape[:2] == (len(x), layer.fields_out.channels)
    with pytest.raises((ValueError, RuntimeError)):
        layer(x[:, 1:])


@pytest.mark.parametrize("name, g, make", SMALL, ids=SMALL_IDS)
def test_first_derivatives(name, g, make):
    layer = build(make, g)
    x = example(layer)[:1, :, :2, :2][..., :2].clone().requires_grad_()
    parameters = [p for p in layer.parameters()]

    def function(x, *parameters):
        y = torch.func.functional_call(layer, dict(zip(dict(layer.named_parameters()), parameters)), (x,))
        return (torch.view_as_real(y) if y.is_complex() else y).sum(0)

    assert torch.autograd.gradcheck(function, (x, *parameters), fast_mode=True)


@pytest.mark.parametrize("name, g, make", SMALL, ids=SMALL_IDS)
def test_gradient_is_finite_at_zero(name, g, make):
    layer = build(make, g)
    x = torch.zeros_like(example(layer)).requires_grad_()
    y = layer(x)
    (torch.view_as_real(y) if y.is_complex() else y).sum().backward()
    leaves = [x, *layer.parameters()]
    assert all(torch.isfinite(torch.view_as_real(p.grad) if p.is_complex() else p.grad).all() for p in leaves)


@pytest.mark.parametrize("name, g, make", SMALL, ids=SMALL_IDS)
def test_one_state_in_training_and_evaluation(name, g, make):
    layer, other = build(make, g), build(make, g)
    trained, evaluated = layer.train().state_dict(), layer.eval().state_dict()
    assert trained.keys() == evaluated.keys()
    with torch.no_grad():
        for p in other.parameters():
            p.zero_()
    other.load_state_dict(trained)
    with torch.no_grad():
        assert_close(other(example(layer)), layer(example(layer)), rtol=0, atol=0)
