"""Simulated interferograms follow the statistics of circular Gaussian signals, closed forms match published numbers."""

import math

import pytest
import torch

from mvnet.data_loaders.insar.phase_statistics import (
    coherence_from_resultant,
    phase_density,
    phase_standard_deviation,
    resultant_length,
)
from mvnet.data_loaders.insar.simulation import simulate_images, simulate_pair, simulate_scene
from mvnet.data_loaders.insar.simulation.artificial import artificial_insar_image
from mvnet.data_loaders.insar.simulation.dislocation import mogi, okada
from mvnet.data_loaders.insar.simulation.scenes import PHASE_COMPONENTS, SENTINEL_1, SceneGrid, terrain
from mvnet.data_loaders.insar.training.acquisition import ACQUISITIONS, Acquisition, draw_acquisition

SINGLE_LOOK = {0.3: 1.5425, 0.5: 1.3361, 0.7: 1.0821, 0.9: 0.6916}


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("coherence", SINGLE_LOOK)
def test_single_look_deviation_is_the_theory(coherence, generator):
    assert phase_standard_deviation(coherence).item() == pytest.approx(SINGLE_LOOK[coherence], abs=6e-5)
    z = simulate_pair(torch.zeros(600, 600), coherence, 1, generator).interferogram
    assert z.angle().square().mean().sqrt().item() == pytest.approx(SINGLE_LOOK[coherence], rel=0.01)
    assert z.angle().cos().mean().item() == pytest.approx(resultant_length(coherence).item(), abs=0.005)
    assert z.mean().real.item() == pytest.approx(coherence, abs=0.01)


@pytest.mark.parametrize("looks", [2, 5, 16])
def test_many_looks(looks, generator):
    truth = torch.full((250, 250), 0.6, dtype=torch.float64)
    z, estimate = simulate_pair(truth, 0.6, looks, generator)
    error = (z * torch.polar(torch.ones_like(truth), -truth)).angle()
    assert error.square().mean().sqrt().item() == pytest.approx(phase_standard_deviation(0.6, looks).item(), rel=0.015)
    assert estimate is not None and estimate.dtype == torch.float64 and z.dtype == torch.complex128
    assert estimate.mean().item() == pytest.approx(0.6, abs=0.35 / looks)


@pytest.mark.parametrize("looks", [1, 3, 10.5, 80])
@pytest.mark.parametrize("coherence", [0.0, 0.4, 0.9, 0.98])
def test_density_has_the_moments(looks, coherence):
    psi = torch.linspace(-math.pi, math.pi, 20001, dtype=torch.float64)[:-1]
    step = 2 * math.pi / 20000
    p = phase_density(psi, coherence, looks)
    assert (p.sum() * step).item() == pytest.approx(1, abs=1e-6)
    assert ((p * psi.cos()).sum() * step).item() == pytest.approx(resultant_length(coherence, looks).item(), abs=1e-6)
    deviation = phase_standard_deviation(coherence, looks).item()
    assert ((p * psi.square()).sum() * step).sqrt().item() == pytest.approx(deviation, rel=1e-5)


def test_statistics_of_a_map_follow_its_type_and_invert():
    g = torch.linspace(0.05, 0.99, 200)
    for looks in (1, 4):
        deviation = phase_standard_deviation(g, looks)
        few = torch.cat([phase_standard_deviation(part, looks) for part in g.split(50)])
        assert deviation.dtype == torch.float32
        torch.testing.assert_close(deviation, few, rtol=2e-4, atol=0)
        torch.testing.assert_close(coherence_from_resultant(resultant_length(g, looks), looks), g, rtol=0, atol=1e-4)
    assert phase_standard_deviation(0.0).item() == pytest.approx(math.pi / math.sqrt(3))
    assert phase_standard_deviation(1.0, 4).item() == 0
    with pytest.raises(ValueError, match="coherence"):
        phase_standard_deviation(1.2)
    with pytest.raises(ValueError, match="looks"):
        resultant_length(0.5, 0)


def test_okada_is_his_table_2():
    # x = 2, y = 3, d = 4, dip 70, L = 3, W = 2
    expected = {
        (1.0, 0.0, 0.0): (-8.689e-3, -4.298e-3, -2.747e-3),
        (0.0, 1.0, 0.0): (-4.682e-3, -3.527e-2, -3.564e-2),
        (0.0, 0.0, 1.0): (-2.660e-4, 1.056e-2, 3.214e-3),
    }
    for slip, displacement in expected.items():
        found = okada(f64(2), f64(3), 4, 70, 3, 2, slip)[:, 0]
        torch.testing.assert_close(found, f64(*displacement), rtol=5e-4, atol=0)
    with pytest.raises(ValueError, match="dip"):
        okada(f64(2), f64(3), 4, 90, 3, 2, (1, 0, 0))
    with pytest.raises(ValueError, match="depth"):
        okada(f64(2), f64(3), 1, 70, 3, 2, (1, 0, 0))


def test_mogi_lifts_the_volume():
    # over the surface of a half-space the uplift integrates to 2 (1 - nu) dV
    axis = torch.linspace(-300, 300, 1201, dtype=torch.float64)
    u = mogi(axis.unsqueeze(1), axis.unsqueeze(0).expand(1201, 1201), 3.0, 7.0)
    assert u[2].sum().item() * 0.25 == pytest.approx(2 * 0.75 * 7, rel=0.02)
    assert u[0].sum().abs() < 1e-9 and u[2].argmax() == 1201 * 600 + 600


@pytest.mark.parametrize("name", PHASE_COMPONENTS)
def test_every_ingredient_is_finite_and_not_flat(name):
    for seed in range(4):
        grid = SceneGrid((40, 56), torch.Generator().manual_seed(seed), torch.device("cpu"))
        part = PHASE_COMPONENTS[name].draw(grid)
        assert part.shape == (40, 56) and part.isfinite().all()
        assert name in ("buildings", "faults") or part.std() > 0


def test_terrain_has_no_layover():
    for seed in range(3):
        grid = SceneGrid((30, 60), torch.Generator().manual_seed(seed), torch.device("cpu"))
        # a ground point lies at x + h / (s tan theta), x its column: increasing along the rows
        seen = torch.arange(60.0) + terrain(grid) / (SENTINEL_1.spacing * SENTINEL_1.tangent)
        assert (seen.diff(dim=1) > -1e-3).all()


def test_scene_is_seeded_and_consistent():
    a, b = simulate_scene((48, 64), 5), simulate_scene((48, 64), 5)
    assert torch.equal(a.phase, b.phase) and torch.equal(a.coherence, b.coherence)
    assert not torch.equal(a.phase, simulate_scene((48, 64), 6).phase)
    torch.testing.assert_close(sum(a.parts.values()), a.phase)
    assert a.amplitude.square().mean().item() == pytest.approx(1, abs=1e-4)
    shares = []
    for seed in range(12):
        scene = simulate_scene((32, 40), seed, water_share=0.3, coherence=(0.2, 0.9))
        assert (scene.coherence[scene.water] == 0).all()
        dry = scene.coherence[~scene.water]
        assert dry.min() >= 0.2 and dry.max() <= 0.9
        shares.append(scene.water.float().mean().item())
    assert min(shares) == 0 and 0.05 < max(shares) <= 0.31
    double = simulate_scene((16, 16), 1, coherence=0.5, dtype=torch.float64, water_share=0)
    assert double.phase.dtype == torch.float64 and (double.coherence == 0.5).all()


def test_steepness_bounds_the_fringes():
    only = {"cones": PHASE_COMPONENTS["cones"]}
    slopes = [simulate_scene((64, 64), seed, steepness=2.0, components=only).phase for seed in range(10)]
    steepest = [torch.hypot(p.diff(dim=0)[:, :-1], p.diff(dim=1)[:-1]).max().item() for p in slopes]
    assert 1.0 < max(steepest) < 4.0


def test_amplitude_and_oversampling(generator):
    flat = torch.zeros(128, 128, dtype=torch.float64)
    a = torch.linspace(0.5, 2, 128, dtype=torch.float64)
    s1, s2 = simulate_images(flat, 0.8, generator, amplitude=a, oversampling=1.25)
    for s in (s1, s2):
        assert (s / a).abs().square().mean().item() == pytest.approx(1, abs=0.05)
    u = s1 / a
    assert (u[:, 1:] * u[:, :-1].conj()).mean().abs() > 0.1
    plain, _ = simulate_images(flat, 0.8, generator)
    assert (plain[:, 1:] * plain[:, :-1].conj()).mean().abs() < 0.05


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [({"looks": 0}, "looks"), ({"coherence": 1.5}, "coherence"), ({"oversampling": 0.5}, "oversampling")],
)
def test_unusable_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        simulate_pair(torch.zeros(4, 4), **{"coherence": 0.5, **kwargs})
    with pytest.raises(ValueError, match="shape"):
        simulate_scene((4, 40))


def test_artificial_image():
    image = artificial_insar_image(256)
    assert image.shape == (256, 256) and image.dtype == torch.float64 and image.abs().max() <= math.pi
    # the background is 0, the ellipse has area pi / sqrt(150), the disc pi r^2, the stairs at most 8 * 2 * .075^2
    covered = (image != 0).double().mean().item()
    assert 0.3 < covered < math.pi / math.sqrt(150) + math.pi * 0.18**2 + 16 * 0.075**2
    centre = artificial_insar_image(401)[310, 310]  # near the middle of the disc: -4 pi wraps to 0
    assert centre.abs() < 0.1


@pytest.mark.parametrize("kind", [*ACQUISITIONS, None], ids=lambda kind: kind.__name__ if kind else "drawn")
def test_every_way_to_an_interferogram_keeps_to_its_power(kind, generator):
    """|sum s1 conj s2| <= sum (|s1|^2 + |s2|^2) / 2, wherever weights are positive."""
    scene = simulate_scene((48, 48), generator=generator)
    for _ in range(4 if kind else 40):
        drawn = kind((48, 48), generator) if kind else draw_acquisition((48, 48), generator)
        if not kind:
            assert 0 <= drawn.alpha < 1 and min(drawn.oversampling) >= 1
            continue
        cross, power = drawn(scene, 2, generator)
        assert cross.shape == power.shape == (48, 48) and cross.isfinite().all()
        if not drawn.alpha and drawn.resampling in ("nearest", "bilinear"):
            assert (cross.abs() <= power.abs() * (1 + 1e-4)).all()


def test_bright_points_are_bright(generator):
    scene = simulate_scene((64, 64), generator=generator)
    plain, bright = (Acquisition((1.5, 1.5), targets=share)(scene, 4, generator)[1] for share in (0.0, 0.05))
    assert bright.max() / bright.median() > 5 * plain.max() / plain.median()
