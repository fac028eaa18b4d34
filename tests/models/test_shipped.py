"""The shipped weights: coefficients of bases that must be the same on every machine."""

import pytest
import torch

from mvnet.equivariant import GroupConv
from mvnet.models import pretrained


@pytest.mark.parametrize("name, expected", [("certified", -5.153537), ("dti", 10.484299), ("insar", 84.688932)])
def test_weights_mean_the_same_kernels_everywhere(name, expected):
    model, _ = pretrained(name)
    layers = [module for module in model.double().modules() if isinstance(module, GroupConv)]
    with torch.no_grad():
        parts = [x.flatten() for layer in layers for x in layer.kernel_and_bias() if x is not None]
    values = torch.cat(parts)
    found = values @ torch.arange(len(values), dtype=torch.float64).sin()
    assert float(found) == pytest.approx(expected, abs=1e-4), "weights were retrained, or a basis has changed"
