"""The correlation of the phase noise, measured from the interferogram itself."""

import math

import pytest
import torch

from mvnet.data_loaders.insar.noise import LAGS, PhaseNoise, measure_correlation
from mvnet.data_loaders.insar.simulation import simulate_images, simulate_scene
from mvnet.data_loaders.insar.simulation.processing import (
    Geocoding,
    boxcar_looks,
    gaussian_looks,
    goldstein_filter,
)
from mvnet.data_loaders.insar.windows import sample_windows
from mvnet.errors import MvnetError

SIDE = 192


def single_look(phase, coherence, oversampling: float | tuple[float, float] = 1.0, seed=0):
    first, second = simulate_images(phase, coherence, torch.Generator().manual_seed(seed), oversampling=oversampling)
    return first * second.conj()


def fringes(steepness=0.5):
    return simulate_scene((SIDE, SIDE), 3, steepness=steepness, coherence=0.5, water_share=0.0).phase


def measured(z, valid=None):
    return measure_correlation(iter([(z, torch.ones(z.shape, dtype=torch.bool) if valid is None else valid)]))


@pytest.mark.parametrize("coherence", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("steepness", [0.05, 0.6])
def test_white_noise_is_not_correlated(coherence, steepness):
    """Whatever the fringes are."""
    assert float(measured(single_look(fringes(steepness), coherence)).max()) < 0.08


@pytest.mark.parametrize(
    "make", [lambda z: boxcar_looks(z, (3, 3)), lambda z: gaussian_looks(z, 0.8)], ids=["3x3 looks", "Gaussian looks"]
)
def test_looks_that_overlap(make):
    """Of pure noise: about the correlation of its unit phasors."""
    z = make(single_look(torch.zeros(SIDE, SIDE), 0.0))
    unit, found = z / z.abs(), measured(z)
    for lag in range(1, LAGS + 1):
        for axis in range(2):
            product = unit.narrow(axis, lag, SIDE - lag) * unit.narrow(axis, 0, SIDE - lag).conj()
            assert abs(float(found[axis, lag - 1]) - float(product.mean().real)) < 0.12


def test_axes_are_told_apart():
    found = measured(single_look(fringes(), 0.3, oversampling=(2.0, 1.0)))
    assert found[0, 0] > 0.15 and float(found[1].max()) < 0.05
    mapped = Geocoding((SIDE, SIDE), (1.0, 2.0))
    z = mapped.to_map(single_look(mapped.to_radar(fringes()), 0.3), "bilinear")
    rows, columns = measured(z)
    assert columns[0] > rows[0] + 0.2


def test_invalid_pixels_do_not_count():
    z = boxcar_looks(single_look(fringes(), 0.3), (3, 3))
    valid = torch.ones(SIDE, SIDE, dtype=torch.bool)
    valid[:, 100:] = False
    expected = measured(z[:, :100])
    broken = torch.where(valid, z, torch.nan)
    torch.testing.assert_close(measured(broken, valid), expected, atol=0.03, rtol=0)
    assert torch.equal(measured(z, torch.zeros_like(valid)), torch.zeros(2, LAGS))
    assert torch.equal(measured(z[:3, :5]), torch.zeros(2, LAGS))


def test_windows_add_up():
    """A scene in windows is the scene, and windows lie inside it."""
    z = single_look(fringes(), 0.5, oversampling=1.5)
    ones = torch.ones(SIDE, SIDE, dtype=torch.bool)
    parts = [(slice(0, SIDE), slice(0, 96)), (slice(0, SIDE), slice(96, SIDE))]
    halves = measure_correlation((z[w], ones[w]) for w in parts)
    torch.testing.assert_close(halves, measured(z), atol=0.02, rtol=0)
    windows = sample_windows((1000, 90), 3, 200)
    assert windows == [(slice(start, start + 200), slice(0, 90)) for start in (0, 400, 800)]
    assert sample_windows((100, 90), 2, 60) == [
        (slice(a, b), slice(c, d)) for a, b in ((0, 60), (60, 100)) for c, d in ((0, 60), (60, 90))
    ]
    with pytest.raises(MvnetError, match="count and side"):
        sample_windows((10, 10), 0, 5)


def test_it_is_told_in_a_line():
    noise = PhaseNoise(torch.tensor([[0.64, 0.231, 0.0], [0.4, 0.1, 0.0]]))
    assert noise.describe() == "rows 0.64 0.23 0.00, columns 0.40 0.10 0.00" and math.isnan(noise.looks)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "bicubic"])
def test_geocoding_keeps_the_phase(resampling):
    """A smooth scene without noise comes back, turned or not."""
    smooth = 3 * torch.sin(torch.linspace(0, 3, 64))[:, None] * torch.linspace(-1, 1, 64)
    grid = Geocoding((64, 64), (1.5, 1.2), 20.0, 0.1)
    radar = grid.to_radar(smooth)
    again = grid.to_map(torch.polar(torch.ones_like(radar), radar), resampling)
    error = torch.angle(again * torch.polar(torch.ones_like(smooth), -smooth))[4:-4, 4:-4].abs()
    assert float(error.max()) < (0.12 if resampling == "nearest" else 0.01)
    with pytest.raises(MvnetError, match="resampling: found 'cubic'"):
        grid.to_map(torch.polar(torch.ones_like(radar), radar), "cubic")


def test_looks_are_means():
    z = single_look(fringes(), 0.5)
    inner = boxcar_looks(z, (3, 2))[5, 7]
    torch.testing.assert_close(inner, z[4:7, 6:8].mean(), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(gaussian_looks(torch.ones_like(z), 1.3), torch.ones_like(z))


def test_goldstein_is_that_of_the_benchmark():
    from benchmarks.insar.peers import goldstein

    z = single_look(fringes(), 0.6)
    expected = torch.from_numpy(goldstein(z.numpy(), 0.5))
    error = torch.angle(goldstein_filter(z, 0.5) * torch.polar(torch.ones_like(expected), -expected))
    assert float(error.abs().max()) < 1e-4
