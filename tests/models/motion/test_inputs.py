"""What is measured of curves before the network sees them: noise, outliers, gaps."""

import pytest
import torch

from mvnet.linalg import so3
from mvnet.models.motion.curves import PositionCurves, RotationCurves
from mvnet.models.motion.inputs import LAGS, curve_batch, fill_gaps, find_outliers
from tests.models.motion.curves import PARENT, generator, jitter, smooth_positions, smooth_rotations

CURVES = {"rotations": (smooth_rotations, RotationCurves()), "positions": (smooth_positions, PositionCurves())}


def measured(values, seen=None):
    seen = torch.ones(values.shape[:2], dtype=torch.bool) if seen is None else seen
    return curve_batch(values.transpose(0, 1).unsqueeze(0), seen.T.unsqueeze(0), PARENT.unsqueeze(0))


@pytest.mark.parametrize("kind", CURVES)
@pytest.mark.parametrize("size", [0.01, 0.1])
def test_the_noise_is_measured(kind, size):
    noise = measured(jitter(CURVES[kind][0](3000), size)).noise[0]
    assert torch.allclose(noise, torch.full_like(noise, size), rtol=0.12)


def test_ratios_tell_white_noise_from_correlated_noise_and_motion():
    still, random = torch.eye(3, dtype=torch.float64).expand(4000, 4, 3, 3), generator(3)
    steps = torch.randn(4000, 4, 3, generator=random, dtype=torch.float64)
    walk = still @ so3.exp(0.003 * steps.cumsum(0))
    moving = smooth_rotations(4000, speed=0.05)
    logs = [measured(x).features[0, :, : len(LAGS)].mean(0) for x in (jitter(still, 0.02), walk, moving)]
    lags = torch.tensor(LAGS, dtype=torch.float64).log()
    assert logs[0].abs().max() < 0.1
    assert torch.allclose(logs[1], 0.5 * lags, atol=0.15)
    assert torch.allclose(logs[2][:3], 2 * lags[:3], atol=0.3)


@pytest.mark.parametrize("kind", CURVES)
@pytest.mark.parametrize("run", [1, 2])
def test_spikes_are_found_and_nothing_else(kind, run):
    make, curves = CURVES[kind]
    values = jitter(make(300), 0.02)
    spikes = torch.zeros(300, 4, dtype=torch.bool)
    for start in range(20, 280, 40):
        spikes[start : start + run] = True
    far = values @ so3.exp(torch.tensor([1.5, 0.4, 0]).double()) if kind == "rotations" else values + 3
    hit = torch.where(spikes.view(300, 4, *(1 for _ in values.shape[2:])), far, values)
    rows, seen = hit.transpose(0, 1).unsqueeze(0), torch.ones(1, 4, 300, dtype=torch.bool)
    found = find_outliers(rows, seen, curves)[0].T
    assert bool(found[spikes].all()) and float(found[~spikes].double().mean()) < 0.01
    assert not find_outliers(values.transpose(0, 1).unsqueeze(0), seen, curves)[0].double().mean() > 0.01


@pytest.mark.parametrize("kind", CURVES)
def test_gaps_are_geodesics(kind):
    make, curves = CURVES[kind]
    values, seen = make(40), torch.ones(1, 4, 40, dtype=torch.bool)
    seen[..., 10:19] = False
    filled = fill_gaps(values.transpose(0, 1).unsqueeze(0), seen)[0]
    ends = filled[:, 9], filled[:, 19]
    middle = curves.geodesic(*ends, torch.full((4,), 0.5, dtype=torch.float64))
    assert torch.allclose(filled[:, 14], middle)
    assert torch.equal(filled[:, :10], values[:10].transpose(0, 1))


@pytest.mark.parametrize("kind", CURVES)
@pytest.mark.parametrize("frames", [1, 2, 3, 8])
def test_short_recordings(kind, frames):
    batch = measured(jitter(CURVES[kind][0](frames), 0.1))
    assert all(bool(x.isfinite().all()) for x in batch)
