"""The data of `benchmarks.invertible.moons`, and that its models have densities."""

import pytest
import torch

from benchmarks.invertible.moons import continuous_flow, moons, residual_flow, spline_coupling, truth


def test_density_of_the_moons():
    assert truth(moons(4000, torch.Generator().manual_seed(0))) == pytest.approx(-1.011, abs=0.03)


@pytest.mark.parametrize("make", [spline_coupling, residual_flow, continuous_flow])
def test_models_integrate_to_one(make):
    torch.manual_seed(0)
    _, log_prob = make()
    axis = torch.linspace(-6, 6, 61)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    with torch.no_grad():
        total = float(log_prob(grid).exp().sum()) * float(axis[1] - axis[0]) ** 2
    assert total == pytest.approx(1, abs=0.03)
