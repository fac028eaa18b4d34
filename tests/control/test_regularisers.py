"""Regularisers are the norms of the paper; proximal maps solve their minimisations."""

import pytest
import torch
from torch import nn

from mvnet.control import h1, over_layers
from mvnet.errors import MvnetError

F64 = torch.float64


def test_h1_converges_to_the_integral():
    """theta(t) = (cos t, 2 sin t) on [0, 3]: 1 + int sin^2 + 4 cos^2 = 1 + 7.5 + (3/4) sin 6."""
    exact = 1 + 7.5 + 0.75 * torch.tensor(6.0, dtype=F64).sin()
    errors = []
    for count in (100, 200, 400):
        t = torch.arange(count, dtype=F64) * 3 / count
        errors.append(float(h1([t.cos(), 2 * t.sin()], 3.0) - exact))
    assert errors[0] / errors[1] == pytest.approx(2, abs=0.05)
    assert errors[1] / errors[2] == pytest.approx(2, abs=0.05)


def test_h1_of_constants_is_their_square():
    theta = torch.ones(6, 2, 3, dtype=F64)
    assert float(h1(theta)) == 6


def test_layers_become_functions_of_time():
    layers = [nn.Linear(2, 3) for _ in range(4)]
    theta = over_layers(layers)
    assert [tuple(x.shape) for x in theta] == [(4, 3, 2), (4, 3)]
    h1(theta).backward()
    assert all(p.grad is not None for layer in layers for p in layer.parameters())


def test_bad_parameters_are_named():
    with pytest.raises(MvnetError, match=r"theta: found shapes \[\(2, 3\), \(3, 3\)\]"):
        h1([torch.ones(2, 3), torch.ones(3, 3)])
    with pytest.raises(MvnetError, match="layers: found"):
        over_layers([nn.Linear(2, 3), nn.Linear(3, 2)])
    with pytest.raises(MvnetError, match="layers: found"):
        over_layers([])
