"""The residual denoisers of section 5.2: sizes, start, equivariance, objective and training loop."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mvnet.equivariant import equivariance_error
from mvnet.equivariant import group as named_group
from mvnet.models.image.network import ResidualDenoiser, equivariant_denoiser, ordinary_denoiser
from mvnet.models.image.training import (
    Recipe,
    denoise,
    denoising_objective,
    iterations_to,
    mean_square_error,
    running_mean,
    train_denoiser,
)

ORDINARY = 741_891


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def image(count: int = 2, side: int = 12, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0), dtype=dtype)


def shaken(model: ResidualDenoiser) -> ResidualDenoiser:
    """The model with every parameter moved at random."""
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=draws))
    return model


def test_the_ordinary_network_has_the_size_of_the_paper():
    assert size(ordinary_denoiser()) == ORDINARY


@pytest.mark.parametrize("group, fields", [("C8", 8), ("C16", 4), ("D8", 4)])
def test_the_equivariant_network_has_the_same_width_and_a_tenth_of_the_size(group, fields):
    model = equivariant_denoiser(group, fields)
    assert size(model) <= 0.1 * ORDINARY
    assert len(model.lift_affine.channels()[0]) == 64


def test_the_default_spends_a_tenth_of_the_size_on_more_channels():
    model = equivariant_denoiser()
    assert 0.09 * ORDINARY < size(model) <= 0.1 * ORDINARY and len(model.lift_affine.channels()[0]) == 96


@pytest.mark.parametrize("make", [ordinary_denoiser, equivariant_denoiser])
def test_starts_as_the_identity(make):
    model, x = make(layers=3, residual_scale=0.0).double(), image()
    with torch.no_grad():
        assert_close(model(x), x, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("group, fields", [("C4", 2), ("C8", 2), ("C16", 1), ("D8", 1)])
def test_exact_where_pixels_meet_pixels(group, fields, dtype, bound):
    model = shaken(equivariant_denoiser(group, fields, layers=4)).to(dtype)
    errors = equivariance_error(model, group, image(dtype=dtype)).elements
    on_grid = [error for error, exact in zip(errors, named_group(group).on_grid) if exact]
    assert len(on_grid) >= 4 and max(on_grid) < bound


def test_the_ordinary_network_does_not_commute_with_quarter_turns():
    assert equivariance_error(shaken(ordinary_denoiser(8, layers=4)).double(), "C4", image()).largest > 1e-2


def test_objective_is_eq_52():
    error = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    error[..., 1:, :] = 3.0  # an edge of height 3 between the first two rows: two of four gradients
    expected = 0.5 * 9 * 6 / 9 + 0.1 * 0.5 * (math.sqrt(9 + 0.01**2) - 0.01)
    assert_close(float(denoising_objective(error, 0.1, 0.01)), expected)


def test_objective_gradient():
    error = image(1, 4).requires_grad_()
    assert torch.autograd.gradcheck(denoising_objective, (error,))


def batches(seed: int):
    draws = torch.Generator().manual_seed(seed)

    def batch():
        clean = torch.rand(2, 3, 1, 1, generator=draws).expand(-1, -1, 8, 8)
        return clean + 0.3 * torch.randn(clean.shape, generator=draws), clean

    return batch


@pytest.mark.parametrize("make", [lambda: ordinary_denoiser(8, 2), lambda: equivariant_denoiser("C4", 2, 2, size=3)])
def test_training_learns_and_repeats(make):
    found = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = make()
        validation = batches(7)()
        before = mean_square_error(model, *validation)
        history = train_denoiser(model, batches(0), validation, Recipe(60, 1e-2, warm_up=5, check=20))
        found.append(history)
        assert history.validation[-1][1] < 0.6 * before
        assert [check[0] for check in history.validation] == [20, 40, 60]
    assert found[0] == found[1]


def test_the_rate_falls_when_validation_stagnates():
    model = nn.Conv2d(3, 3, 1)
    history = train_denoiser(
        model, batches(0), (torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 1e6)), Recipe(8, 1e-3, 0, 2, 2, 0.1)
    )
    assert [rate for *_, rate in history.validation] == [1e-3, 1e-3, 1e-3, pytest.approx(1e-4)]


def test_denoise_leaves_the_mode():
    model = nn.Dropout(0.5).train()
    x = image(5)
    assert_close(denoise(model, x, chunk=2), x)
    assert model.training


def test_running_mean_and_first_time():
    training = [4.0, 2.0, 2.0, 1.0, 1.0]
    assert_close(running_mean(training, 2), torch.tensor([3.0, 2.0, 1.5, 1.0], dtype=torch.float64))
    assert iterations_to(training, 2.0, 2) == 3
    assert iterations_to(training, 1.0, 2) == 5
    assert iterations_to(training, 0.5, 2) is None
