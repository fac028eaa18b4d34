"""The measure sees what is there: zero for what commutes, the true size for what does not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mvnet.equivariant import equivariance_error, field_type, group
from mvnet.equivariant.measure import ball

from .cases import field


def test_pointwise_maps_commute_exactly():
    x = field(field_type(group("D4"), {"trivial": 2}))
    error = equivariance_error(torch.tanh, "D4", x)
    assert error.largest == 0 and error.elements == [0.0] * 8


def test_known_error():
    """f(x) = x + c r, r the row: -x at the reflection of rows differs by 2 c r."""
    row = torch.tensor([-1.0, 1.0], dtype=torch.float64).view(2, 1).expand(2, 2)
    x = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    error = equivariance_error(lambda x: x + 0.25 * row, "D2", x)
    moves_rows = group("D2").matrices[:, 0, 0] < 0
    assert_close(torch.tensor(error.elements), torch.where(moves_rows, 0.5 / 1.25, 0.0).float())
    assert error.largest == pytest.approx(0.4)


def test_types_and_functions_say_how_values_move():
    g = group("D4")
    vectors, scalars = field_type(g, {"vector": 1}), field_type(g, {"trivial": 1})
    x = field(vectors)

    def norm(v):
        return v.norm(dim=1, keepdim=True)

    assert equivariance_error(norm, g, x, vectors, scalars).largest < 1e-12
    assert equivariance_error(norm, g, x, vectors.act, None).largest < 1e-12
    assert equivariance_error(lambda v: v[:, :1], g, x, vectors, scalars).largest > 0.1
    invariant = equivariance_error(lambda v: norm(v).mean((2, 3)), g, x, vectors, lambda _, y: y)
    assert invariant.largest < 1e-12


def test_an_ordinary_convolution_does_not_commute():
    torch.manual_seed(0)
    x = field(field_type(group("D4"), {"trivial": 1}), torch.float32)
    error = equivariance_error(nn.Conv2d(1, 1, 3, padding=1), "D4", x)
    assert error.largest > 0.1 and error.elements[0] == 0


def test_off_the_grid_a_disk_counts():
    """A smooth blur commutes with rotations by 45 degrees to the error of interpolation; its border does not."""
    n = 48
    axis = torch.linspace(-1, 1, n, dtype=torch.float64)
    r, c = torch.meshgrid(axis, axis, indexing="ij")
    x = (torch.sin(3 * r + 1) * torch.cos(2 * c) + 1)[None, None]
    line = torch.exp(-0.5 * torch.arange(-4.0, 5.0, dtype=torch.float64).square())
    kernel = (line[:, None] * line)[None, None] / line.sum() ** 2

    def blur(x):
        return nn.functional.conv2d(x, kernel, padding=4)

    error = equivariance_error(blur, "C8", x)
    assert max(error.elements[::2]) < 1e-12
    assert 0 < error.largest < 5e-3
    assert equivariance_error(blur, "C8", x, disk=1.5).largest > 0.1
    assert equivariance_error(lambda x: blur(x.roll(3, -1)), "C8", x).largest > 0.1


def test_ball():
    assert ball((4, 4), 1.0).sum() == 12 and ball((4, 4), 2.0).all()
    assert ball((3, 3, 3), 0.5).sum() == 1
    assert float(ball((200, 200), 1.0).double().mean()) == pytest.approx(math.pi / 4, abs=1e-3)


def test_modes_are_restored_and_evaluation_is_used():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(1))
    model.train()
    model[1].eval()
    x = field(field_type(group("D4"), {"trivial": 1}))
    assert equivariance_error(model.double(), "D4", x).largest < 1e-12
    assert model.training and model[0].training and not model[1].training


def test_unequal_sides():
    with pytest.raises(ValueError, match="equal lengths"):
        equivariance_error(torch.tanh, "D4", torch.zeros(1, 1, 4, 6))
