"""Normalised fields have mean zero along invariants and unit variance; affine maps act field by field."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mvnet.equivariant import FieldAffine, FieldNorm, equivariance_error, field_type, group

from .cases import field, mixed, randomise


@pytest.mark.parametrize("g", ["D4", "Oh"])
@pytest.mark.parametrize("statistics", ["instance", "batch"])
def test_statistics(g, statistics):
    fields = mixed(group(g))
    x = 5 * field(fields) + 2
    layer = FieldNorm(fields, statistics, affine=False, eps=0.0).double()
    y = layer(x)
    samples = y.unbind() if statistics == "instance" else [y.transpose(0, 1).flatten(1)]
    for sample in samples:
        start = 0
        for rho in fields.summands():
            part = sample[start : (start := start + rho.size)].flatten(1)
            invariant = rho.invariants.mT @ rho.invariants @ part.mean(1)
            assert_close(invariant, torch.zeros_like(invariant), rtol=0, atol=1e-12)
            assert_close(float(part.square().mean()), 1.0)


def test_trivial_fields_are_normalised_as_usual():
    fields = field_type(group("D4"), {"trivial": 5})
    x = field(fields, torch.float32)
    assert_close(FieldNorm(fields)(x), nn.InstanceNorm2d(5)(x), rtol=1e-4, atol=1e-5)
    ours, theirs = FieldNorm(fields, "batch"), nn.BatchNorm2d(5)
    for _ in range(3):
        assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
    assert_close(ours.mean, theirs.running_mean, rtol=1e-4, atol=1e-5)


def test_running_statistics_are_used_in_evaluation():
    fields = mixed(group("D4"))
    layer = FieldNorm(fields, "batch", momentum=1.0, eps=0.0).double()
    x = 3 * field(fields) + 1
    y = layer(x)
    layer.eval()
    assert_close(layer(x), y, rtol=1e-10, atol=1e-10)
    assert_close(layer(x[:1]), y[:1], rtol=1e-10, atol=1e-10)
    assert {"mean", "variance"} <= set(layer.state_dict())


def test_batch_statistics_in_training_are_equivariant():
    """Of the whole batch moved together."""
    fields = mixed(group("D4"))
    layer = FieldNorm(fields, "batch").double()
    randomise(layer)
    error = equivariance_error(lambda x: layer(x), "D4", field(fields), fields, fields)
    assert error.largest < 1e-12


def test_instance_norm_forgets_scale():
    fields = mixed(group("D4"))
    layer, x = FieldNorm(fields, affine=False, eps=0.0).double(), field(fields)
    assert_close(layer(7 * x), layer(x))


def test_affine_has_one_scale_per_field_and_bias_on_invariants():
    g = group("Oh")
    fields = field_type(g, {"trivial": 2, "vector": 2, "sym2": 1, "faces": 1})
    layer = FieldAffine(fields).double()
    assert len(layer.scale) == 6 and layer.bias is not None and len(layer.bias) == 4
    x = field(fields)
    assert_close(layer(x), x)
    with torch.no_grad():
        layer.scale.copy_(torch.arange(1.0, 7.0))
        y = layer(x)
    assert_close(y[:, 2:5], 3 * x[:, 2:5])
    assert_close(y[:, 8:14], 5 * x[:, 8:14])
    assert FieldAffine(field_type(g, {"vector": 1})).bias is None
    assert FieldAffine(fields, bias=False).bias is None


def test_errors():
    fields = mixed(group("D4"))
    with pytest.raises(ValueError, match="statistics: found 'layer'"):
        FieldNorm(fields, "layer")
    with pytest.raises(ValueError, match="expected \\(B,"):
        FieldNorm(fields)(torch.zeros(1, 2, 4, 4))
