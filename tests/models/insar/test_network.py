"""The network of interferograms: its symmetries, its tiles, its objective, its training set and its checkpoint."""

import math
from typing import Any

import pytest
import torch

from mvnet.data_loaders.insar.training.dataset import PhaseMaps
from mvnet.equivariant import field_type, group
from mvnet.manifolds.circle import wrap
from mvnet.models.insar.inference import denoise_interferogram
from mvnet.models.insar.inputs import interferogram_planes, noise_features, scalar_planes
from mvnet.models.insar.loss import phase_loss
from mvnet.models.insar.network import InSARDenoiser, noise_type
from mvnet.models.tiling import aligned_tiles
from tests.nn.test_frechet_filter import randomise

ORBITS = {"trivial": 1, "sides": 1, "waves-sides": 1}
SMALL: dict[str, Any] = {
    "fields": (ORBITS, {"waves-corners": 1, "regular": 1}),
    "hidden": ORBITS,
    "down": (1, 1),
    "up": (1, 0),
    "waves": (("trivial", 0.0), ("waves-sides", 1.0), ("waves", 1.5)),
    "windows": (6, 8),
    "kernels": ((3, 1), (3, 2)),
    "move_levels": 2,
}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_model(dtype: torch.dtype = torch.float64, scale: float = 0.1, **changes: Any) -> InSARDenoiser:
    arguments: dict[str, Any] = SMALL | changes
    model = InSARDenoiser(**arguments)
    randomise(model, scale)
    return model.to(dtype).eval()


def noisy(*shape: int, seed: int = 0) -> torch.Tensor:
    """Complex normal numbers on a plane wave, complex128. The wave is strong: a phase is as uncertain as its modulus is
    small, in rounding as in noise."""
    z = torch.randn(*shape, generator=generator(seed), dtype=torch.complex128)
    x = torch.arange(shape[-1], dtype=torch.float64)
    return 0.3 * z + torch.polar(torch.ones_like(x), 0.5 * x)


def inputs(size: int = 16, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """planes (2, 2, n, n) and features (2, 3, n, n), float64, with holes."""
    z = noisy(2, size, size, seed=seed)
    valid = torch.rand(2, size, size, generator=generator(seed + 1)) < 0.9
    coherence = torch.rand(2, size, size, generator=generator(seed + 2), dtype=torch.float64)
    planes = torch.stack([interferogram_planes(a, v) for a, v in zip(z, valid)])
    return planes, torch.stack([scalar_planes(v, c, torch.float64) for v, c in zip(valid, coherence)])


def apart(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest distance on the circle, over pi."""
    return float(wrap(a - b).abs().max()) / math.pi


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_network_commutes_with_d4_and_conjugation(dtype, tolerance):
    """Noise that is not the same along rows and columns turns with the image."""
    model, symmetry = small_model(dtype, noise=True), group("D4xZ2")
    number, odd = field_type(symmetry, {"trivial": 1, "internal": 1}), field_type(symmetry, {"internal": 1})
    planes, features = (x.to(dtype) for x in inputs())
    correlation = torch.tensor([[0.8, 0.3, 0.1], [0.2, 0.0, 0.0]], dtype=dtype).expand(2, -1, -1)
    noise = noise_features(correlation, torch.tensor([4.0, math.nan], dtype=dtype))
    told = noise_type(symmetry)
    with torch.no_grad():
        out = model(planes, features, noise)
        assert float((model(planes, features).phase - out.phase).abs().max()) > 1e-3
        assert float(out.phase.std()) > 0.1 and float(out.log_concentration.std()) > 0.01
        for g in range(symmetry.order):
            moved = told.act(g, noise[..., None, None])[..., 0, 0]
            turned = model(number.act(g, planes), symmetry.act(g, features), moved)
            assert apart(turned.phase, odd.act(g, out.phase[:, None])[:, 0]) < tolerance
            expected = symmetry.act(g, out.log_concentration)
            assert float((turned.log_concentration - expected).abs().max()) < 10 * tolerance


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("turn", [0.1, 1.5, math.pi, -2.7])
def test_the_network_commutes_with_the_global_phase(turn, dtype, tolerance):
    model = small_model(dtype)
    planes, features = inputs()
    real, imaginary = planes.unbind(1)
    c, s = math.cos(turn), math.sin(turn)
    moved = torch.stack([c * real - s * imaginary, s * real + c * imaginary], 1)
    with torch.no_grad():
        out, after = (model(p.to(dtype), features.to(dtype)) for p in (planes, moved))
    assert apart(after.phase, out.phase + turn) < tolerance
    assert float((after.log_concentration - out.log_concentration).abs().max()) < 10 * tolerance


def test_an_odd_output_vanishes_on_real_data():
    """conj z = z: the phase equals its own negative, 0 or pi."""
    planes, features = inputs()
    planes[:, 1] = 0
    with torch.no_grad():
        phase = small_model()(planes, features).phase
    assert float(phase.sin().abs().max()) < 1e-12


def test_the_scale_of_the_interferogram_does_not_matter():
    model, (planes, features) = small_model(), inputs()
    with torch.no_grad():
        assert apart(model(1e4 * planes, features).phase, model(planes, features).phase) < 1e-12


def test_a_connection_in_strips_is_the_same(monkeypatch):
    model, (planes, features) = small_model(), inputs()
    with torch.no_grad():
        whole = model(planes, features).phase
        monkeypatch.setattr("mvnet.nn.connection._STRIP", {"cpu": 1})
        assert apart(model(planes, features).phase, whole) < 1e-12
    assert apart(model(planes, features).phase.detach(), whole) < 1e-12


def test_workers_give_the_same():
    model, z = small_model(), noisy(61, 90)
    one, two = (denoise_interferogram(model, z, block=24, workers=n) for n in (1, 2))
    assert torch.equal(one.phase, two.phase) and torch.equal(one.concentration, two.concentration)


@pytest.mark.parametrize("shape, block", [((61, 90), 16), ((50, 7), 24), ((3, 5), 512), ((96, 96), 40)])
def test_tiles_leave_no_seam(shape, block):
    model, z = small_model(), noisy(*shape)
    valid = torch.rand(*shape, generator=generator(1)) < 0.95
    valid[2:20, 3:9] = False
    coherence = torch.rand(*shape, generator=generator(2), dtype=torch.float64)
    coherence[0] = math.nan
    calls: list[tuple[int, int]] = []
    whole = denoise_interferogram(model, z, coherence, valid, block=10**6)
    tiled = denoise_interferogram(model, z, coherence, valid, block, lambda *c: calls.append(c))
    assert apart(tiled.phase, whole.phase) < 1e-12
    torch.testing.assert_close(tiled.concentration, whole.concentration)
    assert calls[-1] == (len(calls), len(calls)) and (len(calls) > 1) == (block < max(shape))
    assert torch.equal(whole.phase[~valid], z.angle()[~valid])
    assert bool((whole.concentration[~valid] == 0).all()) and bool((whole.concentration[valid] > 0).all())
    assert bool(((whole.confidence >= 0) & (whole.confidence < 1)).all())


def test_tiles_cover_every_pixel_once():
    count = torch.zeros(61, 90)
    for outer, inner, place in aligned_tiles((61, 90), 20, 9, 8):
        count[inner] += 1
        assert all(s.start % 8 == 0 for s in outer)
        assert torch.zeros(61, 90)[outer][place].shape == count[inner].shape
    assert bool((count == 1).all())


def test_nan_and_zero_are_not_data_and_come_back():
    model, z = small_model(torch.float32), noisy(24, 24).to(torch.complex64)
    z[3, 4], z[10:12, 5:9] = math.nan, 0
    out = denoise_interferogram(model, z)
    assert bool(out.phase[3, 4].isnan()) and int(out.phase.isnan().sum()) == 1
    assert bool((out.phase[10:12, 5:9] == 0).all()) and bool((out.concentration[10:12, 5:9] == 0).all())
    assert out.phase.dtype == torch.float32 and bool(out.concentration.isfinite().all())


def test_the_receptive_radius_bounds_what_a_pixel_depends_on():
    model = small_model()
    n = 2 * (-(-model.receptive_radius // 8) * 8 + 8)
    z = noisy(n, n)
    planes = torch.stack([z.real, z.imag])[None].requires_grad_()
    features = scalar_planes(torch.ones(n, n, dtype=torch.bool), dtype=torch.float64)[None]
    out = model(planes, features)
    at = n // 2
    (out.phase[0, at, at] + out.log_concentration[0, at, at]).backward()
    assert planes.grad is not None
    reached = planes.grad.abs().sum((0, 1, 2)).nonzero()[:, 0] - at
    assert 0.5 * model.receptive_radius < int(reached.abs().max()) <= model.receptive_radius


@pytest.mark.parametrize(
    "change, words",
    [
        ({"z": torch.zeros(4, 4)}, "complex"),
        ({"z": torch.ones(1, 4, 4, dtype=torch.complex64)}, r"\(1, 4, 4\)"),
        ({"coherence": torch.ones(4, 5)}, r"\(4, 5\)"),
        ({"valid": torch.ones(4, 4)}, "torch.float32"),
        ({"valid": torch.zeros(4, 4, dtype=torch.bool)}, "no pixel"),
        ({"block": 0}, "block"),
    ],
)
def test_bad_arguments_are_named(change: dict, words: str):
    arguments: dict[str, Any] = {"z": torch.ones(4, 4, dtype=torch.complex64)} | change
    with pytest.raises(ValueError, match=words):
        denoise_interferogram(small_model(torch.float32), **arguments)


def test_bad_fields_and_shapes_are_refused():
    with pytest.raises(ValueError, match="permutation"):
        small_model(hidden={"wave-vector": 1})
    with pytest.raises(ValueError, match="as many of each"):
        small_model(up=(1,))
    with pytest.raises(ValueError, match="multiples of 4"):
        small_model()(torch.zeros(1, 2, 6, 8).double(), torch.zeros(1, 3, 6, 8).double())


def test_gradients_are_finite_without_a_signal():
    """z = 0 everywhere, and in part of the image; truth and prediction that coincide."""
    torch.manual_seed(0)
    model = InSARDenoiser(**SMALL)
    planes = torch.zeros(2, 2, 16, 16)
    planes[1, 0, :, :8] = 1
    planes.requires_grad_()
    z, valid = torch.complex(planes[:, 0], planes[:, 1]), torch.ones(2, 16, 16, dtype=torch.bool)
    loss, _ = phase_loss(model, z, torch.zeros(2, 16, 16), valid, PhaseMaps.white(torch.full((2, 16, 16), torch.nan)))
    loss.backward()
    assert planes.grad is not None and bool(planes.grad.isfinite().all())
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())
